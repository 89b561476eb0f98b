//! The exact minimum of Eq. 2, from second moments alone.
//!
//! For inputs z and targets y the best product A·B of rank r in the squared error is reduced-rank
//! regression (Izenman 1975): with G = mean(zᵀz) and C = mean(zᵀy), the rows of B are the leading
//! eigenvectors of Cᵀ·G⁻¹·C, and A = G⁻¹·C·Bᵀ. An n-njtc standardises x to z and has a constant: as
//! mean(z) = 0, the constant input 1 adds mean(y)ᵀ·mean(y) to the matrix and the row a₀ = mean(y)·Bᵀ to A;
//! BatchNorm's bias is a β with β·A = a₀.

use std::borrow::Borrow;

use onejump_core::shortcut::{BATCH_NORM_EPS, ShortcutKind};
use onejump_shortcuts::batch_norm::BatchNorm;
use onejump_shortcuts::map::Map;
use tch::Tensor;

use crate::TrainError;
use crate::linear::{column_scale, constant_bias, leading, single, solve};
use crate::moments::Moments;

/// Rows whose error is computed at a time.
const CHUNK: i64 = 256;

/// A map and its mean squared error over the samples (Eq. 2).
#[derive(Debug)]
pub struct Fitted {
    /// The map, in f32.
    pub map: Map,
    /// E‖ĥ − h_K‖², of the map as it is stored.
    pub loss: f64,
}

/// The best map of a kind for samples with these moments.
///
/// `ridge` adds ridge·mean(diag G) to the diagonal of G.
///
/// # Errors
/// [`TrainError`] if the moments are not finite.
pub fn fit(kind: ShortcutKind, moments: &Moments, rank: usize, ridge: f64) -> Result<Fitted, TrainError> {
    let n = moments.samples;
    let map = if kind.has_norm() {
        normalised(moments, rank, ridge)?
    } else {
        let scale = column_scale(&moments.xx.f_diagonal(0, 0, 1)?.f_div_scalar(n)?)?.f_unsqueeze(1)?; // (H, 1)
        let gram = moments.xx.f_div_scalar(n)?.f_mul(&scale)?.f_mul(&scale.f_transpose(0, 1)?)?;
        let cross = moments.xy.f_div_scalar(n)?.f_mul(&scale)?;
        let solved = solve(&gram, &cross, ridge)?;
        if kind == ShortcutKind::Jtc {
            Map::Full { w: single(&solved.f_mul(&scale)?)?, bias: None }
        } else {
            let b = leading(&cross.f_transpose(0, 1)?.f_mm(&solved)?, rank)?; // (H, r)
            let a = solved.f_mm(&b)?.f_mul(&scale)?;
            Map::LowRank { norm: None, a: single(&a)?, b: single(&b.f_transpose(0, 1)?)? }
        }
    };
    let loss = loss(&map, moments)?;
    Ok(Fitted { map, loss })
}

fn normalised(moments: &Moments, rank: usize, ridge: f64) -> Result<Map, TrainError> {
    let mut maps = with_norm_per_level([Ok(moments)], rank, ridge)?;
    maps.pop().ok_or_else(|| TrainError::Usage("there are no samples to train on".into()))
}

/// One A·B behind a BatchNorm per level, for levels with the same targets: reduced-rank regression on
/// the standardised inputs of all levels together. As their means are 0 at every level and the targets'
/// mean is the same, the constant row a₀, and with it BatchNorm's bias, is the same at every level.
///
/// The levels are taken one after the other: no more than one level's moments are in memory.
///
/// # Errors
/// [`TrainError`] if a level's moments are an error, or not finite.
pub fn with_norm_per_level(
    levels: impl IntoIterator<Item = Result<impl Borrow<Moments>, TrainError>>,
    rank: usize,
    ridge: f64,
) -> Result<Vec<Map>, TrainError> {
    let mut statistics = Vec::new();
    let mut sums: Option<(Tensor, Tensor, Tensor)> = None;
    for moments in levels {
        let level = Standardised::of(moments?.borrow())?;
        statistics.push((level.mean_x, level.variance));
        if let Some((gram, cross, _)) = &mut sums {
            let _ = (gram.f_add_(&level.gram)?, cross.f_add_(&level.cross)?);
        } else {
            sums = Some((level.gram, level.cross, level.mean_y));
        }
    }
    let Some((gram, cross, mean_y)) = sums else { return Ok(Vec::new()) };
    let count = statistics.len() as f64;
    let (gram, cross) = (gram.f_div_scalar(count)?, cross.f_div_scalar(count)?);
    let solved = solve(&gram, &cross, ridge)?; // G⁻¹·C
    let fitted = cross.f_transpose(0, 1)?.f_mm(&solved)?.f_add(&mean_y.f_outer(&mean_y)?)?;
    let b = leading(&fitted, rank)?; // (H, r)
    let a = solved.f_mm(&b)?; // (H, r)
    statistics.iter().map(|(mean_x, variance)| assemble(&a, &b, mean_x, variance, &mean_y)).collect()
}

