//! Linear algebra on symmetric matrices, such that equal inputs give equal bytes.

use tch::Tensor;

use crate::TrainError;

/// Eigenvalues below this share of the largest are taken as 0: H·ε of f64, with a margin of 10.
pub(crate) const CUTOFF: f64 = 1e-12;

/// A Cholesky factor whose smallest pivot is this small a share of the largest is not trusted.
const SAFE_PIVOT: f64 = 1e-5;

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

/// In f32, row by row in memory.
pub(crate) fn single(tensor: &Tensor) -> Result<Tensor, TrainError> {
    Ok(tensor.f_to_kind(tch::Kind::Float)?.f_contiguous()?)
}
