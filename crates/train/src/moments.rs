//! First and second moments of inputs and targets, accumulated in f64 in one pass.
//!
//! f32 would not do: a few states are a hundred times larger than the others, and the moments square
//! that. Everything that the closed form needs of N samples is in these H×H matrices.

use tch::{Kind, Tensor};

use crate::TrainError;

/// Rows that are converted to f64 at a time: they stay in the second cache.
pub(crate) const CHUNK: i64 = 256;

/// Parts into which Σ xᵀx is cut, so that its lower half needs no operations: with three, 6/9 are done.
const STRIPES: i64 = 3;

/// Sums over samples of inputs x (H) and targets y (H), f64.
#[derive(Debug)]
pub struct Moments {
    /// N.
    pub samples: f64,
    /// Σ x, (H).
    pub x: Tensor,
    /// Σ xᵀx, (H, H).
    pub xx: Tensor,
    /// Σ xᵀy, (H, H).
    pub xy: Tensor,
    /// Σ y, (H).
    pub y: Tensor,
    /// Σ ‖y‖².
    pub y_squared: f64,
}

impl Moments {
    /// The moments of `inputs` and `targets`, both (N, H) f32.
    ///
    /// # Errors
    /// [`TrainError::Torch`] if the shapes differ.
    pub fn of(inputs: &Tensor, targets: &Tensor) -> Result<Self, TrainError> {
        let (samples, hidden) = inputs.size2()?;
        let zeros = |shape: &[i64]| Tensor::f_zeros(shape, (Kind::Double, inputs.device()));
        let mut moments = Self {
            samples: samples as f64,
            x: zeros(&[hidden])?,
            xx: zeros(&[hidden, hidden])?,
            xy: zeros(&[hidden, hidden])?,
            y: zeros(&[hidden])?,
            y_squared: 0.0,
        };
        let width = (hidden + STRIPES - 1) / STRIPES;
        for start in (0..samples).step_by(CHUNK as usize) {
            let rows = CHUNK.min(samples - start);
            let x = inputs.f_narrow(0, start, rows)?.f_to_kind(Kind::Double)?;
            let y = targets.f_narrow(0, start, rows)?.f_to_kind(Kind::Double)?;
            let transposed = x.f_transpose(0, 1)?; // (H, n)
            // Σ xᵀx is symmetric: of each stripe of rows what is right of the stripe's first column.
            for first in (0..hidden).step_by(width as usize) {
                let (height, rest) = (width.min(hidden - first), hidden - first);
                let stripe = transposed.f_narrow(0, first, height)?;
                let mut sum = moments.xx.f_narrow(0, first, height)?.f_narrow(1, first, rest)?;
                let _ = sum.f_addmm_(&stripe, &x.f_narrow(1, first, rest)?)?;
            }
            let _ = moments.xy.f_addmm_(&transposed, &y)?;
            let _ = moments.x.f_add_(&column_sum(&x)?)?;
            let _ = moments.y.f_add_(&column_sum(&y)?)?;
            moments.y_squared += y.f_square()?.f_sum(Kind::Double)?.double_value(&[]);
        }
        let upper = moments.xx.f_triu(0)?;
        moments.xx = upper.f_add(&upper.f_triu(1)?.f_transpose(0, 1)?)?;
        Ok(moments)
    }

    /// The same; the tensors are shared, not copied. A clone can be sent to another thread.
    pub fn shallow_clone(&self) -> Self {
        Self {
            samples: self.samples,
            x: self.x.shallow_clone(),
            xx: self.xx.shallow_clone(),
            xy: self.xy.shallow_clone(),
            y: self.y.shallow_clone(),
            y_squared: self.y_squared,
        }
    }

    /// The moments of both sets of samples together.
    ///
    /// # Errors
    /// [`TrainError::Torch`] if the hidden sizes differ.
    pub fn add(&mut self, other: &Self) -> Result<(), TrainError> {
        self.samples += other.samples;
        self.x = self.x.f_add(&other.x)?;
        self.xx = self.xx.f_add(&other.xx)?;
        self.xy = self.xy.f_add(&other.xy)?;
        self.y = self.y.f_add(&other.y)?;
        self.y_squared += other.y_squared;
        Ok(())
    }
}

fn column_sum(x: &Tensor) -> Result<Tensor, TrainError> {
    Ok(x.f_sum_dim_intlist([0i64].as_slice(), false, Kind::Double)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// Against the products written out, for sizes that the stripes do and do not divide. f64: 1e-9.
    #[test]
    fn moments_are_the_plain_products() {
        tch::manual_seed(5);
        for (samples, hidden) in [(50, 8), (CHUNK + 3, 13), (1, 3), (4, 1)] {
            let random = || Tensor::randn([samples, hidden], (Kind::Float, Device::Cpu));
            let (x, y) = (random(), random());
            let moments = Moments::of(&x, &y).unwrap();
            let (x, y) = (x.to_kind(Kind::Double), y.to_kind(Kind::Double));
            for (ours, plain) in [
                (&moments.xx, x.tr().mm(&x)),
                (&moments.xy, x.tr().mm(&y)),
                (&moments.x, x.sum_dim_intlist([0i64].as_slice(), false, Kind::Double)),
                (&moments.y, y.sum_dim_intlist([0i64].as_slice(), false, Kind::Double)),
            ] {
                assert!((ours - plain).abs().max().double_value(&[]) < 1e-9, "{samples} x {hidden}");
            }
        }
    }
}
