//! What can stop a capture.

use std::path::PathBuf;

use onejump_core::files::FileError;
use onejump_core::observe::Stopped;
use onejump_models::ModelError;
use onejump_store::StoreError;

/// A capture that could not begin or go on. Parts that are written stay usable.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Whoever called asked to stop.
    #[error("{0}")]
    Stopped(#[from] Stopped),
    /// The checkpoint or the model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A part could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line of the input is not what it should be.
    #[error("{}, line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The input or the arguments make no sense.
    #[error("{0}")]
    Usage(String),
    /// The system refuses threads.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}
