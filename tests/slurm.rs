//! A whole experiment on a real Slurm of two nodes on this machine, as root; elsewhere the test says that it did nothing.
//! Nodes are lost in the middle of a shard, and the files are those of a single machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use onejump_core::manifest::HiddenManifest;
use onejump_tests::synthetic::{Sizes, write_model, write_texts, write_tokenizer};
use onejump_tests::{binary, folder, tree};
use rustix::process::{Pid, Signal, geteuid, kill_process};

/// Many levels, so that a part of 64 MB is full after 7,943 samples of little work each.
const SIZES: Sizes = Sizes { hidden: 64, blocks: 32, vocabulary: 1024 };

/// Four parts, two of each of two shards.
const TRAIN: usize = 24_000;
const TEST: usize = 50;

/// Nothing here takes longer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The cluster, ended when the test is.
struct Cluster {
    dir: PathBuf,
}

impl Cluster {
    /// Starts it, if this is a machine for it.
    fn start(dir: PathBuf) -> Option<Self> {
        if !geteuid().is_root() {
            eprintln!("nothing tested: only root can start a Slurm");
            return None;
        }
        if let Err(reason) = script(&["install"]) {
            eprintln!("nothing tested: Slurm is not here and cannot be installed with apt-get ({reason})");
            return None;
        }
        // Ports that were free a moment ago.
        let sockets = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = sockets.each_ref().map(|socket| socket.local_addr().unwrap().port().to_string());
        drop(sockets);
        let cluster = Self { dir };
        script(&["up", cluster.dir.to_str().unwrap(), &ports[0], &ports[1], &ports[2]]).unwrap();
        cluster.wait_for("two idle nodes", || cluster.ask("sinfo", &["-h", "-o", "%T %D"]) == "idle 2");
        Some(cluster)
    }

    fn control(&self, what: &str, arguments: &[&str]) {
        script(&[&[what, self.dir.to_str().unwrap()], arguments].concat()).unwrap();
    }

    /// A program that asks this cluster.
    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env("SLURM_CONF", self.dir.join("slurm.conf"));
        command
    }

    fn ask(&self, program: &str, arguments: &[&str]) -> String {
        said(&self.command(program).args(arguments).output().unwrap())
    }

    /// A node does not answer any more, and its jobs are queued again. Slurm would notice after half a minute, and then
    /// wait for two.
    fn give_up(&self, node: &str, job: &str) {
        self.ask("scontrol", &["update", &format!("NodeName={node}"), "State=DOWN", "Reason=lost"]);
        self.start_now(job);
    }

    /// Starts a job that is queued again as soon as its first try has ended: until then it completes, and only after that
    /// does Slurm give it a time.
    fn start_now(&self, job: &str) {
        let started = ["RUNNING", "COMPLETED"].map(|state| format!("{job} {state} "));
        self.wait_for("second start", || {
            // Asked before the state, which then is that of the second try.
            let again = self.restarts(job) == 1;
            let said = self.ask("squeue", &["-h", "-r", "-t", "all", "-o", "%i %T %r"]);
            if said.lines().any(|line| line == format!("{job} PENDING BeginTime")) {
                self.ask("scontrol", &["update", &format!("JobId={job}"), "StartTime=now"]);
            }
            let is_started = |line: &str| started.iter().any(|state| line.starts_with(state));
            again && said.lines().any(is_started)
        });
    }

    fn restarts(&self, job: &str) -> usize {
        let said = self.ask("scontrol", &["show", "job", job]);
        let restarts = said.split_whitespace().find_map(|word| word.strip_prefix("Restarts="));
        restarts.unwrap().parse().unwrap()
    }

    /// The node of a job that runs.
    fn node(&self, job: &str) -> Option<String> {
        let said = self.ask("squeue", &["-h", "-r", "-t", "RUNNING", "-o", "%i %N"]);
        said.lines().find_map(|line| Some(line.strip_prefix(job)?.strip_prefix(' ')?.to_owned()))
    }

    #[track_caller]
    fn wait_for(&self, what: &str, mut happens: impl FnMut() -> bool) {
        let started = Instant::now();
        while !happens() {
            if started.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.dir.join("slurmctld.log")).unwrap_or_default();
                panic!("no {what} within {PATIENCE:?}\n{}\n{log}", self.ask("squeue", &["-r"]));
            }
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = script(&["down", self.dir.to_str().unwrap()]);
    }
}

