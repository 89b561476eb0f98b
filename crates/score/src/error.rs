//! What can stop a scoring.

use std::path::PathBuf;

use onejump_core::files::FileError;
use onejump_core::observe::Stopped;
use onejump_fetch::FetchError;
use onejump_shortcuts::ShortcutError;
use onejump_store::StoreError;

/// Jumps that could not be scored.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// Whoever called asked to stop.
    #[error("{0}")]
    Stopped(#[from] Stopped),
    /// A file or its lock.
    #[error(transparent)]
    File(#[from] FileError),
    /// The hidden states or the table of scores.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Shortcuts that are named, and cannot be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The shortcuts.
    #[error(transparent)]
    Shortcut(#[from] ShortcutError),
    /// The shortcuts are not jumps, or a jump gives no usable approximation.
    #[error("{0}")]
    Jump(String),
    /// Samples are chosen by their place in the whole, and a shard has only some.
    #[error("{}: is a shard, which does not hold the first samples of the whole; leave out --first", dir.display())]
    FirstOfShard {
        /// The shard's folder.
        dir: PathBuf,
    },
    /// The system refuses threads.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}
