//! Normalisation of a hidden state.

use tch::{Kind, Tensor};

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::device::Place;

/// A normalisation over the last axis, with its gain.
pub enum Norm {
    /// x / √(mean(x²) + ε) ⊙ weight (Zhang and Sennrich 2019).
    Rms {
        /// The gain g, (H).
        weight: Tensor,
        /// ε.
        eps: f64,
    },
    /// (x − mean) / √(var + ε) ⊙ weight + bias (Ba et al. 2016).
    Layer {
        /// The gain g, (H).
        weight: Tensor,
        /// (H).
        bias: Tensor,
        /// ε.
        eps: f64,
    },
}

impl Norm {
    /// Loads `NAME.weight` of an RMSNorm.
    pub(crate) fn rms(
        checkpoint: &mut Checkpoint,
        name: &str,
        size: i64,
        eps: f64,
        place: Place,
    ) -> Result<Self, ModelError> {
        Ok(Self::Rms { weight: checkpoint.tensor(&format!("{name}.weight"), &[size], place)?, eps })
    }

    /// The same where a directory has w for a gain of 1 + w, as Gemma's have; GGUF has the gain itself. It stays in f32,
    /// in which Gemma multiplies whatever the model's type.
    pub(crate) fn rms_around_one(
        checkpoint: &mut Checkpoint,
        name: &str,
        size: i64,
        eps: f64,
        place: Place,
    ) -> Result<Self, ModelError> {
        let place = Place { dtype: Kind::Float, ..place };
        let stored = checkpoint.tensor(&format!("{name}.weight"), &[size], place)?;
        let weight = if checkpoint.is_gguf() { stored } else { stored.f_add_scalar(1.0)? };
        Ok(Self::Rms { weight, eps })
    }

    /// Loads `NAME.weight` and `NAME.bias` of a LayerNorm.
    pub(crate) fn layer(
        checkpoint: &mut Checkpoint,
        name: &str,
        size: i64,
        eps: f64,
        place: Place,
    ) -> Result<Self, ModelError> {
        let mut load = |part: &str| checkpoint.tensor(&format!("{name}.{part}"), &[size], place);
        Ok(Self::Layer { weight: load("weight")?, bias: load("bias")?, eps })
    }

    /// The gain g.
    pub fn weight(&self) -> &Tensor {
        match self {
            Self::Rms { weight, .. } | Self::Layer { weight, .. } => weight,
        }
    }

    /// What is added at the end, if anything.
    pub fn bias(&self) -> Option<&Tensor> {
        match self {
            Self::Rms { .. } => None,
            Self::Layer { bias, .. } => Some(bias),
        }
    }

    /// x without its mean over the last axis, where the norm subtracts it; x itself otherwise.
    ///
    /// # Errors
    /// [`ModelError::Torch`] if libtorch refuses.
    pub fn centred(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        Ok(match self {
            Self::Rms { .. } => x.shallow_clone(),
            Self::Layer { .. } => x.f_sub(&x.f_mean_dim([-1i64].as_slice(), true, None)?)?,
        })
    }

    /// 1 / √(mean(x²) + ε) of centred x, in f32: (N, H) -> (N, 1).
    ///
    /// # Errors
    /// [`ModelError::Torch`] if libtorch refuses.
    pub fn inverse_scale(&self, centred: &Tensor) -> Result<Tensor, ModelError> {
        let (Self::Rms { eps, .. } | Self::Layer { eps, .. }) = self;
        let mean_square =
            centred.f_to_kind(Kind::Float)?.f_square()?.f_mean_dim([-1i64].as_slice(), true, None)?;
        Ok(mean_square.f_add_scalar(*eps)?.f_rsqrt()?)
    }

    /// (N, H) -> (N, H).
    ///
    /// # Errors
    /// [`ModelError::Torch`] if `x` has another width.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        match self {
            Self::Rms { weight, eps } if x.device().is_cuda() => fused(x, weight, *eps),
            Self::Rms { weight, .. } => {
                let scaled = x.f_mul(&self.inverse_scale(x)?)?; // f32
                if weight.kind() == Kind::Float {
                    return Ok(scaled.f_mul(weight)?.f_to_kind(x.kind())?);
                }
                Ok(scaled.f_to_kind(x.kind())?.f_mul_(weight)?)
            }
            Self::Layer { weight, bias, eps } => {
                Ok(x.f_layer_norm(weight.size().as_slice(), Some(weight), Some(bias), *eps, false)?)
            }
        }
    }

    /// The same norm; the tensors are shared, not copied.
    pub fn shallow_clone(&self) -> Self {
        match self {
            Self::Rms { weight, eps } => Self::Rms { weight: weight.shallow_clone(), eps: *eps },
            Self::Layer { weight, bias, eps } => {
                Self::Layer { weight: weight.shallow_clone(), bias: bias.shallow_clone(), eps: *eps }
            }
        }
    }
}

/// RMSNorm in one kernel of a GPU, where the steps by themselves are eight and pass the states through its memory as
/// often. In bf16 and f16 it rounds once, where transformers rounds before and behind the gain.
fn fused(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor, ModelError> {
    Ok(x.f_rms_norm(weight.size().as_slice(), Some(weight), eps)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// f32: a few roundings, 1e-6. bf16: one rounding of 2^-9 in place of two.
    #[test]
    fn the_fused_norm_is_the_same() {
        tch::manual_seed(4);
        for (dtype, tolerance) in [(Kind::Float, 1e-6), (Kind::BFloat16, 1e-2)] {
            let random = |size: &[i64]| Tensor::randn(size, (Kind::Float, Device::Cpu)).to_kind(dtype);
            let (x, weight, eps) = (random(&[5, 33]) * 3.0, random(&[33]), 1e-3);
            let norm = Norm::Rms { weight: weight.shallow_clone(), eps };
            let (plain, fused) = (norm.forward(&x).unwrap(), fused(&x, &weight, eps).unwrap());
            assert_eq!((plain.kind(), plain.size()), (fused.kind(), fused.size()));
            let error = (plain - &fused).norm().double_value(&[]) / fused.norm().double_value(&[]);
            assert!(error < tolerance, "{dtype:?}: {error}");
        }
    }
}
