//! The jobs that were submitted for a run, and what Slurm says of them.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

use onejump_core::files;
use onejump_core::layout::RunLayout;

use crate::error::ReproduceError;

/// Runs a program to its end and returns its standard output; an error if it fails or cannot start.
pub type Ask<'a> = dyn Fn(&mut Command) -> Result<String, Box<dyn Error + Send + Sync>> + 'a;

/// The folder of a run for scripts, logs and the list of jobs.
pub(super) fn folder(layout: &RunLayout) -> PathBuf {
    layout.root().join("slurm")
}

/// The last job of each unit: `12`, or `12_3` for a task of an array.
pub(super) type Jobs = BTreeMap<String, String>;

fn list(layout: &RunLayout) -> PathBuf {
    folder(layout).join("jobs.json")
}

/// Reads the list; there is none before the first submission.
pub(super) fn read(layout: &RunLayout) -> Result<Jobs, ReproduceError> {
    let path = list(layout);
    Ok(if path.is_file() { files::read_json(&path)? } else { Jobs::new() })
}

/// Writes the list.
pub(super) fn write(layout: &RunLayout, jobs: &Jobs) -> Result<(), ReproduceError> {
    Ok(files::write_json(&list(layout), jobs)?)
}

/// What Slurm says of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    /// `PENDING`, `RUNNING`, `FAILED`, ….
    pub state: String,
    /// Why it waits or has failed; `None` where there is nothing to say.
    pub reason: String,
    /// Where it runs or ran.
    pub nodes: String,
}

impl Job {
    /// Whether it is going to run, or runs.
    pub fn is_alive(&self) -> bool {
        let alive = [
            "PENDING",
            "RUNNING",
            "CONFIGURING",
            "COMPLETING",
            "SUSPENDED",
            "REQUEUED",
            "REQUEUE_HOLD",
            "REQUEUE_FED",
            "RESIZING",
            "SIGNALING",
            "STAGE_OUT",
            "STOPPED",
            "RESV_DEL_HOLD",
            "SPECIAL_EXIT",
        ];
        alive.contains(&self.state.as_str())
    }

    pub fn waits(&self) -> bool {
        self.state == "PENDING"
    }
}

/// What stands between two columns; in no state, reason or name of a node.
const SEPARATOR: char = '|';

/// The user's jobs that Slurm still knows, by number.
pub(super) fn known(ask: &Ask) -> Result<BTreeMap<String, Job>, ReproduceError> {
    let mut command = Command::new("squeue");
    let format = format!("--format=%i{SEPARATOR}%T{SEPARATOR}%r{SEPARATOR}%N");
    command.args(["--me", "--noheader", "--array", "--states=all", &format]);
    let said = asked(ask, &mut command)?;
    let job = |line: &str| {
        let mut columns = line.splitn(4, SEPARATOR).map(|column| column.trim().to_owned());
        let id = columns.next()?;
        Some((id, Job { state: columns.next()?, reason: columns.next()?, nodes: columns.next()? }))
    };
    said.lines()
        .map(|line| {
            job(line).ok_or_else(|| ReproduceError::Said {
                command: "squeue".to_owned(),
                said: line.to_owned(),
                expected: "a job with its state, reason and nodes",
            })
        })
        .collect()
}

/// Cancels a job.
pub(super) fn cancel(ask: &Ask, id: &str) -> Result<(), ReproduceError> {
    asked(ask, Command::new("scancel").arg(id)).map(drop)
}

/// Submits a script and returns the job's number.
pub(super) fn sbatch(ask: &Ask, script: &std::path::Path) -> Result<String, ReproduceError> {
    let said = asked(ask, Command::new("sbatch").arg("--parsable").arg(script))?;
    // The number, and the name of the cluster where there are several.
    let id = said.trim().split(';').next().unwrap_or_default();
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        let (command, said) = ("sbatch".to_owned(), said.trim().to_owned());
        return Err(ReproduceError::Said { command, said, expected: "a job's number" });
    }
    Ok(id.to_owned())
}

/// What a command says.
pub(super) fn asked(ask: &Ask, command: &mut Command) -> Result<String, ReproduceError> {
    ask(command).map_err(ReproduceError::Cluster)
}
