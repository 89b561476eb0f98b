//! What can go wrong between the stages.

use std::error::Error;
use std::path::PathBuf;

use onejump_core::files::FileError;
use onejump_core::observe::Stopped;

/// Why an experiment did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReproduceError {
    /// A file of the run, or of the sentences.
    #[error(transparent)]
    File(#[from] FileError),
    /// A stage's binary is not installed.
    #[error("{program} is neither beside {} nor on PATH; install all of Onejump's binaries in one folder", beside.display())]
    MissingProgram {
        /// Its name.
        program: &'static str,
        /// The folder of the running program.
        beside: PathBuf,
    },
    /// A run cannot be named so.
    #[error("'{0}' is no name for a run; give a plain folder name with --run")]
    RunName(String),
    /// The run's folder has states of other inputs.
    #[error("{} holds another experiment (see run.toml); give this one another folder, with --out or --run", folder.display())]
    OtherExperiment {
        /// The run's folder.
        folder: PathBuf,
    },
    /// The run's folder lacks what every run has.
    #[error("{} has no n-njtc in closed form", folder.display())]
    NoJumps {
        /// The folder of the run's shortcuts.
        folder: PathBuf,
    },
    /// No run is named that could be published.
    #[error(
        "--publish alone needs a run: --out RUN, or --run NAME in the folder of --runs; with --model it runs first"
    )]
    NoRun,
    /// A run without results cannot be published.
    #[error("{} is no finished run: it has no results/summary.json; onejump-reproduce --model … makes one", folder.display())]
    NotFinished {
        /// The run's folder.
        folder: PathBuf,
    },
    /// An evaluation of nothing that could be published.
    #[error("{}: none of the shortcuts that its evaluation measured is there", folder.display())]
    NothingToPublish {
        /// The run's folder.
        folder: PathBuf,
    },
    /// The folder to publish to holds something else.
    #[error("{} {reason}; publish to a folder of its own", folder.display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
        /// What it is.
        reason: &'static str,
    },
    /// A licence that the hub cannot know.
    #[error("'{0}' is no licence as the hub abbreviates it: apache-2.0, mit, cc-by-sa-4.0, other, …")]
    License(String),
    /// A repository that cannot be.
    #[error("'{0}' is no id on the hub; expected owner/name")]
    Repository(String),
    /// The card has a mistake; this is one in Onejump.
    #[error("README.md cannot be made: {0}")]
    Card(String),
    /// There is no such stage or unit.
    #[error("{name} is no stage of this experiment; there are {}", known.join(", "))]
    NoUnit {
        /// What was asked for.
        name: String,
        /// The units that there are.
        known: Vec<String>,
    },
    /// A job has one machine, and its GPUs are not shared out twice.
    #[error(
        "--device cuda:all: with --executor slurm each shard is a job; give --device cuda, --gres gpu:1 and --shards N"
    )]
    AllGpus,
    /// Options of a cluster, without one.
    #[error("--shards, --partition, --gres, --time, --sbatch and --status belong to --executor slurm")]
    OnlySlurm,
    /// What cannot be done with the states of one shard at a time.
    #[error("--no-states: {reason}")]
    NotInPasses {
        /// Why, and what to do.
        reason: String,
    },
    /// A command of the cluster's failed.
    #[error("{0}")]
    Cluster(#[source] Box<dyn Error + Send + Sync>),
    /// A command of ours, or of the cluster's, said something unexpected.
    #[error("{command} said '{said}' where {expected} was expected")]
    Said {
        /// The program.
        command: String,
        /// Its output.
        said: String,
        /// What it should have been.
        expected: &'static str,
    },
    /// A stage failed, and has said why.
    #[error("{0}")]
    Stage(#[source] Box<dyn Error + Send + Sync>),
    /// The caller asked to stop.
    #[error("{0}")]
    Stopped(#[from] Stopped),
}
