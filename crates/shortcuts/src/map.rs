//! The maps themselves, in the row-vector convention: ĥ = norm(h)·A·B.

use tch::{Device, Kind, Tensor};

use crate::ShortcutError;
use crate::batch_norm::BatchNorm;

/// A map from (N, H) to (N, H).
#[derive(Debug)]
pub enum Map {
    /// ĥ = h·W (Din et al. 2023), or h·W + bias (Belrose et al. 2023).
    Full {
        /// (H, H).
        w: Tensor,
        /// (H); absent in jtc.
        bias: Option<Tensor>,
    },
    /// ĥ = norm(h)·A·B (Eq. 1), or without the norm.
    LowRank {
        /// Absent in njtc.
        norm: Option<BatchNorm>,
        /// (H, r).
        a: Tensor,
        /// (r, H).
        b: Tensor,
    },
    /// ĥ = α·x + ((x·A) ⊙ s + t)·B of the state at length 1, x = h/‖h‖.
    Residual {
        /// α, (1).
        alpha: Tensor,
        /// s, (r).
        scale: Tensor,
        /// t, (r).
        shift: Tensor,
        /// (H, r).
        a: Tensor,
        /// (r, H).
        b: Tensor,
    },
}

/// States (N, H) at length 1; a state of 0 stays 0.
///
/// # Errors
/// [`ShortcutError::Torch`] if libtorch refuses.
pub fn unit(states: &Tensor) -> Result<Tensor, ShortcutError> {
    let double = states.f_to_kind(Kind::Double)?;
    let squares = double.f_square()?.f_sum_dim_intlist([-1i64].as_slice(), true, None)?;
    Ok(double.f_mul(&squares.f_clamp_min(f64::MIN_POSITIVE)?.f_rsqrt()?)?.f_to_kind(Kind::Float)?)
}

/// The first half of a low-rank map as one affine map: u = h·M + c, where ĥ = u·B; of a residual x in place of h, and
/// ĥ = u·B + α·x.
#[derive(Debug)]
pub struct Projection {
    /// M: BatchNorm's scale and A in one, (H, r).
    pub matrix: Tensor,
    /// c: BatchNorm's shift through A, (1, r).
    pub constant: Tensor,
}

impl Projection {
    /// (N, H) -> (N, r).
    ///
    /// # Errors
    /// [`ShortcutError`] if `hidden` has another width.
    pub fn apply(&self, hidden: &Tensor) -> Result<Tensor, ShortcutError> {
        Ok(self.constant.f_addmm(hidden, &self.matrix)?)
    }
}

impl Map {
    /// The same map; the tensors are shared, not copied. A clone can be sent to another thread.
    pub fn shallow_clone(&self) -> Self {
        match self {
            Self::Full { w, bias } => {
                Self::Full { w: w.shallow_clone(), bias: bias.as_ref().map(Tensor::shallow_clone) }
            }
            Self::LowRank { norm, a, b } => Self::LowRank {
                norm: norm.as_ref().map(BatchNorm::shallow_clone),
                a: a.shallow_clone(),
                b: b.shallow_clone(),
            },
            Self::Residual { alpha, scale, shift, a, b } => Self::Residual {
                alpha: alpha.shallow_clone(),
                scale: scale.shallow_clone(),
                shift: shift.shallow_clone(),
                a: a.shallow_clone(),
                b: b.shallow_clone(),
            },
        }
    }

    /// The same map on a device; where it is there already, the tensors are shared.
    ///
    /// # Errors
    /// [`ShortcutError::Torch`] if libtorch cannot copy it.
    pub fn to_device(&self, device: Device) -> Result<Self, ShortcutError> {
        let there = |tensor: &Tensor| tensor.f_to_device(device);
        Ok(match self {
            Self::Full { w, bias } => {
                Self::Full { w: there(w)?, bias: bias.as_ref().map(there).transpose()? }
            }
            Self::LowRank { norm, a, b } => Self::LowRank {
                norm: norm.as_ref().map(|norm| norm.to_device(device)).transpose()?,
                a: there(a)?,
                b: there(b)?,
            },
            Self::Residual { alpha, scale, shift, a, b } => Self::Residual {
                alpha: there(alpha)?,
                scale: there(scale)?,
                shift: there(shift)?,
                a: there(a)?,
                b: there(b)?,
            },
        })
    }