/// Moments of what BatchNorm makes of the inputs.
struct Standardised {
    mean_x: Tensor,
    variance: Tensor,
    mean_y: Tensor,
    /// G.
    gram: Tensor,
    /// C.
    cross: Tensor,
}

impl Standardised {
    fn of(moments: &Moments) -> Result<Self, TrainError> {
        let n = moments.samples;
        let (mean_x, mean_y) = (moments.x.f_div_scalar(n)?, moments.y.f_div_scalar(n)?);
        let covariance = moments.xx.f_div_scalar(n)?.f_sub(&mean_x.f_outer(&mean_x)?)?;
        let cross = moments.xy.f_div_scalar(n)?.f_sub(&mean_x.f_outer(&mean_y)?)?;
        // What rounding leaves of a constant column's variance may be below 0.
        let variance = covariance.f_diagonal(0, 0, 1)?.f_clamp_min(0.0)?;
        let scale = variance.f_add_scalar(BATCH_NORM_EPS)?.f_rsqrt()?.f_unsqueeze(1)?; // (H, 1)
        let gram = covariance.f_mul(&scale)?.f_mul(&scale.f_transpose(0, 1)?)?;
        Ok(Self { cross: cross.f_mul(&scale)?, gram, mean_x, variance, mean_y })
    }
}

/// The n-njtc of A (H, r) and Bᵀ (H, r) for standardised inputs, and the targets' mean (H).
pub(crate) fn assemble(
    a: &Tensor,
    b: &Tensor,
    mean_x: &Tensor,
    variance: &Tensor,
    mean_y: &Tensor,
) -> Result<Map, TrainError> {
    let a0 = mean_y.f_unsqueeze(0)?.f_mm(b)?; // (1, r)
    let norm = BatchNorm {
        weight: mean_x.f_ones_like()?.f_to_kind(tch::Kind::Float)?,
        bias: single(&constant_bias(a, &a0)?)?,
        running_mean: single(mean_x)?,
        running_var: single(variance)?,
        eps: BATCH_NORM_EPS,
    };
    Ok(Map::LowRank { norm: Some(norm), a: single(a)?, b: single(&b.f_transpose(0, 1)?)? })
}