fn script(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(folder().join("slurm/cluster.sh")).args(arguments).output().unwrap();
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.lines().last().unwrap_or("no reason was given").to_owned())
}

#[track_caller]
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// An experiment in a folder of its own.
struct Run<'a> {
    cluster: &'a Cluster,
    base: &'a Path,
    out: PathBuf,
}

impl<'a> Run<'a> {
    fn new(cluster: &'a Cluster, base: &'a Path, name: &str) -> Self {
        Self { cluster, base, out: base.join(name) }
    }

    fn reproduce(&self, options: &[&str]) -> String {
        let mut command = self.cluster.command(binary("onejump-reproduce"));
        command.arg("--model").arg(self.base.join("model")).arg("--sentences").arg(self.base);
        command.arg("--out").arg(&self.out).args(["--device", "cpu", "--epochs", "1"]).args(options);
        said(&command.output().unwrap())
    }

    fn on_slurm(&self, options: &[&str]) -> String {
        self.reproduce(&[&["--executor", "slurm", "--shards", "2", "--partition", "main"], options].concat())
    }

    /// The units of which the status says that they are in this state.
    fn units(&self, state: &str) -> Vec<String> {
        let status = self.on_slurm(&["--status"]);
        self.units_of(&status, state)
    }

    fn units_of(&self, status: &str, state: &str) -> Vec<String> {
        let words = |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
        let lines =
            status.lines().map(words).filter(|words| words.get(1).is_some_and(|found| found == state));
        lines.map(|words| words[0].clone()).collect()
    }

    fn wait_for(&self, unit: &str) {
        self.cluster.wait_for(unit, || {
            let status = self.on_slurm(&["--status"]);
            let failed = self.units_of(&status, "failed");
            assert!(failed.is_empty(), "{status}\n{}", self.log(&failed[0]));
            self.units_of(&status, "done").contains(&unit.to_owned())
        });
    }

    fn job(&self, unit: &str) -> String {
        let jobs: BTreeMap<String, String> =
            serde_json::from_slice(&fs::read(self.out.join("slurm/jobs.json")).unwrap()).unwrap();
        jobs[unit].clone()
    }

    fn log(&self, unit: &str) -> String {
        fs::read_to_string(self.out.join(format!("slurm/{unit}.log"))).unwrap_or_default()
    }

    fn shard(&self, index: usize) -> PathBuf {
        self.out.join(format!("hidden/train/shard-{index}-of-2"))
    }

    fn parts(&self, index: usize) -> usize {
        HiddenManifest::read(&self.shard(index)).map_or(0, |manifest| manifest.parts.len())
    }

    /// Stops the process that captures each of these shards once it has written the first of its two parts; none where one
    /// has written both by then.
    fn freeze<const N: usize>(&self, shards: [usize; N]) -> Option<[Pid; N]> {
        let (mut frozen, mut late) = ([None; N], false);
        self.cluster.wait_for("first part", || {
            for (place, shard) in frozen.iter_mut().zip(shards).filter(|(place, _)| place.is_none()) {
                if self.parts(shard) > 0 {
                    let lock = fs::read_to_string(self.shard(shard).join(".onejump.lock"));
                    *place = lock.ok().and_then(|number| Pid::from_raw(number.parse().ok()?));
                    late |= !place.is_some_and(|process| kill_process(process, Signal::STOP).is_ok());
                    late |= self.parts(shard) != 1;
                }
            }
            late || frozen.iter().all(Option::is_some)
        });
        frozen.iter().copied().collect::<Option<Vec<_>>>().filter(|_| !late)?.try_into().ok()
    }
}

/// A run that was submitted, in the middle of the capture of these shards. What is too late begins again.
fn interrupted<'a, const N: usize>(
    cluster: &'a Cluster,
    base: &'a Path,
    name: &str,
    shards: [usize; N],
) -> (Run<'a>, [Pid; N]) {
    for attempt in 0..5 {
        let run = Run::new(cluster, base, &format!("{name}-{attempt}"));
        assert!(run.on_slurm(&[]).contains("\n22 jobs submitted; "));
        if let Some(frozen) = run.freeze(shards) {
            return (run, frozen);
        }
        cluster.ask("scancel", &["--me"]);
        cluster.wait_for("empty queue", || cluster.ask("squeue", &["-h"]).is_empty());
    }
    panic!("the shards were captured before they could be interrupted, five times");
}

