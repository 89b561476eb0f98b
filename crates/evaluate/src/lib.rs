//! Measures shortcuts against the model's own predictions, at every exit level.
//!
//! | task | where |
//! |---|---|
//! | evaluate files of shortcuts and write the results | [`evaluate`] with a [`Config`] |
//! | logits of a low-rank shortcut without the full head | [`exit_head::ExitHead`] |
//! | what the metrics are | [`onejump_core::results::Metrics`] |
//!
//! ```no_run
//! use onejump_evaluate::{Config, evaluate};
//!
//! let mut config = Config::new("hidden/test", "smollm2-135m", "results");
//! config.shortcuts = vec!["shortcuts/n-njtc.safetensors".into()];
//! config.ojfa = vec!["ojfa.safetensors".into()];
//! let summary = evaluate(&config)?;
//! println!("{}", summary.averages[0].all.precision_1);
//! # Ok::<(), onejump_evaluate::EvaluateError>(())
//! ```
//!
//! Of the checkpoint only the head is read. This crate runs no block of a model.

mod constant;
mod error;
pub mod exit_head;
mod levels;
mod methods;
mod metrics;
mod run;
mod scan;
mod truth;

pub use error::EvaluateError;
pub use run::{Config, evaluate};
