//! A model for sessions.

use std::sync::Arc;

use tch::Device;

use super::slice_model::SliceModel;
use super::tensor_model::TensorModel;
use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::decoder::Dimensions;
use crate::device::{Batch, Place};

/// A model without its head, for sessions; they share it.
pub struct Model(pub(super) Form);

/// Where it computes.
pub(super) enum Form {
    /// On the CPU, for a few rows at a time.
    Slices(Arc<SliceModel>),
    /// On a GPU, or on the CPU in a test of that.
    Tensors(TensorModel),
}

impl Model {
    /// Loads the blocks and the embedding of a checkpoint, for the CPU. Each matrix is kept in the narrowest form that holds
    /// it exactly.
    ///
    /// # Errors
    /// As [`crate::transformer::Transformer::load`].
    pub fn load(checkpoint: &mut Checkpoint) -> Result<Self, ModelError> {
        Self::load_in(checkpoint, Place::DECODING)
    }

    /// The same in a place: [`Batch::Few`] with a format rounds every matrix of blocks, embedding and head, which is another
    /// model as far as that rounds; [`Batch::Many`] is for a GPU, which computes in the place's type.
    ///
    /// # Errors
    /// As [`Model::load`]; [`ModelError::TooLargeFor`] if the format cannot hold a weight.
    ///
    /// # Panics
    /// If the place is a GPU with [`Batch::Few`].
    pub fn load_in(checkpoint: &mut Checkpoint, place: Place) -> Result<Self, ModelError> {
        Ok(Self(match place.batch {
            Batch::Few(_) if place.device != Device::Cpu => panic!("Batch::Few is for the CPU"),
            Batch::Few(format) => Form::Slices(Arc::new(SliceModel::load(checkpoint, format)?)),
            Batch::Many => Form::Tensors(TensorModel::load(checkpoint, place)?),
        }))
    }

    /// H.
    pub fn hidden_size(&self) -> usize {
        self.dimensions().hidden_size as usize
    }

    /// K.
    pub fn blocks(&self) -> usize {
        self.dimensions().blocks
    }

    /// The longest text.
    pub fn context(&self) -> usize {
        self.dimensions().context as usize
    }

    /// V.
    pub(super) fn vocab_size(&self) -> i64 {
        self.dimensions().vocab_size
    }

    /// The bytes of weights that a token reads on its way through all blocks.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Form::Slices(model) => model.bytes,
            Form::Tensors(model) => model.bytes,
        }
    }

    fn dimensions(&self) -> &Dimensions {
        match &self.0 {
            Form::Slices(model) => &model.dimensions,
            Form::Tensors(model) => &model.dimensions,
        }
    }
}