    /// H.
    pub fn hidden_size(&self) -> usize {
        match self {
            Self::Full { w, .. } => w.size()[0] as usize,
            Self::LowRank { a, .. } | Self::Residual { a, .. } => a.size()[0] as usize,
        }
    }

    /// r of a map whose approximations have r dimensions, so that the head can be fused with it. Those of a residual
    /// have all H.
    pub fn fused_rank(&self) -> Option<usize> {
        match self {
            Self::Full { .. } | Self::Residual { .. } => None,
            Self::LowRank { a, .. } => Some(a.size()[1] as usize),
        }
    }

    /// ĥ of hidden states: (N, H) -> (N, H).
    ///
    /// # Errors
    /// [`ShortcutError::HiddenSize`] if `hidden` has another width.
    pub fn apply(&self, hidden: &Tensor) -> Result<Tensor, ShortcutError> {
        let found = hidden.size().last().copied().unwrap_or(0) as usize;
        if found != self.hidden_size() {
            return Err(ShortcutError::HiddenSize { expected: self.hidden_size(), found });
        }
        Ok(match self {
            Self::Full { w, bias: None } => hidden.f_mm(w)?,
            Self::Full { w, bias: Some(bias) } => bias.f_addmm(hidden, w)?,
            Self::LowRank { b, .. } => match self.projection()? {
                Some(projection) => projection.apply(hidden)?.f_mm(b)?,
                None => hidden.shallow_clone(),
            },
            Self::Residual { alpha, b, .. } => {
                let x = unit(hidden)?;
                let residual = x.f_mul(alpha)?;
                match self.projection()? {
                    Some(projection) => residual.f_addmm(&projection.apply(&x)?, b)?,
                    None => residual,
                }
            }
        })
    }

    /// The first half of a low-rank map or of a residual's low-rank part, in f32; none for a full map. It is computed in
    /// f64, as [`BatchNorm::folded`] is.
    ///
    /// # Errors
    /// [`ShortcutError::Torch`] if the tensors do not fit together.
    pub fn projection(&self) -> Result<Option<Projection>, ShortcutError> {
        let (norm, a) = match self {
            Self::Full { .. } => return Ok(None),
            Self::Residual { scale, shift, a, .. } => {
                return Ok(Some(Projection { matrix: a.f_mul(scale)?, constant: shift.f_unsqueeze(0)? }));
            }
            Self::LowRank { norm, a, .. } => (norm, a),
        };
        let (matrix, constant) = match norm {
            None => (a.shallow_clone(), Tensor::f_zeros([1, a.size()[1]], (Kind::Float, a.device()))?),
            Some(norm) => {
                let folded = norm.folded()?;
                let a = a.f_to_kind(Kind::Double)?;
                let constant = folded.shift.f_unsqueeze(0)?.f_mm(&a)?; // (1, H)·(H, r)
                (folded.scale.f_unsqueeze(1)?.f_mul(&a)?, constant)
            }
        };
        Ok(Some(Projection {
            matrix: matrix.f_to_kind(Kind::Float)?,
            constant: constant.f_to_kind(Kind::Float)?,
        }))
    }

