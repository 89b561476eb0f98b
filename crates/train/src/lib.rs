//! Fits shortcuts to stored hidden states.
//!
//! | task | where |
//! |---|---|
//! | train a kind at every exit level and write the file | [`train`] with a [`Config`] |
//! | several kinds and ranks at once | [`train_together`] |
//! | the exact minimum of Eq. 2 from second moments | [`closed_form`] |
//! | the paper's gradient descent | [`adam`] |
//! | one jump for all levels, fitted to what the head reads | [`one_jump`] |
//!
//! ```no_run
//! use onejump_core::observe::Silent;
//! use onejump_core::shortcut::ShortcutKind;
//! use onejump_train::{Config, train};
//!
//! let config = Config::new("hidden/train", ShortcutShortcutKind::NNjtc);
//! let trained = train(&config, &Silent)?;
//! trained.write("n-njtc.safetensors".as_ref())?;
//! # Ok::<(), onejump_train::TrainError>(())
//! ```
//!
//! This crate runs no block of a model: it reads stored states, and for the one jump the model's head.

pub mod adam;
mod axes;
pub mod closed_form;
mod error;
mod few_samples;
mod levels;
pub mod moments;
pub mod one_jump;
mod optimiser;
mod run;
mod sets;

pub use error::TrainError;
pub use run::{Config, default_solver, train, train_together};
