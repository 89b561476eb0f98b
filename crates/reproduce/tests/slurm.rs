//! What is submitted to Slurm, with a Slurm that only pretends. `tests/slurm.rs` of the workspace uses a real one.

#![allow(clippy::unwrap_used)]

mod pretend;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use onejump_core::files;
use onejump_core::layout::MANIFEST;
use onejump_reproduce::{Experiment, ReproduceError, Slurm, SlurmOptions, Submission};
use pretend::Bench;

/// The units in two shards, in the order in which they are submitted.
const UNITS: [&str; 25] = [
    "capture-train.0-of-2",
    "capture-train.1-of-2",
    "capture-train.merge",
    "capture-test.0-of-2",
    "capture-test.1-of-2",
    "capture-test.merge",
    "train-closed-form.jtc",
    "train-closed-form.njtc",
    "train-closed-form.njtc-r57",
    "train-closed-form.n-njtc",
    "train-closed-form.n-njtc-r57",
    "train-closed-form.joint",
    "train-closed-form.joint-r57",
    "train-adam.n-njtc-adam",
    "train-adam.n-njtc-adam-r57",
    "train-adam.joint-adam",
    "train-adam.joint-adam-r57",
    "score-n-njtc",
    "score-n-njtc-adam",
    "score-n-njtc-r57",
    "score-n-njtc-adam-r57",
    "evaluate.0-of-2",
    "evaluate.1-of-2",
    "evaluate.join",
    "report",
];

/// A Slurm whose jobs do nothing.
#[derive(Default)]
struct Pretended {
    /// The scripts by the number of the job.
    scripts: RefCell<BTreeMap<usize, String>>,
    /// What squeue says of a job; without an entry, that it waits.
    states: RefCell<BTreeMap<String, &'static str>>,
    cancelled: RefCell<Vec<String>>,
    /// What sbatch says in place of a number.
    refusal: RefCell<Option<&'static str>>,
}

