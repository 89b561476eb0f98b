//! The experiment as jobs of Slurm, which runs GPU clusters.
//!
//! The order stays the experiment's: each unit of work is a job that waits for those that write what it reads, and runs
//! this program again with `--stage`. What has run is known from its stamp, what runs or waits from Slurm; there is no
//! scheduler here.

mod jobs;
mod script;
mod status;
mod submit;
mod units;

use std::env;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use onejump_core::files::FileError;

pub use jobs::Ask;
pub use status::Status;
pub use submit::Submission;

use crate::error::ReproduceError;
use crate::experiment::Experiment;
use crate::programs::Programs;

/// How jobs are submitted.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct Options {
    /// Slurm: shards of a capture, and of the levels of the evaluation; each is a task of a job array
    #[arg(long, value_name = "N", default_value_t = ONE)]
    pub shards: NonZeroUsize,
    /// Slurm: the partition of all jobs [default: Slurm's]
    #[arg(long, value_name = "NAME")]
    pub partition: Option<String>,
    /// Slurm: what a capture takes of a node, such as gpu:1; the other stages compute on processors
    #[arg(long, value_name = "LIST")]
    pub gres: Option<String>,
    /// Slurm: time limit of a job, or of a task of an array. Work that is not done by then is queued again, and goes on
    #[arg(long, value_name = "TIME")]
    pub time: Option<String>,
    /// Slurm: an option of sbatch for all jobs, such as --account=x; may be repeated
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub sbatch: Vec<String>,
}

/// Shards where nothing is said: the whole.
const ONE: NonZeroUsize = NonZeroUsize::MIN;

impl Default for Options {
    fn default() -> Self {
        Self { shards: ONE, partition: None, gres: None, time: None, sbatch: Vec::new() }
    }
}

/// A cluster that Slurm runs.
pub struct Slurm<'a> {
    /// How jobs are submitted.
    pub options: Options,
    /// This program with the options of the experiment, for the jobs; they add `--stage`.
    pub command: Vec<String>,
    /// Whether the last job does more than the report, such as what comes after the paper, and always runs.
    pub more: bool,
    /// The folder in which the command is given.
    pub folder: PathBuf,
    /// The stages' binaries.
    pub programs: Programs,
    /// How `sbatch`, `squeue`, `scancel` and a stage's `--dry-run` are run.
    pub ask: &'a Ask<'a>,
}

impl<'a> Slurm<'a> {
    /// A cluster whose jobs run in the folder that this program runs in.
    ///
    /// # Errors
    /// [`ReproduceError::File`] if that is not known.
    pub fn new(
        options: Options,
        command: Vec<String>,
        more: bool,
        programs: Programs,
        ask: &'a Ask<'a>,
    ) -> Result<Self, ReproduceError> {
        let folder = env::current_dir().map_err(FileError::reading(Path::new(".")))?;
        Ok(Self { options, command, more, folder, programs, ask })
    }

    /// The folder of a run for scripts and logs.
    pub fn logs(&self, experiment: &Experiment) -> PathBuf {
        jobs::folder(&experiment.layout())
    }

    /// Refuses what cannot be submitted.
    fn check(&self, experiment: &Experiment) -> Result<(), ReproduceError> {
        if experiment.device == "cuda:all" { Err(ReproduceError::AllGpus) } else { Ok(()) }
    }
}
