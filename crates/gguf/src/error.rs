//! What can be wrong with a GGUF file.

use std::path::PathBuf;

/// A GGUF file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// The operating system refused.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The file's structure is broken.
    #[error("{} is not a usable GGUF file: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The library's reason.
        #[source]
        source: candle_core::Error,
    },
    /// The file is well-formed but lacks something, or uses what is not known.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
}
