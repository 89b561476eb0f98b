//! What a model would answer at an early level: a shortcut with the model's norm and head behind it.
//!
//! | task | where |
//! |---|---|
//! | put the head behind a map | [`ExitHead::new`] |
//! | one look at hidden states: the best token, how sure it is | [`ExitHead::look`], [`Look`] |
//! | the k best tokens | [`ExitHead::best`], [`Best`] |
//! | the same, and the place of a given token | [`ExitHead::answers`], [`Answer`] |
//! | the same in a decoding session | [`SessionHead`] |
//! | the head of one model behind many maps | [`SharedHead`] |
//! | run a model level by level | [`onejump_models::transformer::Transformer`] |
//! | read a file of shortcuts | [`onejump_shortcuts::file::ShortcutFile`] |
//!
//! A look through a low-rank map costs r/H of the head: for rank 57 of SmolLM2-135M a tenth.
//!
//! ```no_run
//! use onejump_exit::models::device::Place;
//! use onejump_exit::models::{checkpoint::Checkpoint, head::Head, transformer::Transformer};
//! use onejump_exit::shortcuts::file::ShortcutFile;
//! use onejump_exit::{ExitHead, SharedHead};
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
//! This crate is all that it depends on ([`models`] and [`shortcuts`] are exported from here), and torch-sys, so that its build
//! script learns where libtorch lies. (Cargo tells that to direct dependents alone, and the path that one package's
//! build script gives the linker does not reach programs of another package.)
//!
//! ```toml
//! [dependencies]
//! onejump-exit = { git = "…" }   # or path = "…/crates/exit"
//! torch-sys = "0.24"
//! ```
//!
//! ```text
//! // build.rs: the program finds libtorch without LD_LIBRARY_PATH.
//! fn main() {
//!     if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
//!         println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
//!     }
//! }
//! ```
//!
//! `LIBTORCH` must name the folder of a libtorch 2.11 when it is built; `cargo xtask setup` in a checkout of Onejump brings
//! one, and links `.libtorch` to it. `tests/outside` is such a program: a test checks it, and another, which is
//! asked for, builds and runs it.
//!
//! This crate knows nothing of stored states or of how a map was trained.

pub use onejump_models as models;
pub use onejump_shortcuts as shortcuts;

mod error;
mod exit_head;
mod look;
mod session_head;
mod shared_head;

pub use error::ExitError;
pub use exit_head::{Approximated, ExitHead};
pub use look::{Answer, Best, Candidate, Look};
pub use session_head::SessionHead;
pub use shared_head::SharedHead;
