//! GGUF files read as if they were Hugging Face checkpoints: a `config.json`, f32 tensors under Hugging Face's
//! names and in its layout, and a `tokenizer.json`.
//!
//! | task | where |
//! |---|---|
//! | open a file, read its configuration and tensors | [`GgufFile`] |
//! | build the tokenizer from its vocabulary and merges | [`GgufFile::tokenizer_json`] |
//!
//! ```no_run
//! let mut gguf = onejump_gguf::GgufFile::open("model.gguf".as_ref())?;
//! let config = gguf.config()?;                       // as config.json would say it
//! let embeddings = gguf.tensor("model.embed_tokens.weight")?; // (V, H), dequantised
//! # Ok::<(), onejump_gguf::GgufError>(())
//! ```
//!
//! Dequantising is candle's. This crate knows nothing of torch and runs no model.

mod chat;
mod config;
mod error;
mod file;
mod gemma;
mod header;
mod keys;
mod kinds;
mod names;
mod neox;
mod olmo;
mod parts;
mod sentencepiece;
mod tokenizer;

pub use error::GgufError;
pub use file::{F32Tensor, GgufFile};
