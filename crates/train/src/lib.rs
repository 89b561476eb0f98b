//! Fits shortcuts to stored hidden states.
//!
//! | task | where |
//! |---|---|
//! | train a kind at every exit level and write the file | [`train`] with a [`Config`] |
//! | several kinds and ranks at once | [`train_together`] |
//! | the same into files that no other process writes | [`train_files`] |
//! | the exact minimum of Eq. 2 from second moments | [`closed_form`] |
//! | the paper's gradient descent | [`adam`] |
//! | one jump for all levels, fitted to what the head reads | [`one_jump`] |
//!
//! ```no_run
//! use onejump_core::observe::Silent;
//! use onejump_core::shortcut::ShortcutKind;
//! use onejump_train::{Config, train};
//!
//! let config = Config::new("hidden/train", ShortcutKind::NNjtc);
//! let trained = train(&config, &Silent)?;
//! trained.write("n-njtc.safetensors".as_ref())?;
//! # Ok::<(), onejump_train::TrainError>(())
//! ```
//!
//! This crate runs no block of a model: it reads stored states, and for the one jump the model's head.

pub mod adam;
mod axes;
pub mod closed_form;
mod config;
mod error;
mod few_samples;
mod files;
mod inputs;
mod job;
mod joint;
mod levels;
mod linear;
pub mod moments;
pub mod one_jump;
mod optimiser;
mod parameters;
mod passes;
mod run;
mod sets;
mod trained;

pub use config::{Config, DescentOptions, default_solver};
pub use error::TrainError;
pub use files::{WrittenFile, train_files};
pub use run::{train, train_together};
pub use trained::Set;
