//! The cosine of every (jump, level) pair (Eq. 4), without an approximation in memory.
//!
//! With u = norm_m(h)·A_m: ĥ·h_K = u·(B_m·h_K) and ‖ĥ‖² = u·(B_m·B_mᵀ)·uᵀ. The u of all jumps at a
//! level are one product of (N, H) by (H, K·r), and so are the B_m·h_K, once for all levels.

use onejump_core::interrupt;
use onejump_core::telemetry::Progress;
use onejump_shortcuts::file::{Maps, ShortcutFile};
use onejump_shortcuts::map::Map;
use onejump_store::hidden::HiddenStates;
use onejump_store::tables::Score;
use tch::{Kind, Tensor};

use crate::ScoreError;

/// Samples that are scored at a time; memory is this many times K·r.
const CHUNK: i64 = 1024;

/// Mean cosine and mean signed square of every jump at every level 0..=K, jump by jump.
///
/// # Errors
/// [`ScoreError`] if the file holds no low-rank map per level, belongs to another model, or a jump
/// yields a zero or non-finite approximation.
pub fn scores(hidden: &HiddenStates, jumps: &ShortcutFile) -> Result<Vec<Score>, ScoreError> {
    let jumps = Jumps::stack(jumps)?;
    let targets = Targets::new(hidden, &jumps)?;
    let levels = hidden.blocks() + 1;
    let progress = Progress::new("score", "levels", levels as u64);
    let mut by_level = Vec::with_capacity(levels);
    for level in 0..levels {
        interrupt::check()?;
        by_level.push(level_scores(hidden, level, &jumps, &targets)?);
        progress.advance(1);
    }
    progress.finish();
    let pair = |jump: usize, level: usize| {
        let (mean_cosine, mean_signed_square) = by_level[level][jump];
        Score { jump, level, mean_cosine, mean_signed_square }
    };
    Ok((0..jumps.count).flat_map(|jump| (0..levels).map(move |level| pair(jump, level))).collect())
}

/// All jumps side by side.
struct Jumps {
    /// K.
    count: usize,
    /// (H, K·r).
    matrix: Tensor,
    /// (1, K·r).
    constant: Tensor,
    /// B of all jumps, (K·r, H).
    b: Tensor,
    /// B·Bᵀ of each jump, (K, r, r).
    gram: Tensor,
}

impl Jumps {
    fn stack(file: &ShortcutFile) -> Result<Self, ScoreError> {
        let Maps::PerLevel(maps) = &file.maps else {
            return Err(ScoreError::Jump(format!(
                "'{}' is one map; scoring needs one per level",
                file.card.kind
            )));
        };
        let (mut matrices, mut constants, mut bs) = (Vec::new(), Vec::new(), Vec::new());
        for map in maps {
            let (Map::LowRank { b, .. }, Some(projection)) = (map, map.projection()?) else {
                return Err(ScoreError::Jump(format!(
                    "'{}' is not of low rank; score n-njtc",
                    file.card.kind
                )));
            };
            matrices.push(projection.matrix);
            constants.push(projection.constant);
            bs.push(b.shallow_clone());
        }
        let stacked = Tensor::f_stack(&bs, 0)?; // (K, r, H)
        Ok(Self {
            count: maps.len(),
            matrix: Tensor::f_cat(&matrices, 1)?,
            constant: Tensor::f_cat(&constants, 1)?,
            gram: stacked.f_bmm(&stacked.f_transpose(1, 2)?)?,
            b: Tensor::f_cat(&bs, 0)?,
        })
    }
}

/// What all levels need of the final hidden states.
struct Targets {
    /// B_m·h_K, (N, K·r).
    projected: Tensor,
    /// ‖h_K‖, (N).
    norms: Tensor,
}

impl Targets {
    fn new(hidden: &HiddenStates, jumps: &Jumps) -> Result<Self, ScoreError> {
        let states = tensor(hidden, hidden.blocks())?;
        let norms = states.f_norm_scalaropt_dim(2.0, [1i64].as_slice(), false)?;
        if norms.f_min()?.double_value(&[]) <= 0.0 {
            return Err(ScoreError::Jump(format!(
                "{}: a final hidden state is 0, so it has no cosine",
                hidden.dir().display()
            )));
        }
        Ok(Self { projected: states.f_mm(&jumps.b.f_transpose(0, 1)?)?, norms })
    }
}

/// (mean C, mean sgn(C)·C²) of every jump at one level.
fn level_scores(
    hidden: &HiddenStates,
    level: usize,
    jumps: &Jumps,
    targets: &Targets,
) -> Result<Vec<(f64, f64)>, ScoreError> {
    let states = tensor(hidden, level)?;
    let (samples, jump_count) = (states.size2()?.0, jumps.count as i64);
    let zeros = || Tensor::f_zeros([jump_count], (Kind::Double, states.device()));
    let (mut cosines, mut squares) = (zeros()?, zeros()?);
    let mut start = 0;
    while start < samples {
        let rows = CHUNK.min(samples - start);
        let split = |tensor: &Tensor| tensor.f_view([rows, jump_count, -1])?.f_transpose(0, 1); // (K, n, r)
        let projected = jumps.constant.f_addmm(&states.f_narrow(0, start, rows)?, &jumps.matrix)?;
        let u = split(&projected)?.f_contiguous()?;
        let target = split(&targets.projected.f_narrow(0, start, rows)?)?;
        let sum = |tensor: Tensor| tensor.f_sum_dim_intlist([2i64].as_slice(), false, Kind::Double);
        let product = sum(u.f_mul(&target)?)?; // ĥ·h_K, (K, n)
        let length = sum(u.f_bmm(&jumps.gram)?.f_mul_(&u)?)?.f_sqrt()?; // ‖ĥ‖, (K, n)
        let cosine = product.f_div(&length)?.f_div(&targets.norms.f_narrow(0, start, rows)?)?;
        let signed_square = cosine.f_mul(&cosine.f_abs()?)?;
        cosines = cosines.f_add(&cosine.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Double)?)?;
        squares =
            squares.f_add(&signed_square.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Double)?)?;
        start += rows;
    }
    let means = |sums: Tensor| Ok::<_, ScoreError>(Vec::<f64>::try_from(sums.f_div_scalar(samples as f64)?)?);
    let pairs: Vec<_> = means(cosines)?.into_iter().zip(means(squares)?).collect();
    if let Some(jump) = pairs.iter().position(|(cosine, square)| !cosine.is_finite() || !square.is_finite()) {
        return Err(ScoreError::Jump(format!(
            "jump {jump} at level {level} yields no usable approximation (0, NaN or infinity); train it again"
        )));
    }
    Ok(pairs)
}

/// A level as a tensor, (N, H) f32.
fn tensor(hidden: &HiddenStates, level: usize) -> Result<Tensor, ScoreError> {
    let states = hidden.level(level)?;
    Ok(Tensor::f_from_slice(&states)?.f_view([-1, hidden.hidden_size() as i64])?)
}
