//! The head: final norm, then unembedding. `softmax(head(h))` is a next-token distribution.

use tch::{Device, Tensor};

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::transformer;

/// x / √(mean(x²) + ε) ⊙ weight (Zhang and Sennrich 2019).
pub struct RmsNorm {
    /// The gain g, (H).
    pub weight: Tensor,
    /// ε.
    pub eps: f64,
}

impl RmsNorm {
    pub(crate) fn shallow_clone(&self) -> Self {
        Self { weight: self.weight.shallow_clone(), eps: self.eps }
    }

    pub(crate) fn load(
        checkpoint: &mut Checkpoint,
        name: &str,
        hidden: i64,
        eps: f64,
        device: Device,
    ) -> Result<Self, ModelError> {
        Ok(Self { weight: checkpoint.tensor(name, &[hidden], device)?, eps })
    }

    /// (N, H) -> (N, H).
    ///
    /// # Errors
    /// [`ModelError::Torch`] if `x` has another width.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        let mean_square = x.f_square()?.f_mean_dim([-1i64].as_slice(), true, None)?; // (N, 1)
        let scale = mean_square.f_add_scalar(self.eps)?.f_rsqrt()?;
        Ok(x.f_mul(&scale)?.f_mul_(&self.weight)?)
    }
}

/// logits = x·Eᵀ.
pub struct Unembedding {
    /// E, (V, H).
    pub weight: Tensor,
}

/// A model's head, loaded without its blocks.
pub struct Head {
    /// The final norm.
    pub norm: RmsNorm,
    /// The unembedding.
    pub unembedding: Unembedding,
}

impl Head {
    /// Loads the final norm and the unembedding; nothing else of the checkpoint is read.
    ///
    /// # Errors
    /// [`ModelError`] if the architecture is not known or a tensor is missing.
    pub fn load(checkpoint: &mut Checkpoint, device: Device) -> Result<Self, ModelError> {
        let (norm, unembedding) = transformer::load_head(checkpoint, device)?;
        Ok(Self { norm, unembedding })
    }

    /// The same head; the tensors are shared, not copied. A clone can be sent to another thread.
    pub fn shallow_clone(&self) -> Self {
        Self {
            norm: self.norm.shallow_clone(),
            unembedding: Unembedding { weight: self.unembedding.weight.shallow_clone() },
        }
    }

    /// H.
    pub fn hidden_size(&self) -> usize {
        self.unembedding.weight.size()[1] as usize
    }

    /// V.
    pub fn vocab_size(&self) -> usize {
        self.unembedding.weight.size()[0] as usize
    }

    /// The logits of final hidden states: (N, H) -> (N, V).
    ///
    /// # Errors
    /// [`ModelError::Torch`] if `hidden` has another width.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor, ModelError> {
        Ok(self.norm.forward(hidden)?.f_mm(&self.unembedding.weight.f_transpose(0, 1)?)?)
    }
}
