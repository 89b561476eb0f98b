//! Measures shortcuts against the model's own predictions, at every exit level.
//!
//! | task | where |
//! |---|---|
//! | evaluate files of shortcuts and write the results | [`evaluate`] with a [`Config`] |
//! | share the exit levels among machines, or the samples, without all states in one place | [`Config::part`], [`predict`] |
//! | go further: transfer between levels, dynamic exit, intervals | [`analyse`] with an [`Analysis`] |
//! | logits of a low-rank shortcut without the full head | [`onejump_exit::ExitHead`] |
//! | what the metrics are | [`onejump_core::results::Metrics`] |
//!
//! ```no_run
//! use onejump_core::observe::Silent;
//! use onejump_evaluate::{Config, evaluate};
//!
//! let mut config = Config::new("hidden/test", "smollm2-135m", "results");
//! config.shortcuts = vec!["shortcuts/n-njtc.safetensors".into()];
//! config.ojfa = vec!["ojfa.safetensors".into()];
//! let summary = evaluate(&config, &Silent)?;
//! println!("{}", summary.averages[0].all.precision_1);
//! # Ok::<(), onejump_evaluate::EvaluateError>(())
//! ```
//!
//! Of the checkpoint only the head is read. This crate runs no block of a model.

mod analyses;
mod averages;
mod bootstrap;
mod classes;
mod config;
mod constant;
mod error;
mod exit;
mod inputs;
mod jumps;
mod levels;
mod methods;
mod metrics;
mod operations;
mod policy;
mod run;
mod shards;
mod subsets;
mod sweep;
mod transfer;
mod truth;
mod variation;

pub use analyses::{Analysis, analyse};
pub use config::{Config, DEFAULT_TRAIN_SAMPLES, Part};
pub use error::EvaluateError;
pub use onejump_core::bootstrap::RESAMPLES;
pub use run::{evaluate, predict, shard_of};
