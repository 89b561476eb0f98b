//! Transformers in libtorch with a tap at every level, their checkpoints, and their heads.
//!
//! | task | where |
//! |---|---|
//! | find and open a checkpoint | [`checkpoint::Checkpoint`] |
//! | hidden states of sampled tokens at every level | [`transformer::Transformer`] |
//! | next-token distributions from final hidden states | [`head::Head`] |
//!
//! ```no_run
//! use onejump_models::{checkpoint::Checkpoint, head::Head, transformer::Transformer};
//! use tch::Device;
//!
//! let mut checkpoint = Checkpoint::open("smollm2-135m")?;
//! let model = Transformer::load(&mut checkpoint, Device::Cpu)?;
//! let states = model.states_at_last(&[&[504, 3575, 282]])?; // (K + 1, 1, H)
//! let head = Head::load(&mut checkpoint, Device::Cpu)?;
//! let logits = head.logits(&states.get(-1))?; // (1, V)
//! # Ok::<(), onejump_models::ModelError>(())
//! ```
//!
//! To add an architecture: one file beside `llama.rs`, named after its `model_type`, and a line in
//! [`transformer`]. This crate knows nothing of Parquet or of shortcuts.

pub mod checkpoint;
pub mod device;
mod error;
pub mod head;
mod llama;
mod pack;
mod rotary;
pub mod transformer;

pub use error::ModelError;
