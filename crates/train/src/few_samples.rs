//! The closed form where there are fewer samples than dimensions: the same optimum as
//! [`closed_form`](crate::closed_form), from N×N matrices.
//!
//! With scaled inputs Z (N, H) and the eigenvectors U and eigenvalues λ of Z·Zᵀ/N, the principal axes of
//! Z are Zᵀ·U/√(N·λ). So G⁻¹·C = Zᵀ·U·diag(1/(N·λ))·Uᵀ·Y, and Cᵀ·G⁻¹·C = Fᵀ·F with F = Uᵀ·Y/√N, which has at
//! most N rows; its leading eigenvectors come from F·Fᵀ.

use onejump_core::shortcut::{BATCH_NORM_EPS, ShortcutKind};
use onejump_shortcuts::map::Map;
use tch::{Kind as Dtype, Tensor};

use crate::TrainError;
use crate::closed_form::assemble;
use crate::linear::{CUTOFF, column_scale, eigen, oriented, single};

/// The best map of a kind for inputs and targets, (N, H) f32 each. `ridge` as in
/// [`closed_form::fit`](crate::closed_form::fit).
pub(crate) fn fit(
    kind: ShortcutKind,
    inputs: &Tensor,
    targets: &Tensor,
    rank: usize,
    ridge: f64,
) -> Result<Map, TrainError> {
    let (x, y) = (inputs.f_to_kind(Dtype::Double)?, targets.f_to_kind(Dtype::Double)?);
    let mean = |tensor: &Tensor| tensor.f_mean_dim([0i64].as_slice(), false, Dtype::Double);
    if !kind.has_norm() {
        let scale = column_scale(&mean(&x.f_square()?)?)?;
        let spectrum = Spectrum::of(&x.f_mul(&scale)?, &y, ridge)?;
        let scale = scale.f_unsqueeze(1)?; // (H, 1)
        if kind == ShortcutKind::Jtc {
            return Ok(Map::Full { w: single(&spectrum.solved(None)?.f_mul(&scale)?)?, bias: None });
        }
        let b = leading(&spectrum.fitted()?, rank)?; // (H, r)
        let a = spectrum.solved(Some(&b))?.f_mul(&scale)?;
        return Ok(Map::LowRank { norm: None, a: single(&a)?, b: single(&b.f_transpose(0, 1)?)? });
    }
    let (mean_x, mean_y) = (mean(&x)?, mean(&y)?);
    let centred = x.f_sub(&mean_x)?;
    let variance = mean(&centred.f_square()?)?;
    let scale = variance.f_add_scalar(BATCH_NORM_EPS)?.f_rsqrt()?;
    let spectrum = Spectrum::of(&centred.f_mul(&scale)?, &y.f_sub(&mean_y)?, ridge)?;
    // The constant input adds the targets' mean as one more row.
    let fitted = Tensor::f_cat(&[spectrum.fitted()?, mean_y.f_unsqueeze(0)?], 0)?;
    let b = leading(&fitted, rank)?; // (H, r)
    assemble(&spectrum.solved(Some(&b))?, &b, &mean_x, &variance, &mean_y)
}

/// Z, and what its small Gram matrix says.
struct Spectrum {
    z: Tensor,
    /// U, (N, n): the eigenvectors whose eigenvalues are not 0.
    vectors: Tensor,
    /// λ, (n, 1).
    values: Tensor,
    /// λ + ridge·mean(diag G), (n, 1).
    damped: Tensor,
    /// Uᵀ·Y, (n, H).
    turned: Tensor,
}

impl Spectrum {
    fn of(z: &Tensor, y: &Tensor, ridge: f64) -> Result<Self, TrainError> {
        let (samples, hidden) = z.size2()?;
        let gram = z.f_mm(&z.f_transpose(0, 1)?)?.f_div_scalar(samples as f64)?; // (N, N)
        let (values, vectors) = eigen(&gram)?;
        let floor = values.f_max()?.double_value(&[]) * CUTOFF;
        let zeros = values.f_le(floor)?.f_sum(Dtype::Int64)?.int64_value(&[]);
        let kept = samples - zeros;
        let (values, vectors) = (values.f_narrow(0, zeros, kept)?, vectors.f_narrow(1, zeros, kept)?);
        let values = values.f_unsqueeze(1)?;
        let damping = gram.f_trace()?.double_value(&[]) / hidden as f64 * ridge;
        let turned = vectors.f_transpose(0, 1)?.f_mm(y)?;
        Ok(Self { z: z.shallow_clone(), damped: values.f_add_scalar(damping)?, values, vectors, turned })
    }