/// The files that an experiment is about, without those that say how it was run.
fn files(out: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = tree(out);
    files.retain(|path, _| !path.starts_with(".stages") && !path.starts_with("slurm"));
    files
}

#[track_caller]
fn same(one: &Path, other: &Path) {
    let (one, other) = (files(one), files(other));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    let differing: Vec<_> =
        one.iter().filter(|(path, bytes)| other[*path] != **bytes).map(|(path, _)| path).collect();
    assert_eq!(differing, Vec::<&PathBuf>::new());
}

#[test]
fn an_experiment_on_slurm_survives_its_nodes() {
    let base = tempfile::tempdir().unwrap();
    let Some(cluster) = Cluster::start(base.path().join("cluster")) else { return };
    let started = Instant::now();
    let did = |what: &str| eprintln!("{:6.1} s  {what}", started.elapsed().as_secs_f64());
    write_model(&base.path().join("model"), SIZES);
    write_tokenizer(&base.path().join("model"), SIZES);
    write_texts(&base.path().join("train.txt"), SIZES, TRAIN);
    write_texts(&base.path().join("test.txt"), SIZES, TEST);
    let one = Run::new(&cluster, base.path(), "one");
    one.reproduce(&[]);
    did("a single machine has run the experiment");

    a_daemon_is_lost_alone(&cluster, base.path(), &one.out);
    did("the same on Slurm, a node's daemon lost");
    a_node_is_lost_with_its_steps(&cluster, base.path(), &one.out);
    did("the captures on Slurm, a node lost with its steps, and a job stopped before its time limit");
}

/// The step goes on; the task that Slurm starts again elsewhere waits for it, and has nothing left to do.
fn a_daemon_is_lost_alone(cluster: &Cluster, base: &Path, expected: &Path) {
    let dry = Run::new(cluster, base, "dry");
    assert!(dry.on_slurm(&["--dry-run"]).contains("#SBATCH --array=0,1\n") && !dry.out.exists());
    let (run, [process]) = interrupted(cluster, base, "alone", [0]);
    let unit = "capture-train.0-of-2";
    let (job, units) = (run.job(unit), run.units("running"));
    assert!(units.contains(&unit.to_owned()), "{units:?}");
    // What runs or waits is not submitted again.
    assert!(
        run.on_slurm(&[]).contains("\n0 jobs submitted; ")
            || run.on_slurm(&[]).starts_with("0 jobs submitted; ")
    );
    let node = cluster.node(&job).unwrap();
    cluster.control("lose", &[&node]);
    cluster.give_up(&node, &job);
    cluster.wait_for("second try", || cluster.node(&job).is_some_and(|other| other != node));
    sleep(Duration::from_secs(1));
    assert_eq!(run.parts(0), 1, "two processes wrote one shard");
    kill_process(process, Signal::CONT).unwrap();
    run.wait_for(unit);
    cluster.control("node", &[&node]);
    run.wait_for("report");
    let log = run.log(unit);
    assert!(log.contains("capture-train.0-of-2     unchanged"), "{log}");
    assert!(run.on_slurm(&[]).starts_with("0 jobs submitted; 25 units have run"));
    same(expected, &run.out);
}

fn a_node_is_lost_with_its_steps(cluster: &Cluster, base: &Path, expected: &Path) {
    let (run, [_, stopped]) = interrupted(cluster, base, "steps", [0, 1]);
    // Near the end of a job's time Slurm sends SIGTERM to its script, as here.
    let job = run.job("capture-train.1-of-2");
    cluster.ask("scancel", &["--signal=TERM", "--batch", &job]);
    kill_process(stopped, Signal::CONT).unwrap();
    cluster.start_now(&job);
    assert!(run.log("capture-train.1-of-2").contains("stopped by SIGTERM"));

    let job = run.job("capture-train.0-of-2");
    let node = cluster.node(&job).unwrap();
    cluster.control("lose", &[&node, "steps"]);
    cluster.give_up(&node, &job);
    run.wait_for("capture-train.merge");
    cluster.control("node", &[&node]);
    same(&expected.join("hidden/train"), &run.out.join("hidden/train"));
    assert!(!run.shard(0).exists() && !run.shard(1).exists());
    cluster.ask("scancel", &["--me"]);
}
