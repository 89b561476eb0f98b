//! What can be wrong with a file.

use std::io;
use std::path::{Path, PathBuf};

/// A file that could not be read or written, or whose content is wrong.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused to read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The operating system refused to write.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Another process writes there.
    #[error(
        "{} is being written by {process}; wait for it, or choose another output",
        path.display()
    )]
    Busy {
        /// The file or folder.
        path: PathBuf,
        /// Who writes it.
        process: String,
    },
    /// The content is not what it should be.
    #[error("{} {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
}

impl FileError {
    /// Makes the error about a `path` that could not be read.
    pub fn reading(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    /// Makes the error about a `path` that could not be written.
    pub fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }
}
