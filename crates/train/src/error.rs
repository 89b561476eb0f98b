//! What can stop a training.

use onejump_core::files::FileError;
use onejump_core::observe::Stopped;
use onejump_models::ModelError;
use onejump_shortcuts::ShortcutError;
use onejump_store::StoreError;

/// A shortcut that could not be trained.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// Whoever called asked to stop.
    #[error("{0}")]
    Stopped(#[from] Stopped),
    /// A file or its lock.
    #[error(transparent)]
    File(#[from] FileError),
    /// The hidden states.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The model's head.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The shortcuts' file.
    #[error(transparent)]
    Shortcut(#[from] ShortcutError),
    /// The arguments make no sense.
    #[error("{0}")]
    Usage(String),
    /// The training did not end in finite numbers.
    #[error("{0}")]
    Diverged(String),
    /// The system refuses threads.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}
