//! `cargo xtask interrupt`: `kill -9` at random moments of `cargo xtask reproduce --quick`; the files in
//! the end must be those of an undisturbed run, byte for byte.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use onejump_core::files;
use onejump_core::observe::Observer;
use onejump_core::seed::{self, Purpose};
use onejump_program::{Terminal, say};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::process;

/// The run that is killed; the undisturbed one is put beside it.
const RUN: &str = "interrupt";
const UNDISTURBED: &str = "interrupt-undisturbed";

/// How often a running reproduction is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Options of `cargo xtask interrupt`.
#[derive(clap::Args)]
pub struct Args {
    /// How many times to kill
    #[arg(long, default_value_t = 30)]
    kills: usize,
    /// Use so many training sentences, and a third of that to test, in place of --quick's
    #[arg(long, value_name = "N")]
    sentences: Option<usize>,
    /// Seed of the moments
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Runs undisturbed once, then kills until it was often enough; every run that ends is compared.
pub fn interrupt(args: &Args, terminal: &Terminal) -> Result<()> {
    let runs = process::root()?.join("data/runs");
    let (run, undisturbed) = (runs.join(RUN), runs.join(UNDISTURBED));
    for folder in [&run, &undisturbed] {
        remove(folder)?;
    }
    let sentences = args.sentences.map(few_sentences).transpose()?;
    let start = || start(sentences.as_ref());
    // The undisturbed run's time should be without building.
    process::build_stages()?;
    let started = Instant::now();
    ensure!(start()?.wait()?.success(), "the undisturbed run failed");
    let time = started.elapsed();
    fs::rename(&run, &undisturbed)?;
    let expected = hashes(&undisturbed)?;
    let mut random = seed::stream(args.seed, Purpose::Order, 0);
    let (mut kills, mut ended) = (0, 0);
    while kills < args.kills {
        terminal.check()?;
        let mut child = start()?;
        let moment = Duration::from_millis(seed::below(&mut random, time.as_millis() as u64));
        if let Some(success) = ends_within(&mut child, moment)? {
            ensure!(success, "a run that was killed {kills} times cannot go on");
            compare(&expected, &run)?;
            ended += 1;
            remove(&run)?;
            continue;
        }
        kill_process_group(Pid::from_child(&child), Signal::KILL)?;
        child.wait()?;
        kills += 1;
        say!("killed {kills} of {} times, now after {:.1} s", args.kills, moment.as_secs_f64());
    }
    ensure!(start()?.wait()?.success(), "a run that was killed cannot go on");
    compare(&expected, &run)?;
    say!("killed {kills} times, ended {} times, each time with the same {} files", ended + 1, expected.len());
    remove(&run)?;
    remove(&undisturbed)
}

/// A reproduction in a process group of its own: killing the group kills the stage too.
fn start(sentences: Option<&TempDir>) -> Result<Child> {
    let xtask = std::env::current_exe().context("cannot find this program")?;
    let mut command = Command::new(xtask);
    command.args(["reproduce", "--device", "cpu", "--run", RUN]).process_group(0);
    match sentences {
        Some(folder) => command.arg("--sentences").arg(folder.path()),
        None => command.arg("--quick"),
    };
    command.spawn().context("cannot start the reproduction")
}

/// A folder with the first of the sentences that ship.
fn few_sentences(train: usize) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    for (file, count) in [("train.txt", train), ("test.txt", train.div_ceil(3))] {
        let text = fs::read_to_string(process::root()?.join("data/wikipedia").join(file))?;
        let lines: Vec<_> = text.lines().take(count).collect();
        fs::write(folder.path().join(file), lines.join("\n"))?;
    }
    Ok(folder)
}

/// Whether it succeeded, if it ends in this time.
fn ends_within(child: &mut Child, time: Duration) -> Result<Option<bool>> {
    let started = Instant::now();
    while started.elapsed() < time {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        std::thread::sleep(POLL);
    }
    Ok(None)
}

fn compare(expected: &BTreeMap<String, String>, run: &Path) -> Result<()> {
    let found = hashes(run)?;
    let names = expected.keys().chain(found.keys());
    let differing: Vec<_> = names.filter(|name| expected.get(*name) != found.get(*name)).collect();
    ensure!(differing.is_empty(), "these files differ from the undisturbed run's: {differing:?}");
    Ok(())
}

/// The hash of every file below a folder, by its path from there.
fn hashes(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut hashes = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        } else {
            let name = path.strip_prefix(folder)?.display().to_string();
            hashes.insert(name, files::sha256_file(&path)?);
        }
    }
    Ok(hashes)
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}
