//! What every crate that uses libtorch needs of it beside the tensors themselves.
//!
//! | task | where |
//! |---|---|
//! | rows of numbers as a tensor | [`rows::tensor`] |
//! | a tensor as rows of numbers | [`rows::values`] |
//! | threads that work beside each other | [`threads::pool`] |
//! | tensors to a GPU and back without waiting | [`transfer`] |
//! | which GPUs libtorch can use, and what it lacks | [`cuda`] |
//!
//! ```
//! use onejump_tensor::rows;
//!
//! let states = rows::tensor(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3)?; // (N, H) = (2, 3)
//! assert_eq!(states.size(), [2, 3]);
//! assert_eq!(rows::values(&states)?, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
//! # Ok::<(), tch::TchError>(())
//! ```
//!
//! This crate knows nothing of models, shortcuts or files.

pub mod cuda;
pub mod rows;
pub mod threads;
pub mod transfer;
