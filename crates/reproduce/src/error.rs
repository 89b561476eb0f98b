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
    /// A stage failed, and has said why.
    #[error("{0}")]
    Stage(#[source] Box<dyn Error + Send + Sync>),
    /// The caller asked to stop.
    #[error("{0}")]
    Stopped(#[from] Stopped),
}
