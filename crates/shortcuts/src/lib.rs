//! Shortcuts: maps from a level to an approximation of the final hidden state, and their files.
//!
//! | task | where |
//! |---|---|
//! | apply a map to hidden states | [`map::Map`] |
//! | fold a BatchNorm into a scale and a shift | [`batch_norm::BatchNorm`] |
//! | read or write a file of maps | [`file::ShortcutFile`] |
//! | what a file says of itself | [`card::Card`] |
//!
//! ```no_run
//! use onejump_shortcuts::file::ShortcutFile;
//! use tch::Tensor;
//!
//! let jump = ShortcutFile::read("ojfa.safetensors".as_ref())?;
//! let hidden = Tensor::from_slice(&[0.5f32; 576]).reshape([1, 576]); // (N, H), any exit level
//! let approximation = jump.map_at(12)?.apply(&hidden)?; // (N, H)
//! # Ok::<(), onejump_shortcuts::ShortcutError>(())
//! ```
//!
//! This crate knows nothing of models, of Parquet, or of how a map was trained.

pub mod batch_norm;
pub mod card;
mod error;
pub mod file;
pub mod map;
mod safetensors;

pub use error::{ModelShape, ShortcutError};
