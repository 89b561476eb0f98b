//! The arithmetic of the stages' hot loops, in the widest vectors that the processor has: AVX-512, AVX2 with FMA, NEON,
//! or none, chosen when the program runs.
//!
//! | task | where |
//! |---|---|
//! | lay a matrix out once, multiply rows with it often | [`Panels`] |
//! | multiply weights of 8 to 32 bits with one row, or a few | [`Weights`] |
//! | silu(x·gate) ⊙ (x·up) of a gated feed-forward | [`Panels::gated`] |
//! | attention of one query over a cache of keys and values | [`Attend`] |
//! | silu and gelu | [`Activation`] |
//! | eˣ of a vector | [`exp()`] |
//! | Σ xᵀx and Σ xᵀy of f32 rows, in f64 | [`gram`], [`cross`] |
//! | one look at a row of logits: its largest, ln Σ exp | [`RowScan`] |
//! | c·tanh(x/c) of logits | [`soft_cap`] |
//! | products, cosines and distances of rows | [`dot`], [`cosines`], [`distances`] |
//!
//! A general matrix product lays out both factors at each call and writes its result to memory. A model's weights are
//! the same in every batch, so here they are laid out once, when they are loaded; and what uses a product (a look at
//! logits, a gate) uses it while it is still in the nearest cache.
//!
//! Everything here computes in the thread that calls it, and always in the same order: results depend neither on the
//! number of threads nor on the number of rows. This crate knows nothing of torch.

mod activation;
mod attend;
mod blocks;
mod exp;
mod few_rows;
mod format;
mod outer;
mod panels;
mod prefetch;
mod rows;
mod scan;
mod soft_cap;
mod tiles;
mod weights;

pub use activation::Activation;
pub use attend::Attend;
pub use exp::exp;
pub use few_rows::MOST_ROWS;
pub use format::Format;
pub use outer::{cross, gram};
pub use panels::Panels;
pub use rows::{Distance, cosines, distances, dot};
pub use scan::RowScan;
pub use soft_cap::soft_cap;
pub use tiles::ROWS;
pub use weights::Weights;
