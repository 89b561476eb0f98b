//! What can be wrong with a Parquet file of ours.

use std::path::{Path, PathBuf};

use onejump_core::files::FileError;

/// A Parquet file or a folder of them that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system, or the manifest.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not Parquet, is cut short, or cannot be encoded.
    #[error("{}: {source}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The library's reason.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// The columns do not decode to what the schema says.
    #[error("{}: {source}", path.display())]
    Arrow {
        /// The file.
        path: PathBuf,
        /// The library's reason.
        #[source]
        source: arrow::error::ArrowError,
    },
    /// Parquet, but not the table that is expected.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
}

impl StoreError {
    /// The file holds Parquet that is not the table expected here.
    pub(crate) fn content(path: &Path, reason: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), reason: reason.into() }
    }

    pub(crate) fn parquet(path: &Path) -> impl Fn(parquet::errors::ParquetError) -> Self {
        let path = path.to_owned();
        move |source| Self::Parquet { path: path.clone(), source }
    }

    pub(crate) fn arrow(path: &Path) -> impl Fn(arrow::error::ArrowError) -> Self {
        let path = path.to_owned();
        move |source| Self::Arrow { path: path.clone(), source }
    }
}
