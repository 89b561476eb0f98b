//! What can be wrong with a look.

use onejump_models::ModelError;
use onejump_shortcuts::ShortcutError;

/// A look that cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum ExitError {
    /// The model's head.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The shortcut, or one that does not fit the hidden states.
    #[error(transparent)]
    Shortcut(#[from] ShortcutError),
    /// The shortcut is for another hidden size than the head.
    #[error("the shortcut is for H = {shortcut}, the head for H = {head}; they belong to different models")]
    HiddenSize {
        /// The shortcut's.
        shortcut: usize,
        /// The head's.
        head: usize,
    },
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}
