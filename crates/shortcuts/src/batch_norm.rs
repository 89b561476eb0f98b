//! BatchNorm as it is applied: with its running statistics.

use tch::{Device, Kind, Tensor};

use crate::ShortcutError;

/// (h − mean) / √(var + ε) ⊙ weight + bias.
#[derive(Debug)]
pub struct BatchNorm {
    /// (H).
    pub weight: Tensor,
    /// (H).
    pub bias: Tensor,
    /// (H).
    pub running_mean: Tensor,
    /// (H).
    pub running_var: Tensor,
    /// ε.
    pub eps: f64,
}

/// BatchNorm folded into norm(h) = h ⊙ scale + shift.
#[derive(Debug)]
pub struct Affine {
    /// weight / √(var + ε), (H) f64.
    pub scale: Tensor,
    /// bias − mean ⊙ scale, (H) f64.
    pub shift: Tensor,
}

impl BatchNorm {
    /// Scale and shift. In f64, because the shift is a difference of large numbers where a few states are huge.
    ///
    /// # Errors
    /// [`ShortcutError::Torch`] if the tensors have different lengths.
    pub fn folded(&self) -> Result<Affine, ShortcutError> {
        let double = |tensor: &Tensor| tensor.f_to_kind(Kind::Double);
        let deviation = double(&self.running_var)?.f_add_scalar(self.eps)?.f_sqrt()?;
        let scale = double(&self.weight)?.f_div(&deviation)?;
        let shift = double(&self.bias)?.f_sub(&double(&self.running_mean)?.f_mul(&scale)?)?;
        Ok(Affine { scale, shift })
    }

    pub(crate) fn to_device(&self, device: Device) -> Result<Self, ShortcutError> {
        let there = |tensor: &Tensor| tensor.f_to_device(device);
        Ok(Self {
            weight: there(&self.weight)?,
            bias: there(&self.bias)?,
            running_mean: there(&self.running_mean)?,
            running_var: there(&self.running_var)?,
            eps: self.eps,
        })
    }

    pub(crate) fn shallow_clone(&self) -> Self {
        Self {
            weight: self.weight.shallow_clone(),
            bias: self.bias.shallow_clone(),
            running_mean: self.running_mean.shallow_clone(),
            running_var: self.running_var.shallow_clone(),
            eps: self.eps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// 2/√(3 + 1) = 1 and 0.5 − 7·1 = −6.5: all of them are exact in binary.
    #[test]
    fn scale_and_shift_are_those_of_the_formula() {
        let filled = |value: f64| Tensor::full([2], value, (Kind::Float, Device::Cpu));
        let norm = BatchNorm {
            weight: filled(2.0),
            bias: filled(0.5),
            running_mean: filled(7.0),
            running_var: filled(3.0),
            eps: 1.0,
        };
        let folded = norm.folded().unwrap();
        assert_eq!(folded.scale.kind(), Kind::Double);
        assert_eq!(Vec::<f64>::try_from(folded.scale).unwrap(), [1.0, 1.0]);
        assert_eq!(Vec::<f64>::try_from(folded.shift).unwrap(), [-6.5, -6.5]);
    }
}
