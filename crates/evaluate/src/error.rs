//! What can stop an evaluation.

use onejump_core::files::FileError;
use onejump_core::observe::Stopped;
use onejump_exit::ExitError;
use onejump_fetch::FetchError;
use onejump_models::ModelError;
use onejump_shortcuts::ShortcutError;
use onejump_store::StoreError;

/// An evaluation that could not be done.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// Whoever called asked to stop.
    #[error("{0}")]
    Stopped(#[from] Stopped),
    /// The checkpoint's head.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The hidden states or the tables.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Shortcuts that are named, and cannot be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The shortcuts.
    #[error(transparent)]
    Shortcut(#[from] ShortcutError),
    /// Another file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The arguments make no sense together.
    #[error("{0}")]
    Usage(String),
    /// The system refuses threads.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

impl From<ExitError> for EvaluateError {
    fn from(error: ExitError) -> Self {
        match error {
            ExitError::Model(error) => Self::Model(error),
            ExitError::Shortcut(error) => Self::Shortcut(error),
            ExitError::Torch(error) => Self::Torch(error),
            ExitError::HiddenSize { .. } => Self::Usage(error.to_string()),
        }
    }
}
