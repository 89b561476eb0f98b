//! The exact minimum of Eq. 2, from second moments alone.
//!
//! For inputs z and targets y the best product A·B of rank r in the squared error is reduced-rank
//! regression (Izenman 1975): with G = mean(zᵀz) and C = mean(zᵀy), the rows of B are the leading
//! eigenvectors of Cᵀ·G⁻¹·C, and A = G⁻¹·C·Bᵀ. An n-njtc standardises x to z and has a constant: as
//! mean(z) = 0, the constant input 1 adds mean(y)ᵀ·mean(y) to the matrix and the row a₀ = mean(y)·Bᵀ to A;
//! BatchNorm's bias is a β with β·A = a₀.

use std::borrow::Borrow;

use onejump_core::shortcut::{BATCH_NORM_EPS, ShortcutKind};
use onejump_shortcuts::map::{Map, Norm};
use tch::Tensor;

use crate::TrainError;
use crate::moments::Moments;

/// Eigenvalues below this share of the largest are taken as 0: H·ε of f64, with a margin of 10.
pub(crate) const CUTOFF: f64 = 1e-12;

/// A Cholesky factor whose smallest pivot is this small a share of the largest is not trusted.
const SAFE_PIVOT: f64 = 1e-5;

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
/// [`TrainError`] if a level's moments cannot be had, or are not finite.
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
    let norm = Norm {
        weight: mean_x.f_ones_like()?.f_to_kind(tch::Kind::Float)?,
        bias: single(&constant_bias(a, &a0)?)?,
        running_mean: single(mean_x)?,
        running_var: single(variance)?,
        eps: BATCH_NORM_EPS,
    };
    Ok(Map::LowRank { norm: Some(norm), a: single(a)?, b: single(&b.f_transpose(0, 1)?)? })
}

/// What scales columns of very different mean squares (H) to 1 before a solution; 1 for those of zeros.
pub(crate) fn column_scale(second: &Tensor) -> Result<Tensor, TrainError> {
    let scale = second.f_clamp_min(f64::MIN_POSITIVE)?.f_rsqrt()?;
    Ok(scale.f_masked_fill(&second.f_le(0.0)?, 1.0)?)
}

/// The shortest β (H) with β·A = a₀: a₀·(AᵀA)⁻¹·Aᵀ, for A (H, r) and a₀ (1, r).
pub(crate) fn constant_bias(a: &Tensor, a0: &Tensor) -> Result<Tensor, TrainError> {
    let inner = solve(&a.f_transpose(0, 1)?.f_mm(a)?, &a0.f_transpose(0, 1)?, 0.0)?; // (r, 1)
    Ok(a.f_mm(&inner)?.f_squeeze_dim(1)?)
}

/// (G + ridge·mean(diag G)·I)⁻¹·C for a symmetric G ≥ 0; the pseudo-inverse where G is singular.
pub(crate) fn solve(gram: &Tensor, cross: &Tensor, ridge: f64) -> Result<Tensor, TrainError> {
    let mut gram = gram.shallow_clone();
    if ridge > 0.0 {
        let size = gram.size2()?.0;
        let weight = gram.f_trace()?.double_value(&[]) / size as f64 * ridge;
        gram = gram.f_add(&Tensor::f_eye(size, (gram.kind(), gram.device()))?.f_mul_scalar(weight)?)?;
    }
    let (factor, info) = gram.f_linalg_cholesky_ex(false, false)?;
    let pivots = factor.f_diagonal(0, 0, 1)?;
    let extreme = |tensor: Tensor| tensor.double_value(&[]);
    let (smallest, largest) = (extreme(pivots.f_min()?), extreme(pivots.f_max()?));
    if info.int64_value(&[]) == 0 && smallest > SAFE_PIVOT * largest {
        return Ok(cross.f_cholesky_solve(&factor, false)?);
    }
    let (values, vectors) = eigen(&gram)?;
    let floor = extreme(values.f_max()?) * CUTOFF;
    let inverse = values.f_reciprocal()?.f_masked_fill(&values.f_le(floor)?, 0.0)?;
    let projected = vectors.f_transpose(0, 1)?.f_mm(cross)?.f_mul(&inverse.f_unsqueeze(1)?)?;
    Ok(vectors.f_mm(&projected)?)
}

