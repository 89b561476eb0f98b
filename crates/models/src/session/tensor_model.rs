//! A model as tensors.

use tch::Tensor;

use super::shared::Shared;
use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::decoder::{Block, Decoder, Dimensions};
use crate::device::Place;

/// A model without its head. Each text has handles of its own to its tensors.
pub(super) struct TensorModel {
    pub dimensions: Dimensions,
    /// Of the weights that a token reads in the blocks.
    pub bytes: usize,
    pub place: Place,
    decoder: Shared<Decoder>,
}

impl TensorModel {
    /// Loads the blocks and the embedding of a checkpoint.
    pub fn load(checkpoint: &mut Checkpoint, place: Place) -> Result<Self, ModelError> {
        let decoder = Decoder::load(checkpoint, place)?;
        let bytes = decoder.blocks.iter().map(Block::bytes).sum();
        Ok(Self { dimensions: decoder.dimensions, bytes, place, decoder: Shared::new(decoder) })
    }

    /// (V, H).
    pub fn embedding(&self) -> Tensor {
        self.decoder.get().embedding.shallow_clone()
    }

    /// Handles of its own, for a text.
    pub fn decoder(&self) -> Decoder {
        self.decoder.get().shallow_clone()
    }
}
