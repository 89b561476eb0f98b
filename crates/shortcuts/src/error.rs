//! What can be wrong with a shortcut or its file.

use std::path::{Path, PathBuf};

use onejump_core::files::FileError;

/// A shortcut that cannot be read, written or applied.
#[derive(Debug, thiserror::Error)]
pub enum ShortcutError {
    /// The file system.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is no file of shortcuts, or what it says contradicts itself.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A tensor that the file's card promises is not there.
    #[error("{}: tensor '{name}' is missing", path.display())]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// The map takes hidden states of another width.
    #[error("a shortcut for H = {expected} cannot take hidden states of H = {found}")]
    HiddenSize {
        /// H of the map.
        expected: usize,
        /// The width of the states.
        found: usize,
    },
    /// No model of so many blocks exits there.
    #[error("level {level} is not an exit level of a model of {blocks} blocks (0 to {})", blocks.saturating_sub(1))]
    NoSuchLevel {
        /// The level that was asked for.
        level: usize,
        /// K.
        blocks: usize,
    },
    /// There are fewer maps than exit levels.
    #[error("there is no shortcut for level {level}")]
    NoMap {
        /// The level that was asked for.
        level: usize,
    },
    /// The file is for a model of another shape than the hidden states come from.
    #[error(
        "{}: is for H = {} and {} blocks; the hidden states have H = {} and {} blocks",
        path.display(), expected.hidden_size, expected.blocks, found.hidden_size, found.blocks
    )]
    OtherShape {
        /// The file.
        path: PathBuf,
        /// What the file is for.
        expected: ModelShape,
        /// What the hidden states have.
        found: ModelShape,
    },
    /// The file is for another checkpoint than the hidden states come from.
    #[error("{}: was trained on another checkpoint ({model}) than the hidden states come from", path.display())]
    OtherModel {
        /// The file.
        path: PathBuf,
        /// The model that it was trained on, as the user named it.
        model: String,
    },
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

/// What must agree before a map can be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelShape {
    /// H.
    pub hidden_size: usize,
    /// K.
    pub blocks: usize,
}

impl ShortcutError {
    pub(crate) fn content(path: &Path, reason: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), reason: reason.into() }
    }
}
