//! A text, and where it was found.

use std::path::{Path, PathBuf};

use onejump_core::files::FileError;

use crate::CaptureError;

/// A text, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub text: String,
    /// Whether the special tokens are in it, as a chat template puts them.
    pub templated: bool,
    pub path: PathBuf,
    pub place: Place,
}

/// Where a text stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The whole file is one text.
    File,
    /// A line, from 1.
    Line(usize),
    /// A row of a table, from 0.
    Row(usize),
}

impl Place {
    /// The error about a text.
    pub fn wrong(self, path: &Path, reason: impl Into<String>) -> CaptureError {
        let (path, reason) = (path.to_owned(), reason.into());
        match self {
            Self::File => FileError::Content { path, reason }.into(),
            Self::Line(line) => CaptureError::Line { path, line, reason },
            Self::Row(row) => CaptureError::Row { path, row, reason },
        }
    }
}