    /// The tensors by the names that they have in a file, without the level.
    pub(crate) fn tensors(&self) -> Vec<(&'static str, &Tensor)> {
        match self {
            Self::Full { w, bias } => {
                [("w", w)].into_iter().chain(bias.iter().map(|bias| ("bias", bias))).collect()
            }
            Self::LowRank { norm, a, b } => {
                let mut tensors = vec![("a", a), ("b", b)];
                if let Some(norm) = norm {
                    tensors.extend([
                        ("norm.weight", &norm.weight),
                        ("norm.bias", &norm.bias),
                        ("norm.running_mean", &norm.running_mean),
                        ("norm.running_var", &norm.running_var),
                    ]);
                }
                tensors
            }
            Self::Residual { alpha, scale, shift, a, b } => {
                vec![("a", a), ("b", b), ("alpha", alpha), ("scale", scale), ("shift", shift)]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (1, 2)·W + (10, 20), with W = ((1, 2), (3, 4)): rows are inputs.
    #[test]
    fn a_full_map_is_rows_times_w_plus_the_bias() {
        let w = Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0]).reshape([2, 2]);
        let hidden = Tensor::from_slice(&[1f32, 2.0]).reshape([1, 2]);
        for (bias, expected) in
            [(None, [7.0, 10.0]), (Some(Tensor::from_slice(&[10f32, 20.0])), [17.0, 30.0])]
        {
            let mapped = Map::Full { w: w.shallow_clone(), bias }.apply(&hidden).unwrap();
            assert_eq!(Vec::<f32>::try_from(mapped.reshape([2])).unwrap(), expected);
        }
    }

    /// (h − 1)/√(3 + 1)·2 + 0.5, then the sum of both values through A = (1, 1)ᵀ, then B = (10, 0).
    #[test]
    fn a_low_rank_map_is_norm_then_a_then_b() {
        let filled =
            |value: f32, size: &[i64]| Tensor::full(size, f64::from(value), (Kind::Float, tch::Device::Cpu));
        let norm = BatchNorm {
            weight: filled(2.0, &[2]),
            bias: filled(0.5, &[2]),
            running_mean: filled(1.0, &[2]),
            running_var: filled(3.0, &[2]),
            eps: 1.0,
        };
        let map = Map::LowRank {
            norm: Some(norm),
            a: filled(1.0, &[2, 1]),
            b: Tensor::from_slice(&[10f32, 0.0]).reshape([1, 2]),
        };
        let mapped = map.apply(&Tensor::from_slice(&[1f32, 3.0]).reshape([1, 2])).unwrap();
        // norm: 0.5 and 2.5; sum 3.
        assert_eq!(Vec::<f32>::try_from(mapped.reshape([2])).unwrap(), [30.0, 0.0]);
        let there = map.to_device(tch::Device::Cpu).unwrap();
        assert_eq!(there.tensors().len(), 6);
        for ((name, ours), (same, theirs)) in there.tensors().into_iter().zip(map.tensors()) {
            assert!(name == same && ours == theirs, "{name}");
        }
        let error = map.apply(&filled(0.0, &[1, 3])).unwrap_err();
        assert!(matches!(error, ShortcutError::HiddenSize { expected: 2, found: 3 }), "{error}");
    }

    /// (3, 4) is (0.6, 0.8) at length 1, and so are its multiples: u = 1.4·2 + 0.2 = 3, and 0.5·x beside u·B. f32 values of
    /// order 30: 1e-5. A state of 0 has the shift alone.
    #[test]
    fn a_residual_is_alpha_x_beside_the_low_rank_part_of_x() {
        let row = |values: &[f32]| Tensor::from_slice(values);
        let map = Map::Residual {
            alpha: row(&[0.5]),
            scale: row(&[2.0]),
            shift: row(&[0.2]),
            a: row(&[1.0, 1.0]).reshape([2, 1]),
            b: row(&[10.0, 0.0]).reshape([1, 2]),
        };
        let hidden = row(&[3.0, 4.0, 0.3, 0.4, 0.0, 0.0]).reshape([3, 2]);
        let mapped = Vec::<f32>::try_from(map.apply(&hidden).unwrap().reshape([-1])).unwrap();
        for (mapped, expected) in mapped.iter().zip([30.3, 0.4, 30.3, 0.4, 2.0, 0.0]) {
            assert!((mapped - expected).abs() < 1e-5, "{mapped} {expected}");
        }
        assert_eq!((map.hidden_size(), map.fused_rank()), (2, None));
        let there = map.to_device(tch::Device::Cpu).unwrap();
        assert_eq!(there.apply(&hidden).unwrap(), map.shallow_clone().apply(&hidden).unwrap());
    }
}