/// E‖ĥ − y‖² of a map over the samples, from their moments: E‖y‖² − 2·E(ĥ·y) + E‖ĥ‖².
///
/// # Errors
/// [`TrainError`] if the map has another hidden size, or is a residual.
pub fn loss(map: &Map, moments: &Moments) -> Result<f64, TrainError> {
    let n = moments.samples;
    let double = |tensor: &Tensor| tensor.f_to_kind(tch::Kind::Double);
    // ĥ = u·B with u = x·M + c; a full map has no B.
    let (matrix, constant, b) = match map {
        Map::Full { w, bias } => {
            let constant = bias.as_ref().map(|bias| double(bias)?.f_unsqueeze(0)).transpose()?; // (1, H)
            (double(w)?, constant, None)
        }
        Map::Residual { .. } => {
            return Err(TrainError::Usage(
                "a residual is no affine map of the states: their moments do not say its loss".into(),
            ));
        }
        Map::LowRank { norm: None, a, b } => (double(a)?, None, Some(double(b)?)),
        Map::LowRank { norm: Some(norm), a, b } => {
            let (folded, a) = (norm.folded()?, double(a)?);
            let constant = folded.shift.f_unsqueeze(0)?.f_mm(&a)?; // (1, r)
            (folded.scale.f_unsqueeze(1)?.f_mul(&a)?, Some(constant), Some(double(b)?))
        }
    };
    let sum = |tensor: Tensor| Ok::<f64, TrainError>(tensor.f_sum(tch::Kind::Double)?.double_value(&[]));
    // E[uᵀu] and E[uᵀy].
    let xm = moments.x.f_unsqueeze(0)?.f_mm(&matrix)?.f_div_scalar(n)?; // E[x]·M
    let mut uu = matrix.f_transpose(0, 1)?.f_mm(&moments.xx)?.f_mm(&matrix)?.f_div_scalar(n)?;
    let mut uy = matrix.f_transpose(0, 1)?.f_mm(&moments.xy)?.f_div_scalar(n)?;
    if let Some(c) = constant {
        let crossed = xm.f_transpose(0, 1)?.f_mm(&c)?;
        let squared = c.f_transpose(0, 1)?.f_mm(&c)?;
        uu = uu.f_add(&crossed)?.f_add(&crossed.f_transpose(0, 1)?)?.f_add(&squared)?;
        let mean_y = moments.y.f_unsqueeze(0)?.f_div_scalar(n)?;
        uy = uy.f_add(&c.f_transpose(0, 1)?.f_mm(&mean_y)?)?;
    }
    let (product, square) = match b {
        Some(b) => (sum(uy.f_mul(&b)?)?, sum(uu.f_mul(&b.f_mm(&b.f_transpose(0, 1)?)?)?)?),
        None => (sum(uy.f_diagonal(0, 0, 1)?)?, sum(uu.f_diagonal(0, 0, 1)?)?),
    };
    Ok(moments.y_squared / n - 2.0 * product + square)
}

/// E‖ĥ − y‖² of a map over samples `inputs` and `targets` (N, H), computed row by row: it needs no moments.
///
/// # Errors
/// [`TrainError`] if the shapes do not fit.
pub fn squared_error(map: &Map, inputs: &Tensor, targets: &Tensor) -> Result<f64, TrainError> {
    let (samples, mut sum) = (inputs.size2()?.0, 0.0);
    for start in (0..samples).step_by(CHUNK as usize) {
        let rows = |x: &Tensor| x.f_narrow(0, start, CHUNK.min(samples - start));
        let error = map.apply(&rows(inputs)?)?.f_sub(&rows(targets)?)?.f_to_kind(tch::Kind::Double)?;
        sum += error.f_square()?.f_sum(tch::Kind::Double)?.double_value(&[]);
    }
    Ok(sum / samples as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moments::TargetRows;
    use onejump_tensor::rows::values;
    use tch::{Device, Kind};

    /// Rounding alone separates the two: ĥ in f32 has 24 bits, so 1e-6 of the targets' mean square.
    #[test]
    fn the_loss_from_moments_is_that_of_the_rows_for_every_kind_of_map() {
        tch::manual_seed(5);
        let random = |size: &[i64]| Tensor::randn(size, (Kind::Float, Device::Cpu));
        let (samples, hidden, rank) = (300, 8, 3);
        let (x, y) = (random(&[samples, hidden]) * 2.0 + 1.0, random(&[samples, hidden]) - 0.5);
        let targets = TargetRows::new(values(&y).unwrap(), hidden as usize);
        let moments = Moments::of(&values(&x).unwrap(), &targets).unwrap();
        let norm = || BatchNorm {
            weight: random(&[hidden]),
            bias: random(&[hidden]),
            running_mean: random(&[hidden]),
            running_var: random(&[hidden]).square(),
            eps: BATCH_NORM_EPS,
        };
        let (w, bias) = (random(&[hidden, hidden]), random(&[hidden]));
        let (a, b) = (random(&[hidden, rank]), random(&[rank, hidden]));
        for map in [
            Map::Full { w: w.shallow_clone(), bias: None },
            Map::Full { w, bias: Some(bias) },
            Map::LowRank { norm: None, a: a.shallow_clone(), b: b.shallow_clone() },
            Map::LowRank { norm: Some(norm()), a, b },
        ] {
            let (ours, plain) = (loss(&map, &moments).unwrap(), squared_error(&map, &x, &y).unwrap());
            assert!((ours - plain).abs() < 1e-6 * plain, "{map:?}: {ours} {plain}");
        }
    }
}
