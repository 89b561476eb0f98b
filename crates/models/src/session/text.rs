//! What a session needs of where its text is computed.

use std::borrow::Cow;
use std::ops::Range;

use super::head::Head;
use super::layer::Layer;
use super::rows::Rows;
use crate::ModelError;

/// What is kept of a text where it is computed: each token's residual stream at the level where it stands, and every
/// block's keys and values.
pub(super) trait Text: Send {
    /// How many rows go through a block together at most: a longer prompt goes in pieces.
    fn most_together(&self) -> usize;

    /// Puts tokens into their places, at level 0.
    fn embed(&mut self, tokens: &[i64], rows: &Rows) -> Result<(), ModelError>;

    /// Brings tokens, which have reached a block, behind it.
    fn pass(&mut self, block: usize, rows: &Rows, pass: Pass) -> Result<(), ModelError>;

    /// Moves what is kept of the token in a place to one before it.
    fn keep(&mut self, place: usize, first: usize) -> Result<(), ModelError>;

    /// The residual stream of tokens, (n, H).
    fn states(&self, places: Range<usize>) -> Result<Cow<'_, [f32]>, ModelError>;

    /// Their logits, (n, V).
    fn logits(&self, head: &Head, places: Range<usize>) -> Result<Vec<f32>, ModelError>;

    /// The logits of any states (n, H): (n, V).
    fn read(&self, head: &Head, states: &[f32]) -> Result<Vec<f32>, ModelError>;

    /// Waits until all that was asked for is computed.
    fn wait(&self);

    /// A layer beside the model's own: (n, in) -> (n, out).
    fn apply(&self, layer: &Layer, rows: &[f32]) -> Result<Vec<f32>, ModelError>;
}

/// What a block does with tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// All that it computes.
    Run,
    /// It keeps their keys and values; their states stay as they are.
    Keep,
}
