//! Fits shortcuts to stored hidden states.
//!
//! | task | where |
//! |---|---|
//! | train a kind at every exit level and write the file | [`train`] with a [`Config`] |
//! | the exact minimum of Eq. 2 from second moments | [`closed_form`] |
//! | the paper's gradient descent | [`adam`] |
//!
//! ```no_run
//! use onejump_core::shortcut::Kind;
//! use onejump_train::{Config, train};
//!
//! let config = Config::new("hidden/train", Kind::NNjtc);
//! let trained = train(&config)?;
//! trained.write("n-njtc.safetensors".as_ref())?;
//! # Ok::<(), onejump_train::TrainError>(())
//! ```
//!
//! This crate knows nothing of models: it reads stored states.

pub mod adam;
mod axes;
pub mod closed_form;
mod error;
mod few_samples;
pub mod moments;
mod run;

pub use error::TrainError;
pub use run::{Config, train};
