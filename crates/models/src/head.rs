//! The head: final norm, then unembedding. `softmax(head(h))` is a next-token distribution.

use tch::Tensor;

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::device::Place;
use crate::norm::Norm;
use crate::transformer;

/// A model's head, loaded without its blocks.
pub struct Head {
    /// The final norm.
    pub norm: Norm,
    /// E: logits = norm(h)·Eᵀ, (V, H).
    pub unembedding: Tensor,
}

impl Head {
    /// Loads the final norm and the unembedding; nothing else of the checkpoint is read.
    ///
    /// # Errors
    /// [`ModelError`] if the architecture is not known or a tensor is missing.
    pub fn load(checkpoint: &mut Checkpoint, place: Place) -> Result<Self, ModelError> {
        (transformer::family(checkpoint)?.head)(checkpoint, place)
    }

    /// The same head; the tensors are shared, not copied. A clone can be sent to another thread.
    pub fn shallow_clone(&self) -> Self {
        Self { norm: self.norm.shallow_clone(), unembedding: self.unembedding.shallow_clone() }
    }

    /// H.
    pub fn hidden_size(&self) -> usize {
        self.unembedding.size()[1] as usize
    }

    /// V.
    pub fn vocab_size(&self) -> usize {
        self.unembedding.size()[0] as usize
    }

    /// The logits of final hidden states: (N, H) -> (N, V).
    ///
    /// # Errors
    /// [`ModelError::Torch`] if `hidden` has another width.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor, ModelError> {
        Ok(self.norm.forward(hidden)?.f_mm(&self.unembedding.f_transpose(0, 1)?)?)
    }
}
