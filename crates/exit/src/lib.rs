//! What a model would answer at an early level: a shortcut with the model's norm and head behind it.
//!
//! | task | where |
//! |---|---|
//! | put the head behind a map | [`ExitHead::new`] |
//! | one look at hidden states: the best token, how sure it is | [`ExitHead::look`], [`Look`] |
//! | the k best tokens | [`ExitHead::best`], [`Best`] |
//! | the head of one model behind many maps | [`SharedHead`] |
//! | run a model level by level | [`onejump_models::transformer::Transformer`] |
//! | read a file of shortcuts | [`onejump_shortcuts::file::ShortcutFile`] |
//!
//! A look through a low-rank map costs r/H of the head: for rank 57 of SmolLM2-135M a tenth.
//!
//! ```no_run
//! use onejump_exit::{ExitHead, SharedHead};
//! use onejump_models::device::Place;
//! use onejump_models::{checkpoint::Checkpoint, head::Head, transformer::Transformer};
//! use onejump_shortcuts::file::ShortcutFile;
//!
//! let mut checkpoint = Checkpoint::open("smollm2-135m")?;
//! let model = Transformer::load(&mut checkpoint, Place::CPU)?;
//! let head = SharedHead::new(&Head::load(&mut checkpoint, Place::CPU)?);
//! let jump = ShortcutFile::read("ojfa.safetensors".as_ref())?;
//!
//! let states = model.states_at_last(&[&[504, 3575, 282]])?; // (K + 1, 1, H)
//! for level in 0..model.blocks() {
//!     let exit = ExitHead::new(Some(jump.map_at(level)?), &head)?;
//!     let look = exit.look(&states.get(level as i64))?[0];
//!     println!("level {level}: token {} with probability {:.2}", look.token, look.probability());
//! }
//! # Ok::<(), onejump_exit::ExitError>(())
//! ```
//!
//! `examples/early_exit.rs` stops at the first level that is sure, and runs no block behind it.
//!
//! # In a program of your own
//!
//! LIBTORCH
//!
//! This crate knows nothing of stored states or of how a map was trained.

mod error;
mod exit_head;
mod look;
mod shared_head;

pub use error::ExitError;
pub use exit_head::{Approximated, ExitHead};
pub use look::{Best, Candidate, Look};
pub use shared_head::SharedHead;