impl Pretended {
    fn ask(&self, command: &mut Command) -> Result<String, Box<dyn Error + Send + Sync>> {
        let words: Vec<_> = command.get_args().map(|word| word.to_str().unwrap().to_owned()).collect();
        match command.get_program().to_str().unwrap() {
            "sbatch" => {
                if let Some(refusal) = *self.refusal.borrow() {
                    return Err(refusal.into());
                }
                let number = 10 + self.scripts.borrow().len();
                self.scripts.borrow_mut().insert(number, fs::read_to_string(words.last().unwrap()).unwrap());
                // With several clusters, the name of one follows.
                Ok(format!("{number};main\n"))
            }
            "squeue" => Ok(self.queue()),
            "scancel" => {
                self.cancelled.borrow_mut().extend(words);
                Ok(String::new())
            }
            capture => {
                assert!(
                    capture.ends_with("onejump-capture") && words[0] == "--dry-run=json",
                    "{capture} {words:?}"
                );
                Ok(r#"{"hidden_size":576,"blocks":30}"#.to_owned())
            }
        }
    }

    /// A line a job, or a task of an array.
    fn queue(&self) -> String {
        let mut lines = String::new();
        for (number, script) in self.scripts.borrow().iter() {
            let array = script.lines().find_map(|line| line.strip_prefix("#SBATCH --array="));
            let ids = match array {
                Some(tasks) => tasks.split(',').map(|task| format!("{number}_{task}")).collect(),
                None => vec![number.to_string()],
            };
            for id in ids {
                let state = self.states.borrow().get(&id).copied().unwrap_or("PENDING|Dependency|");
                lines.push_str(&format!("{id}|{state}\n"));
            }
        }
        lines
    }

    fn directive(&self, job: usize, name: &str) -> Option<String> {
        let prefix = format!("#SBATCH --{name}=");
        let scripts = self.scripts.borrow();
        scripts[&job].lines().find_map(|line| line.strip_prefix(&prefix)).map(str::to_owned)
    }
}

fn with<T>(
    bench: &Bench,
    slurm: &Pretended,
    options: SlurmOptions,
    act: impl FnOnce(&Slurm, &Experiment) -> T,
) -> T {
    let ask = |command: &mut Command| slurm.ask(command);
    let command = ["onejump-reproduce", "--model", "m", "--sentences", "it's text"].map(str::to_owned).into();
    let slurm = Slurm {
        options,
        command,
        more: false,
        folder: "/a folder".into(),
        programs: bench.programs(),
        ask: &ask,
    };
    act(&slurm, &bench.experiment())
}

fn two_shards() -> SlurmOptions {
    SlurmOptions { shards: 2.try_into().unwrap(), ..SlurmOptions::default() }
}

fn submit(bench: &Bench, slurm: &Pretended) -> Result<Submission, ReproduceError> {
    with(bench, slurm, two_shards(), |slurm, experiment| slurm.submit(experiment))
}

/// The states of all units, in order.
fn status(bench: &Bench, slurm: &Pretended) -> Vec<(String, &'static str, String)> {
    let status = with(bench, slurm, two_shards(), |slurm, experiment| slurm.status(experiment)).unwrap();
    status.0.into_iter().map(|unit| (unit.unit, unit.state, unit.more)).collect()
}

#[test]
fn a_script_says_what_the_job_is_and_what_it_waits_for() {
    let (bench, slurm) = (Bench::new(), Pretended::default());
    let options = SlurmOptions {
        partition: Some("gpu".into()),
        gres: Some("gpu:1".into()),
        time: Some("1:00:00".into()),
        sbatch: vec!["--account=mine".into()],
        ..two_shards()
    };
    let submission = with(&bench, &slurm, options, |slurm, experiment| slurm.scripts(experiment)).unwrap();
    assert!(!bench.path("run").exists() && slurm.scripts.borrow().is_empty());
    let logs = bench.path("run/slurm").display().to_string();
    let capture = format!(
        "#!/bin/bash\n#SBATCH --job-name=onejump-capture-train\n#SBATCH --chdir='/a folder'\n\
         #SBATCH --output={logs}/capture-train.%a-of-2.log\n#SBATCH --open-mode=append\n#SBATCH --requeue\n\
         #SBATCH --signal=B:TERM@120\n#SBATCH --kill-on-invalid-dep=yes\n#SBATCH --array=0,1\n\
         #SBATCH --partition=gpu\n#SBATCH --gres=gpu:1\n#SBATCH --time=1:00:00\n#SBATCH --account=mine\n\n"
    );
    assert!(submission.scripts[0].starts_with(&capture), "{}", submission.scripts[0]);
    let call = "\nonejump-reproduce --model m --sentences 'it'\\''s text' --stage \
                capture-train.$SLURM_ARRAY_TASK_ID-of-2 &\n";
    assert!(submission.scripts[0].contains(call), "{}", submission.scripts[0]);
    let merge = &submission.scripts[1];
    assert!(merge.contains("#SBATCH --dependency=afterok:<capture-train>\n"), "{merge}");
    assert!(!merge.contains("--gres") && merge.contains(" --stage capture-train.merge &\n"), "{merge}");
    let last = submission.scripts.last().unwrap();
    assert!(last.contains(":<evaluate>:<evaluate.join>\n") && last.contains(" --stage report &\n"), "{last}");
}

#[test]
fn jobs_wait_for_those_that_write_what_they_read() {
    let (bench, slurm) = (Bench::new(), Pretended::default());
    let submission = submit(&bench, &slurm).unwrap();
    assert_eq!((submission.jobs.len(), submission.done, submission.alive), (22, 0, 0));
    let jobs: BTreeMap<_, _> =
        submission.jobs.iter().map(|(id, name, _)| (name.as_str(), id.as_str())).collect();
    let after = |name: &str| slurm.directive(jobs[name].parse().unwrap(), "dependency").unwrap_or_default();
    let on = |names: &[&str]| {
        format!("afterok:{}", names.iter().map(|name| jobs[name]).collect::<Vec<_>>().join(":"))
    };
    assert_eq!(after("capture-train"), "");
    assert_eq!(after("capture-test.merge"), on(&["capture-test"]));
    assert_eq!(after("train-adam.joint-adam-r57"), on(&["capture-train.merge"]));
    let score = on(&["capture-train.merge", "train-closed-form.n-njtc-r57"]);
    assert_eq!(after("score-n-njtc-r57"), score);
    let evaluate = after("evaluate");
    for name in ["capture-test.merge", "train-closed-form.jtc", "train-adam.joint-adam", "score-n-njtc-adam"]
    {
        assert!(evaluate.split(':').any(|id| id == jobs[name]), "{name}: {evaluate}");
    }
    let again = submit(&bench, &slurm).unwrap();
    assert_eq!((again.jobs.len(), again.alive), (0, UNITS.len()));
    assert!(slurm.cancelled.borrow().is_empty());
}

#[test]
fn units_by_themselves_give_what_the_experiment_gives() {
    let (bench, slurm) = (Bench::new(), Pretended::default());
    for unit in UNITS {
        bench.run_unit(unit).unwrap();
        assert!(bench.commands.borrow().len() == 1, "{unit}: {:?}", bench.commands);
    }
    for (split, index) in [("train", 0), ("train", 1), ("test", 0), ("test", 1)] {
        assert!(!bench.path(&format!("run/hidden/{split}/shard-{index}-of-2")).exists());
    }
    // Each stage is known to have run, also where it is not shared out.
    bench.reproduce(&bench.experiment()).unwrap();
    assert_eq!(bench.commands.borrow().len(), 1, "{:?}", bench.commands);
    assert!(bench.commands.borrow()[0].starts_with("bin/onejump-report"));
    assert!(status(&bench, &slurm).iter().all(|(_, state, _)| *state == "done"));
    let submission = submit(&bench, &slurm).unwrap();
    assert_eq!((submission.jobs.len(), submission.done), (0, UNITS.len()));
    // A unit is not run again, and one of a stage that was run whole is not run at all.
    bench.run_unit("capture-train.1-of-2").unwrap();
    bench.run_unit("train-adam.joint-adam").unwrap();
    assert!(bench.commands.borrow().is_empty());
    let error = bench.run_unit("train-adam.jtc").unwrap_err().to_string();
    assert!(
        error.starts_with("train-adam.jtc is no stage of this experiment; there are capture-train.0-of-2, ")
    );
}

#[test]
fn what_failed_and_what_waited_for_it_is_submitted_again() {
    let (bench, slurm) = (Bench::new(), Pretended::default());
    submit(&bench, &slurm).unwrap();
    bench.run_unit("capture-train.0-of-2").unwrap();
    bench.left.set(0);
    bench.run_unit("capture-train.1-of-2").unwrap_err();
    bench.left.set(usize::MAX);
    let set = |id: &str, state| {
        slurm.states.borrow_mut().insert(id.to_owned(), state);
    };
    set("10_0", "COMPLETED|None|node1");
    set("10_1", "FAILED|NonZeroExitCode|node2");
    set("12_0", "RUNNING|None|node1");
    let found = status(&bench, &slurm);
    let states: Vec<_> = found.iter().map(|(_, state, _)| *state).collect();
    assert_eq!(states[..5], ["done", "failed", "waiting", "running", "waiting"]);
    assert!(found[1].2.starts_with("FAILED, ") && found[1].2.ends_with("slurm/capture-train.1-of-2.log"));
    assert_eq!((found[2].2.as_str(), found[3].2.as_str()), ("Dependency", "node1"));

    let submission = submit(&bench, &slurm).unwrap();
    // Not the test sentences, of which two tasks and the merge go on.
    assert_eq!((submission.jobs.len(), submission.done, submission.alive), (20, 1, 3));
    assert_eq!(submission.jobs[0], ("32".into(), "capture-train".into(), 1));
    assert_eq!(slurm.directive(32, "array").as_deref(), Some("1"));
    assert_eq!(slurm.directive(33, "dependency").as_deref(), Some("afterok:32_1"));
    let evaluate = submission.jobs.iter().find(|(_, name, _)| name == "evaluate").unwrap();
    let after = slurm.directive(evaluate.0.parse().unwrap(), "dependency").unwrap();
    assert!(after.starts_with("afterok:13:34:"), "{after}");
    // Those that waited for it would wait for ever.
    assert_eq!(slurm.cancelled.borrow().len(), 20);
    assert!(
        slurm.cancelled.borrow().contains(&"11".to_owned())
            && !slurm.cancelled.borrow().contains(&"13".to_owned())
    );
}

#[test]
fn what_changed_runs_again_with_what_depends_on_it() {
    let (bench, slurm) = (Bench::new(), Pretended::default());
    for unit in UNITS {
        bench.run_unit(unit).unwrap();
    }
    files::write_bytes(&bench.path("run/shortcuts/n-njtc.safetensors"), b"changed").unwrap();
    let submission = submit(&bench, &slurm).unwrap();
    let names: Vec<_> = submission.jobs.iter().map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(names, ["score-n-njtc", "evaluate", "evaluate.join", "report"]);
}

#[test]
fn what_cannot_be_submitted_is_said() {
    let (bench, slurm) = (Bench::new(), Pretended::default());
    let refused = |experiment: Experiment| {
        with(&bench, &slurm, two_shards(), |slurm, _| slurm.submit(&experiment)).unwrap_err().to_string()
    };
    let all = Experiment { device: "cuda:all".into(), ..bench.experiment() };
    assert!(refused(all).contains("--gres gpu:1 and --shards N"));
    let nowhere = Experiment { sentences: bench.path("nowhere"), ..bench.experiment() };
    assert!(refused(nowhere).contains("nowhere/train.txt"));
    *slurm.refusal.borrow_mut() = Some("sbatch failed: invalid partition");
    assert_eq!(refused(bench.experiment()), "sbatch failed: invalid partition");
    *slurm.refusal.borrow_mut() = None;
    submit(&bench, &slurm).unwrap();
    files::write_bytes(&bench.path("run/hidden/train").join(MANIFEST), b"{").unwrap();
    assert!(refused(bench.experiment()).contains(MANIFEST));
    assert!(Path::new(&bench.path("run/slurm/jobs.json")).is_file());
}

/// Runs the script of a job with a program that ends with this status, and returns what it said, and with which status
/// it ended. The state of the job is what squeue says.
fn run_script(script: &str, status: i32, state: &str, restarts: Option<usize>) -> (String, Option<i32>) {
    let bin = tempfile::tempdir().unwrap();
    let programs = [
        ("onejump-reproduce", format!("exit {status}")),
        ("squeue", format!("echo {state}")),
        ("scontrol", "echo scontrol $*".to_owned()),
    ];
    for (name, line) in programs {
        let path = bin.path().join(name);
        fs::write(&path, format!("#!/bin/bash\n{line}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new("/bin/bash");
    command.args(["-c", script]).env("PATH", bin.path()).env("SLURM_JOB_ID", "7");
    command.env("SLURM_ARRAY_JOB_ID", "7").env("SLURM_ARRAY_TASK_ID", "1").env_remove("SLURM_RESTART_COUNT");
    if let Some(restarts) = restarts {
        command.env("SLURM_RESTART_COUNT", restarts.to_string());
    }
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

#[test]
fn a_job_is_queued_again_before_its_time_limit_as_long_as_that_helps() {
    let (bench, slurm) = (Bench::new(), Pretended::default());
    submit(&bench, &slurm).unwrap();
    let scripts = slurm.scripts.borrow();
    let (capture, merge) = (&scripts[&10], &scripts[&11]);
    let again = "stopped before the time limit; queued again\nscontrol requeue 7_1\n";
    for (restarts, status) in [(None, 0), (None, 1), (Some(1), 0)] {
        assert_eq!(run_script(capture, status, "RUNNING", restarts), (String::new(), Some(status)));
    }
    assert_eq!(run_script(capture, 143, "RUNNING", None), (again.into(), Some(143)));
    // Somebody cancels it.
    assert_eq!(run_script(capture, 143, "COMPLETING", None), (String::new(), Some(143)));
    // A capture gets further each time; what keeps nothing does not.
    assert_eq!(run_script(capture, 143, "RUNNING", Some(9)), (again.into(), Some(143)));
    assert_eq!(run_script(merge, 143, "RUNNING", Some(1)), (again.into(), Some(143)));
    let (said, status) = run_script(merge, 143, "RUNNING", Some(2));
    assert!(said.ends_with("submit again with a longer --time\n") && !said.contains("scontrol"), "{said}");
    assert_eq!(status, Some(143));
}
