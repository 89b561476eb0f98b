//! Captures hidden states: of sampled tokens of each sentence, at every level, as Parquet.
//!
//! | task | where |
//! |---|---|
//! | run a whole capture, or continue one | [`capture`] with a [`Config`] |
//! | what a capture would need | [`plan`](fn@plan) |
//! | turn sentences or JSON lines into samples | [`input_samples`] |
//! | read texts from files of several kinds | [`texts`] |
//! | sample many positions of a text | [`positions`] |
//!
//! ```no_run
//! use onejump_core::observe::Silent;
//! use onejump_capture::{Config, Input, capture};
//!
//! let config = Config::new("smollm2-135m", Input::Sentences("test.txt".into()), "hidden/test");
//! println!("{}", capture(&config, &Silent)?);
//! # Ok::<(), onejump_capture::CaptureError>(())
//! ```
//!
//! This crate knows nothing of shortcuts: it stores what the model computes.

mod ahead;
mod batches;
mod chunks;
mod config;
mod error;
pub mod input_samples;
mod moments;
mod output;
mod pack;
mod plan;
pub mod positions;
mod rows;
mod run;
pub mod samples;
mod sampling;
mod source;
mod stream;
mod survey;
mod text;
pub mod texts;
mod workers;

pub use config::{
    CPU_BATCH_TOKENS, Config, DEFAULT_CHUNK_TOKENS, GPU_BATCH_PARTS, GPU_BATCH_TOKENS, Input,
    MOST_GPU_BATCH_TOKENS,
};
pub use error::CaptureError;
pub use plan::Plan;
pub use run::{Captured, capture, plan};
pub use stream::Computing;
