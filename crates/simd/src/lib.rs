//! What the hot loops of the stages share: arithmetic in the widest vectors of the processor at hand,
//! chosen when the program runs (AVX-512, AVX2 with FMA, NEON, or none).
//!
//! | task | where |
//! |---|---|
//! | lay a matrix out once, multiply rows with it often | [`Panels`] |
//! | silu(x·gate) ⊙ (x·up) of a gated feed-forward | [`Panels::gated`] |
//! | eˣ of a vector | [`exp`] |
//! | Σ xᵀx and Σ xᵀy of f32 rows, in f64 | [`gram`], [`cross`] |
//! | one look at a row of logits: its largest, ln Σ exp | [`RowScan`] |
//! | products, cosines and distances of rows | [`dot`], [`add_cosines`], [`distances`] |
//!
//! A general product takes any two matrices, lays both out anew each time and writes its result to memory.
//! A model's weights are the same in every batch, so they are laid out when they are loaded; and what is made
//! of a product (a look at logits, a gate) is made while it lies in the nearest cache.
//!
//! Everything here computes in the thread that calls it, and always in the same order: results do not depend on
//! the number of threads or of rows. This crate knows nothing of torch.

mod exp;
mod outer;
mod panels;
mod rows;
mod scan;
mod tiles;

pub use exp::exp;
pub use outer::{cross, gram};
pub use panels::Panels;
pub use rows::{CosineSums, Distance, add_cosines, distances, dot};
pub use scan::RowScan;
pub use tiles::ROWS;
