//! Captures hidden states: one sampled token per sentence, at every level, as Parquet.
//!
//! | task | where |
//! |---|---|
//! | run a whole capture, or go on with one | [`capture`] with a [`Config`] |
//! | what a capture would need | [`plan`](fn@plan) |
//! | turn sentences or JSON lines into samples | [`samples`] |
//!
//! ```no_run
//! use onejump_core::observe::Silent;
//! use onejump_capture::{Config, Input, capture};
//!
//! let config = Config::new("smollm2-135m", Input::Sentences("test.txt".into()), "hidden/test");
//! let captured = capture(&config, &Silent)?;
//! println!("{} samples in {} parts", captured.samples, captured.parts);
//! # Ok::<(), onejump_capture::CaptureError>(())
//! ```
//!
//! This crate knows nothing of shortcuts: it stores what the model computes.

mod batches;
mod error;
mod output;
mod plan;
mod run;
pub mod samples;
mod workers;
mod writers;

pub use error::CaptureError;
pub use plan::Plan;
pub use run::{CPU_BATCH_TOKENS, Captured, Config, GPU_BATCH_TOKENS, Input, Shard, capture, plan};
