//! Scores every jump at every level (Eq. 4 and 5) and chooses the one jump.
//!
//! | task | where |
//! |---|---|
//! | the cosine and signed square of every (jump, level) | [`sums`], [`Sums::scores`] |
//! | the same in shares of the samples, without all states in one place | [`ScoreShards`] |
//! | D_m under both conventions, the choice, and how sure it is | [`choose`] |
//!
//! ```no_run
//! use onejump_core::observe::Silent;
//! use onejump_core::shortcut::LevelConvention;
//! use onejump_score::{choose, sums};
//! use onejump_shortcuts::file::ShortcutFile;
//! use onejump_store::hidden::HiddenStates;
//!
//! let hidden = HiddenStates::open("hidden/train")?;
//! let jumps = ShortcutFile::read("shortcuts/n-njtc.safetensors".as_ref())?;
//! let choice = choose(&sums(&hidden, &jumps, &Silent)?, LevelConvention::Exit, 0)?;
//! println!("jump {}", choice.level);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate knows nothing of models: the score is independent of the head.

mod choice;
mod error;
mod pairs;
mod shards;
mod sums;

pub use choice::{choose, one_jump, softmax};
pub use error::ScoreError;
pub use pairs::sums;
pub use shards::ScoreShards;
pub use sums::{PartSums, Sums, TextSums};