/// The eigenvectors of the `rank` largest eigenvalues of a symmetric matrix, (H, r), largest first.
pub(crate) fn leading(matrix: &Tensor, rank: usize) -> Result<Tensor, TrainError> {
    let (_, vectors) = eigen(matrix)?;
    let (size, rank) = (vectors.size2()?.0, rank as i64);
    oriented(&vectors.f_narrow(1, size - rank, rank)?.f_flip([1i64])?)
}

/// The columns with signs that make their largest components positive: an eigenvector's sign is arbitrary,
/// and equal inputs should give equal files.
pub(crate) fn oriented(vectors: &Tensor) -> Result<Tensor, TrainError> {
    let (_, place) = vectors.f_abs()?.f_max_dim(0, true)?;
    Ok(vectors.f_mul(&vectors.f_gather(0, &place, false)?.f_sign()?)?)
}

/// Eigenvalues in ascending order and their vectors, of the symmetric part of a matrix.
pub(crate) fn eigen(matrix: &Tensor) -> Result<(Tensor, Tensor), TrainError> {
    if matrix.f_isfinite()?.f_all()?.int64_value(&[]) == 0 {
        return Err(TrainError::Diverged("the hidden states' second moments are not finite".into()));
    }
    let symmetric = matrix.f_add(&matrix.f_transpose(0, 1)?)?.f_mul_scalar(0.5)?;
    Ok(symmetric.f_linalg_eigh("L")?)
}

/// E‖ĥ − y‖² of a map over the samples, from their moments: E‖y‖² − 2·E(ĥ·y) + E‖ĥ‖².
///
/// # Errors
/// [`TrainError::Torch`] if the map has another hidden size.
pub fn loss(map: &Map, moments: &Moments) -> Result<f64, TrainError> {
    let n = moments.samples;
    let double = |tensor: &Tensor| tensor.f_to_kind(tch::Kind::Double);
    // ĥ = x·W + w, with W (H, H) as M·B.
    let (matrix, constant, b) = match map {
        Map::Full { w, .. } => (double(w)?, None, None),
        Map::LowRank { norm, a, b } => {
            let (scale, shift) = match norm {
                Some(norm) => {
                    let deviation = double(&norm.running_var)?.f_add_scalar(norm.eps)?.f_sqrt()?;
                    let scale = double(&norm.weight)?.f_div(&deviation)?;
                    let shift = double(&norm.bias)?.f_sub(&double(&norm.running_mean)?.f_mul(&scale)?)?;
                    (scale, Some(shift))
                }
                None => (Tensor::f_ones([a.size()[0]], (tch::Kind::Double, a.device()))?, None),
            };
            let a = double(a)?;
            let constant = match shift {
                Some(shift) => Some(shift.f_unsqueeze(0)?.f_mm(&a)?), // (1, r)
                None => None,
            };
            (scale.f_unsqueeze(1)?.f_mul(&a)?, constant, Some(double(b)?))
        }
    };
    let sum = |tensor: Tensor| Ok::<f64, TrainError>(tensor.f_sum(tch::Kind::Double)?.double_value(&[]));
    // In the r coordinates u = x·M + c: E[uᵀu] and E[uᵀy].
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

/// E‖ĥ − y‖² of a map over samples `inputs` and `targets` (N, H): where their moments are not at hand.
///
/// # Errors
/// [`TrainError::Torch`] if the shapes do not fit.
pub fn squared_error(map: &Map, inputs: &Tensor, targets: &Tensor) -> Result<f64, TrainError> {
    let (samples, mut sum) = (inputs.size2()?.0, 0.0);
    for start in (0..samples).step_by(CHUNK as usize) {
        let rows = |x: &Tensor| x.f_narrow(0, start, CHUNK.min(samples - start));
        let error = map.apply(&rows(inputs)?)?.f_sub(&rows(targets)?)?.f_to_kind(tch::Kind::Double)?;
        sum += error.f_square()?.f_sum(tch::Kind::Double)?.double_value(&[]);
    }
    Ok(sum / samples as f64)
}

pub(crate) fn single(tensor: &Tensor) -> Result<Tensor, TrainError> {
    Ok(tensor.f_to_kind(tch::Kind::Float)?.f_contiguous()?)
}
