//! First and second moments of inputs and targets, accumulated in f64 in one pass.
//!
//! f32 would not do: a few states are a hundred times larger than the others, and the moments square
//! that. Everything that the closed form needs of N samples is in these H×H matrices.

use std::ops::Range;

use onejump_simd as simd;
use onejump_tensor::rows::tensor;
use rayon::prelude::*;
use tch::Tensor;

use crate::TrainError;

/// Fewest columns of a matrix that a thread sums up at a time: for each it converts all inputs anew.
const COLUMNS: usize = 128;

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

/// Targets y (N, H), and the sums over them, which are the same whatever the inputs.
#[derive(Debug)]
pub struct TargetRows {
    rows: Vec<f32>,
    hidden: usize,
    /// Σ y, (H).
    sum: Vec<f64>,
    /// Σ ‖y‖².
    squared: f64,
}

impl TargetRows {
    /// Rows (N, H).
    ///
    /// # Panics
    /// If `hidden` is 0, or they are no whole number of rows.
    pub fn new(rows: Vec<f32>, hidden: usize) -> Self {
        assert!(rows.len().is_multiple_of(hidden), "{} values are no rows of {hidden}", rows.len());
        let squared = rows.chunks(hidden).map(squared).sum();
        Self { sum: column_sums(&rows, hidden), squared, hidden, rows }
    }

    /// Σ xᵀy for inputs x (N, H), row by row: (H, H) f64.
    ///
    /// # Errors
    /// [`TrainError::Torch`] if there is no memory for it.
    ///
    /// # Panics
    /// If there are more inputs or fewer.
    pub fn cross(&self, inputs: &[f32]) -> Result<Tensor, TrainError> {
        matrix(self.hidden, |columns| simd::cross(inputs, &self.rows, self.hidden, columns))
    }

    /// As a tensor, (N, H) f32.
    pub(crate) fn tensor(&self) -> Result<Tensor, TrainError> {
        Ok(tensor(&self.rows, self.hidden)?)
    }
}

impl Moments {
    /// The moments of `inputs` (N, H), row by row, and targets.
    ///
    /// # Errors
    /// [`TrainError::Torch`] if there is no memory for them.
    ///
    /// # Panics
    /// If the two have different sizes.
    pub fn of(inputs: &[f32], targets: &TargetRows) -> Result<Self, TrainError> {
        let hidden = targets.hidden;
        let (upper, cross) = rayon::join(
            || matrix(hidden, |columns| simd::gram(inputs, hidden, columns)),
            || targets.cross(inputs),
        );
        let upper = upper?.f_triu(0)?;
        Ok(Self {
            samples: (inputs.len() / hidden) as f64,
            x: Tensor::f_from_slice(&column_sums(inputs, hidden))?,
            xx: upper.f_add(&upper.f_triu(1)?.f_transpose(0, 1)?)?,
            xy: cross?,
            y: Tensor::f_from_slice(&targets.sum)?,
            y_squared: targets.squared,
        })
    }

    /// The same moments; the tensors are shared, not copied. A clone can be sent to another thread.
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

    /// The moments of these inputs x and other inputs z of the same samples side by side, (x, z), with Σ xᵀz.
    ///
    /// # Errors
    /// [`TrainError::Torch`] if the shapes do not fit.
    pub fn beside(&self, other: &Self, cross: &Tensor) -> Result<Self, TrainError> {
        let upper = Tensor::f_cat(&[&self.xx, cross], 1)?;
        let lower = Tensor::f_cat(&[&cross.f_transpose(0, 1)?, &other.xx], 1)?;
        Ok(Self {
            x: Tensor::f_cat(&[&self.x, &other.x], 0)?,
            xx: Tensor::f_cat(&[upper, lower], 0)?,
            xy: Tensor::f_cat(&[&self.xy, &other.xy], 0)?,
            ..self.shallow_clone()
        })
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

/// A matrix (H, H) from some of its columns at a time, (H, columns), row by row.
fn matrix(hidden: usize, part: impl Fn(Range<usize>) -> Vec<f64> + Sync) -> Result<Tensor, TrainError> {
    let width = hidden.div_ceil(rayon::current_num_threads()).max(COLUMNS);
    let starts: Vec<_> = (0..hidden).step_by(width).collect();
    let parts: Vec<_> = starts.par_iter().map(|&start| part(start..hidden.min(start + width))).collect();
    let part = |values: &Vec<f64>| Ok(Tensor::f_from_slice(values)?.f_view([hidden as i64, -1])?);
    let parts = parts.iter().map(part).collect::<Result<Vec<_>, TrainError>>()?;
    Ok(Tensor::f_cat(&parts, 1)?)
}

/// (H) f64, of rows (N, H).
fn column_sums(rows: &[f32], hidden: usize) -> Vec<f64> {
    let mut sums = vec![0.0; hidden];
    for row in rows.chunks_exact(hidden) {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
    sums
}

fn squared(row: &[f32]) -> f64 {
    row.iter().map(|&value| f64::from(value).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use onejump_tensor::rows::values;
    use tch::{Device, Kind};

    /// Against the products written out, for sizes that are summed up at once and in parts. f64: 1e-9.
    #[test]
    fn moments_are_the_plain_products() {
        tch::manual_seed(5);
        for (samples, hidden) in [(50, 8), (131, 13), (1, 3), (4, 1), (3, 530)] {
            let random = || Tensor::randn([samples, hidden], (Kind::Float, Device::Cpu));
            let (x, y) = (random(), random());
            let targets = TargetRows::new(values(&y).unwrap(), hidden as usize);
            let moments = Moments::of(&values(&x).unwrap(), &targets).unwrap();
            let (x, y) = (x.to_kind(Kind::Double), y.to_kind(Kind::Double));
            for (ours, plain) in [
                (&moments.xx, x.tr().mm(&x)),
                (&moments.xy, x.tr().mm(&y)),
                (&moments.x, x.sum_dim_intlist([0i64].as_slice(), false, Kind::Double)),
                (&moments.y, y.sum_dim_intlist([0i64].as_slice(), false, Kind::Double)),
                (&Tensor::from(moments.y_squared), y.square().sum(Kind::Double)),
            ] {
                assert!((ours - plain).abs().max().double_value(&[]) < 1e-9, "{samples} x {hidden}");
            }
            let z = random();
            let rows = values(&z).unwrap();
            let other = Moments::of(&rows, &targets).unwrap();
            let cross = TargetRows::new(rows, hidden as usize).cross(&values(&x).unwrap()).unwrap();
            let ours = moments.beside(&other, &cross).unwrap();
            let both = Tensor::cat(&[x, z.to_kind(Kind::Double)], 1);
            for (ours, plain) in [
                (&ours.xx, both.tr().mm(&both)),
                (&ours.xy, both.tr().mm(&y)),
                (&ours.x, both.sum_dim_intlist([0i64].as_slice(), false, Kind::Double)),
            ] {
                assert!((ours - plain).abs().max().double_value(&[]) < 1e-9, "{samples} x {hidden}");
            }
        }
    }
}
