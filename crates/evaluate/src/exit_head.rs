//! The logits of a shortcut's approximation.
//!
//! The final RMSNorm is linear up to one scalar, so for a low-rank map with u = norm(h)·A the logits
//! are (u·P)/s with P = B·diag(g)·Eᵀ (r, V), computed once per map, and s = √(mean(ĥ²) + ε). Per
//! sample that is H/r times fewer operations than the full head.

use onejump_models::head::Head;
use onejump_shortcuts::map::{Map, Projection};
use tch::Tensor;

use crate::EvaluateError;

/// A map with the head behind it.
pub struct ExitHead {
    first: First,
    /// P (r, V), or Eᵀ (H, V).
    unembedding: Tensor,
    /// g of the final norm.
    gain: Tensor,
    eps: f64,
}

enum First {
    Identity,
    Full { w: Tensor },
    LowRank { projection: Projection, b: Tensor },
}

/// What a shortcut makes of a batch of hidden states.
pub struct Approximated {
    /// ĥ, (n, H).
    pub hidden: Tensor,
    /// The factor that the unembedding of [`ExitHead`] is multiplied with: (n, r) or (n, H).
    pub factor: Tensor,
}

impl ExitHead {
    /// The head behind a map; `None` is the identity.
    ///
    /// # Errors
    /// [`EvaluateError`] if map and head are of different hidden sizes.
    pub fn new(map: Option<&Map>, head: &Head) -> Result<Self, EvaluateError> {
        let transposed = head.unembedding.weight.f_transpose(0, 1)?; // (H, V)
        let (first, unembedding) = match map {
            None => (First::Identity, transposed),
            Some(Map::Full { w }) => (First::Full { w: w.shallow_clone() }, transposed),
            Some(map @ Map::LowRank { b, .. }) => {
                let projection = map
                    .projection()?
                    .ok_or_else(|| EvaluateError::Usage("a low-rank map without a projection".to_owned()))?;
                let unembedding = b.f_mul(&head.norm.weight)?.f_mm(&transposed)?; // B·diag(g)·Eᵀ
                (First::LowRank { projection, b: b.shallow_clone() }, unembedding)
            }
        };
        let gain = head.norm.weight.shallow_clone();
        Ok(Self { first, unembedding, gain, eps: head.norm.eps })
    }

    /// The same; the tensors are shared, not copied. A clone can be sent to another thread.
    pub fn shallow_clone(&self) -> Self {
        Self {
            first: match &self.first {
                First::Identity => First::Identity,
                First::Full { w } => First::Full { w: w.shallow_clone() },
                First::LowRank { projection, b } => First::LowRank {
                    projection: Projection {
                        matrix: projection.matrix.shallow_clone(),
                        constant: projection.constant.shallow_clone(),
                    },
                    b: b.shallow_clone(),
                },
            },
            unembedding: self.unembedding.shallow_clone(),
            gain: self.gain.shallow_clone(),
            eps: self.eps,
        }
    }

    /// Whether the head is fused with a low-rank map.
    pub fn is_fused(&self) -> bool {
        matches!(self.first, First::LowRank { .. })
    }

    /// ĥ of hidden states (n, H), and what becomes logits through [`ExitHead::logits_into`].
    ///
    /// # Errors
    /// [`EvaluateError::Shortcut`] if `hidden` has another width.
    pub fn approximate(&self, hidden: &Tensor) -> Result<Approximated, EvaluateError> {
        let inverse_scale = |hidden: &Tensor| {
            let mean_square = hidden.f_square()?.f_mean_dim([-1i64].as_slice(), true, None)?;
            mean_square.f_add_scalar(self.eps)?.f_rsqrt() // 1/s, (n, 1)
        };
        if let First::LowRank { projection, b } = &self.first {
            let u = projection.apply(hidden)?; // (n, r)
            let hidden = u.f_mm(b)?;
            let factor = u.f_mul(&inverse_scale(&hidden)?)?;
            return Ok(Approximated { hidden, factor });
        }
        let hidden = match &self.first {
            First::Full { w } => hidden.f_mm(w)?,
            _ => hidden.shallow_clone(),
        };
        let factor = hidden.f_mul(&inverse_scale(&hidden)?)?.f_mul(&self.gain)?;
        Ok(Approximated { hidden, factor })
    }

    /// Writes the logits (n, V) into `out`, which keeps its memory from batch to batch.
    ///
    /// # Errors
    /// [`EvaluateError::Torch`] if the shapes do not fit.
    pub fn logits_into(&self, out: &Tensor, factor: &Tensor) -> Result<(), EvaluateError> {
        let _ = factor.f_mm_out(out, &self.unembedding)?;
        Ok(())
    }
}
