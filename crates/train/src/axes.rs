//! The coordinates of gradient descent: standardised inputs on their principal axes, targets of mean
//! square 1; and the way back to a shortcut.

use onejump_core::shortcut::{BATCH_NORM_EPS, ShortcutKind};
use onejump_shortcuts::batch_norm::BatchNorm;
use onejump_shortcuts::map::Map;
use onejump_tensor::rows;
use tch::{Kind as Dtype, Tensor};

use crate::TrainError;
use crate::linear::{constant_bias, eigen, single};
use crate::moments::Moments;

/// z = ((x − mean) ⊙ scale)·V for a kind with BatchNorm, (x ⊙ scale)·V for one without.
pub(crate) struct Axes {
    mean: Option<Tensor>,
    variance: Tensor,
    /// (H, 1).
    scale: Tensor,
    /// V, the principal axes of the scaled inputs, (H, H).
    axes: Tensor,
    /// Root of the targets' mean square.
    target_scale: f64,
}

/// Where descents on the same targets begin.
pub struct Start {
    /// H.
    pub(crate) hidden: usize,
    /// r.
    pub(crate) rank: usize,
    /// Root of the targets' mean square.
    scale: f64,
    /// The leading principal directions of the scaled targets, each as long as their spread along it,
    /// (r, H).
    pub(crate) directions: Vec<f32>,
}

impl Start {
    /// Of targets (N, H).
    ///
    /// # Errors
    /// [`TrainError`] if they are not finite.
    pub fn of(targets: &Tensor, rank: usize) -> Result<Self, TrainError> {
        let (samples, hidden) = targets.size2()?;
        let mut second = Tensor::f_zeros([hidden, hidden], (Dtype::Double, targets.device()))?;
        for start in (0..samples).step_by(CHUNK as usize) {
            let y = targets.f_narrow(0, start, CHUNK.min(samples - start))?.f_to_kind(Dtype::Double)?;
            let _ = second.f_addmm_(&y.f_transpose(0, 1)?, &y)?;
        }
        let second = second.f_div_scalar(samples as f64)?; // mean(yᵀy)
        let mean_square = second.f_trace()?.double_value(&[]) / hidden as f64;
        let scale = mean_square.sqrt().max(f64::MIN_POSITIVE);
        let (values, vectors) = eigen(&second.f_div_scalar(scale)?.f_div_scalar(scale)?)?; // ascending
        let first = hidden - rank as i64;
        let lengths = values.f_narrow(0, first, rank as i64)?.f_clamp_min(0.0)?.f_sqrt()?;
        let directions = vectors.f_narrow(1, first, rank as i64)?.f_mul(&lengths)?.f_transpose(0, 1)?;
        let directions = rows::values(&directions)?;
        Ok(Self { hidden: hidden as usize, rank, scale, directions })
    }
}

/// What a descent found, in these coordinates.
pub(crate) struct TurnedMap {
    /// (H, r), or W (H, H).
    pub a: Tensor,
    /// (r, H).
    pub b: Option<Tensor>,
    /// BatchNorm's weight and bias.
    pub norm: Option<(Tensor, Tensor)>,
}

impl Axes {
    /// The coordinates for samples with these moments.
    pub fn of(kind: ShortcutKind, moments: &Moments, start: &Start) -> Result<Self, TrainError> {
        let n = moments.samples;
        let second = moments.xx.f_div_scalar(n)?;
        let (mean, gram) = if kind.has_norm() {
            let mean = moments.x.f_div_scalar(n)?;
            let gram = second.f_sub(&mean.f_outer(&mean)?)?;
            (Some(mean), gram)
        } else {
            (None, second)
        };
        let variance = gram.f_diagonal(0, 0, 1)?.f_clamp_min(0.0)?;
        let scale = variance.f_add_scalar(BATCH_NORM_EPS)?.f_rsqrt()?.f_unsqueeze(1)?;
        let (_, axes) = eigen(&gram.f_mul(&scale)?.f_mul(&scale.f_transpose(0, 1)?)?)?;
        Ok(Self { mean, variance, scale, axes, target_scale: start.scale })
    }

    /// x -> z, (N, H) f32.
    pub fn inputs(&self, inputs: &Tensor) -> Result<Tensor, TrainError> {
        let turned = Tensor::f_empty(inputs.size(), (Dtype::Float, inputs.device()))?;
        self.turn(inputs, &turned)?;
        Ok(turned)
    }

    /// x -> z, (N, H) f32, in the place of x.
    pub fn turn_in_place(&self, inputs: &Tensor) -> Result<(), TrainError> {
        self.turn(inputs, inputs)
    }

    /// Computed in f64: the mean of a few huge states cancels.
    fn turn(&self, from: &Tensor, into: &Tensor) -> Result<(), TrainError> {
        let rows = from.size2()?.0;
        let axes = single(&self.axes)?;
        for start in (0..rows).step_by(CHUNK as usize) {
            let count = CHUNK.min(rows - start);
            let mut x = from.f_narrow(0, start, count)?.f_to_kind(Dtype::Double)?;
            if let Some(mean) = &self.mean {
                x = x.f_sub(mean)?;
            }
            let scaled = single(&x.f_mul(&self.scale.f_transpose(0, 1)?)?)?;
            let _ = scaled.f_mm_out(&into.f_narrow(0, start, count)?, &axes)?;
        }
        Ok(())
    }

    /// Targets of mean square 1, (N, H) f32.
    pub fn targets(&self, targets: &Tensor) -> Result<Tensor, TrainError> {
        Ok(targets.f_div_scalar(self.target_scale)?)
    }

    /// What a loss in these coordinates is multiplied with.
    pub fn loss_scale(&self) -> f64 {
        self.target_scale * self.target_scale
    }

    /// The shortcut that does in the model's coordinates what `found` does in these.
    pub fn fold(&self, found: TurnedMap) -> Result<Map, TrainError> {
        let double = |tensor: &Tensor| tensor.f_to_kind(Dtype::Double);
        let a = double(&found.a)?;
        let Some(b) = &found.b else {
            let w = self.scale.f_mul(&self.axes.f_mm(&a)?)?.f_mul_scalar(self.target_scale)?;
            return Ok(Map::Full { w: single(&w)?, bias: None });
        };
        let b = single(&b.f_mul_scalar(self.target_scale)?)?;
        let Some((weight, bias)) = &found.norm else {
            let a = self.scale.f_mul(&self.axes.f_mm(&a)?)?;
            return Ok(Map::LowRank { norm: None, a: single(&a)?, b });
        };
        // (z ⊙ w + β)·A' = x̂·(V·diag(w)·A') + β·A', and BatchNorm's bias is any β' with β'·A = β·A'.
        let turned = self.axes.f_mm(&double(weight)?.f_unsqueeze(1)?.f_mul(&a)?)?;
        let constant = double(bias)?.f_unsqueeze(0)?.f_mm(&a)?; // (1, r)
        let mean = match &self.mean {
            Some(mean) => single(mean)?,
            None => single(&self.variance.f_zeros_like()?)?,
        };
        let norm = BatchNorm {
            weight: single(&self.variance.f_ones_like()?)?,
            bias: single(&constant_bias(&turned, &constant)?)?,
            running_mean: mean,
            running_var: single(&self.variance)?,
            eps: BATCH_NORM_EPS,
        };
        Ok(Map::LowRank { norm: Some(norm), a: single(&turned)?, b })
    }
}

/// Rows that are converted to f64 at a time.
const CHUNK: i64 = 512;
