//! Scores every jump at every level (Eq. 4 and 5) and chooses the one jump.
//!
//! | task | where |
//! |---|---|
//! | mean cosine and signed square of every (jump, level) | [`scores`] |
//! | D_m under both conventions, and the choice | [`choose`] |
//!
//! ```no_run
//! use onejump_core::observe::Silent;
//! use onejump_core::shortcut::LevelConvention;
//! use onejump_score::{choose, scores};
//! use onejump_shortcuts::file::ShortcutFile;
//! use onejump_store::hidden::HiddenStates;
//!
//! let hidden = HiddenStates::open("hidden/train")?;
//! let jumps = ShortcutFile::read("shortcuts/n-njtc.safetensors".as_ref())?;
//! let choice = choose(&scores(&hidden, &jumps, &Silent)?, hidden.blocks(), LevelConvention::Exit)?;
//! println!("jump {}", choice.level);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate knows nothing of models: the score is independent of the head.

mod choice;
mod error;
mod pairs;

pub use choice::{choose, one_jump, softmax};
pub use error::ScoreError;
pub use pairs::scores;
