//! Transformers in libtorch with a tap at every level, their checkpoints, and their heads.
//!
//! | task | where |
//! |---|---|
//! | find and open a checkpoint | [`checkpoint::Checkpoint`] |
//! | hidden states of sampled tokens at every level | [`transformer::Transformer::states_at_last`] |
//! | the same of several tokens of each sequence, from one pass | [`transformer::Transformer::states_of`] |
//! | hidden states of all tokens | [`transformer::Transformer::states`] |
//! | one block after another, as far as need be | [`walk::Walk`] |
//! | a text that grows token by token | [`session::Session`] |
//! | when a beginning-of-sequence token comes before a text | [`bos::Bos`] |
//! | next-token distributions from final hidden states | [`head::Head`] |
//!
//! ```no_run
//! use onejump_models::{checkpoint::Checkpoint, head::Head, transformer::Transformer};
//! use onejump_models::device::Place;
//!
//! let mut checkpoint = Checkpoint::open("smollm2-135m")?;
//! let model = Transformer::load(&mut checkpoint, Place::CPU)?;
//! let states = model.states_at_last(&[&[504, 3575, 282]])?; // (K + 1, 1, H)
//! let head = Head::load(&mut checkpoint, Place::CPU)?;
//! let logits = head.logits(&states.get(-1))?; // (1, V)
//! # Ok::<(), onejump_models::ModelError>(())
//! ```
//!
//! To add an architecture: one file beside `llama.rs`, named after its `model_type`, with the keys of config.json that
//! it reads, and a line in `family.rs`; what it shares with the others is in `decoder.rs`. This crate knows nothing of Parquet or of
//! shortcuts, and leaves the network to `onejump-fetch`.

mod attention;
mod bands;
pub mod bos;
pub mod chat;
pub mod checkpoint;
mod comparison;
mod config_keys;
mod decoder;
pub mod device;
mod error;
mod family;
mod gemma;
mod gpt2;
mod gpt_neox;
pub mod head;
mod linear;
mod llama;
mod mistral;
pub mod norm;
mod olmo;
mod pack;
mod phi3;
mod picks;
mod qwen;
mod rotary;
mod rotary_kinds;
mod sampled;
pub mod session;
mod smollm3;
pub mod tf32;
pub mod transformer;
pub mod walk;
mod yarn;

pub use error::ModelError;