    /// F with Fᵀ·F = Cᵀ·(G + ridge)⁻¹·C, (n, H).
    fn fitted(&self) -> Result<Tensor, TrainError> {
        let share = self.values.f_div(&self.damped)?.f_sqrt()?;
        Ok(self.turned.f_mul(&share)?.f_div_scalar((self.z.size2()?.0 as f64).sqrt())?)
    }

    /// (G + ridge)⁻¹·C, times `b` (H, r) where there is one.
    fn solved(&self, b: Option<&Tensor>) -> Result<Tensor, TrainError> {
        let turned = match b {
            Some(b) => self.turned.f_mm(b)?,
            None => self.turned.shallow_clone(),
        };
        let weights = self.damped.f_mul_scalar(self.z.size2()?.0 as f64)?;
        Ok(self.z.f_transpose(0, 1)?.f_mm(&self.vectors.f_mm(&turned.f_div(&weights)?)?)?)
    }
}

/// The leading right singular vectors of F (n, H) as columns, (H, r); zeros beyond its rank.
fn leading(f: &Tensor, rank: usize) -> Result<Tensor, TrainError> {
    let (values, vectors) = eigen(&f.f_mm(&f.f_transpose(0, 1)?)?)?;
    let (rows, hidden) = f.size2()?;
    let kept = (rank as i64).min(rows);
    let top =
        |tensor: &Tensor, axis: i64| tensor.f_narrow(axis, rows - kept, kept)?.f_flip([axis].as_slice());
    let (values, vectors) = (top(&values, 0)?, top(&vectors, 1)?);
    let floor = values.f_max()?.double_value(&[]) * CUTOFF;
    let inverse = values.f_rsqrt()?.f_masked_fill(&values.f_le(floor)?, 0.0)?;
    let right = f.f_transpose(0, 1)?.f_mm(&vectors)?.f_mul(&inverse)?; // (H, kept)
    let missing = Tensor::f_zeros([hidden, rank as i64 - kept], (Dtype::Double, f.device()))?;
    oriented(&Tensor::f_cat(&[right, missing], 1)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::closed_form;
    use crate::moments::{Moments, TargetRows};
    use onejump_tensor::rows::values;
    use tch::Device;

    /// Both are exact; f32 maps and an error of 1e-12·condition leave 1e-5 of the prediction.
    #[test]
    fn it_is_the_closed_form() {
        tch::manual_seed(5);
        let random = |rows, columns| Tensor::randn([rows, columns], (Dtype::Float, Device::Cpu));
        let (samples, hidden) = (7, 12);
        let (x, y) = (random(samples, hidden) * 3.0 + 1.0, random(samples, hidden) + 0.5);
        let targets = TargetRows::new(values(&y).unwrap(), hidden as usize);
        let moments = Moments::of(&values(&x).unwrap(), &targets).unwrap();
        for kind in [ShortcutKind::NNjtc, ShortcutKind::Njtc, ShortcutKind::Jtc] {
            for (rank, ridge) in [(2, 0.0), (2, 0.1), (10, 0.0)] {
                let many = closed_form::fit(kind, &moments, rank, ridge).unwrap();
                let few = fit(kind, &x, &y, rank, ridge).unwrap();
                let loss = closed_form::loss(&few, &moments).unwrap();
                let scale = moments.y_squared / samples as f64;
                assert!((loss - many.loss).abs() < 1e-5 * scale, "{kind}: {loss} {}", many.loss);
                // Elsewhere too: the solution is the one of least norm.
                let elsewhere = random(4, hidden);
                let (a, b) = (few.apply(&elsewhere).unwrap(), many.map.apply(&elsewhere).unwrap());
                let error = (&a - &b).norm().double_value(&[]) / b.norm().double_value(&[]);
                assert!(error < 1e-5, "{kind}, rank {rank}, ridge {ridge}: {error}");
            }
        }
    }
}
