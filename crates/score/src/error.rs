//! What can stop a scoring.

use onejump_core::files::FileError;
use onejump_core::interrupt::Interrupted;
use onejump_shortcuts::ShortcutError;
use onejump_store::StoreError;

/// Jumps that could not be scored.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// SIGINT or SIGTERM.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// A file or its lock.
    #[error(transparent)]
    File(#[from] FileError),
    /// The hidden states or the table of scores.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The shortcuts.
    #[error(transparent)]
    Shortcut(#[from] ShortcutError),
    /// The shortcuts are not jumps, or a jump gives no usable approximation.
    #[error("{0}")]
    Jump(String),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}
