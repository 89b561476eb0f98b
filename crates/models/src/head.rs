//! The head: final norm, then unembedding. `softmax(head(h))` is a next-token distribution.

use tch::Tensor;

use crate::ModelError;
use crate::norm::Norm;

/// A model's head, loaded without its blocks.
pub struct Head {
    /// The final norm.
    pub norm: Norm,
    /// E: logits = norm(h)·Eᵀ, (V, H).
    pub unembedding: Tensor,
}

impl Head {
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
