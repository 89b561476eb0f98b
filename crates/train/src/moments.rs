//! First and second moments of inputs and targets, accumulated in f64 in one pass.
//!
//! f32 would not do: a few states are a hundred times larger than the others, and the moments square
//! that. Everything that the closed form needs of N samples is in these H×H matrices.

use tch::{Kind, Tensor};

use crate::TrainError;

/// Rows that are converted to f64 at a time.
pub(crate) const CHUNK: i64 = 2048;

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
        let mut start = 0;
        while start < samples {
            let rows = CHUNK.min(samples - start);
            let x = inputs.f_narrow(0, start, rows)?.f_to_kind(Kind::Double)?;
            let y = targets.f_narrow(0, start, rows)?.f_to_kind(Kind::Double)?;
            let transposed = x.f_transpose(0, 1)?; // (H, n)
            moments.xx = moments.xx.f_addmm(&transposed, &x)?;
            moments.xy = moments.xy.f_addmm(&transposed, &y)?;
            moments.x = moments.x.f_add(&column_sum(&x)?)?;
            moments.y = moments.y.f_add(&column_sum(&y)?)?;
            moments.y_squared += y.f_square()?.f_sum(Kind::Double)?.double_value(&[]);
            start += rows;
        }
        Ok(moments)
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
