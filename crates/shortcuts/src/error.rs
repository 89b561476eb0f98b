//! What can be wrong with a shortcut or its file.

use std::path::{Path, PathBuf};

use onejump_core::files::FileError;

/// A shortcut that cannot be read, written or applied.
#[derive(Debug, thiserror::Error)]
pub enum ShortcutError {
    /// The file system.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not a file of shortcuts.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The shortcut does not fit what it is applied to.
    #[error("{0}")]
    Mismatch(String),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

impl ShortcutError {
    pub(crate) fn content(path: &Path, reason: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), reason: reason.into() }
    }
}
