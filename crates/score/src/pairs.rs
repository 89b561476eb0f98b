//! The cosine of every (jump, level) pair (Eq. 4), without an approximation in memory.
//!
//! With B_m = R_m·Q_m, where the rows of Q_m are orthonormal, and u = norm_m(h)·A_m·R_m: ĥ = u·Q_m, so
//! ĥ·h_K = u·(Q_m·h_K) and ‖ĥ‖ = ‖u‖. The u of all jumps at a level are one product of (N, H) by (H, K·r),
//! and so are the Q_m·h_K, once for all levels.

use onejump_core::interrupt;
use onejump_core::telemetry::Progress;
use onejump_shortcuts::file::{Maps, ShortcutFile};
use onejump_shortcuts::map::Map;
use onejump_shortcuts::threads;
use onejump_store::hidden::HiddenStates;
use onejump_store::tables::Score;
use rayon::prelude::*;
use tch::{Kind, Tensor};

use crate::ScoreError;

/// Samples whose u are computed at a time: the u of a chunk stay in the processor's cache.
const CHUNK: i64 = 512;

/// Lanes of the sums over r.
const LANES: usize = 8;

/// Mean cosine and mean signed square of every jump at every level 0..=K, jump by jump.
///
/// # Errors
/// [`ScoreError`] if the file holds no low-rank map per level, belongs to another model, or a jump
/// yields a zero or non-finite approximation.
pub fn scores(hidden: &HiddenStates, jumps: &ShortcutFile) -> Result<Vec<Score>, ScoreError> {
    let jumps = Jumps::stack(jumps)?;
    let targets = Targets::new(hidden, &jumps)?;
    let (levels, count) = (hidden.blocks() + 1, jumps.count);
    let progress = Progress::new("score", "levels", levels as u64);
    // A tensor may be sent to another thread, but not shared with it.
    let jobs: Vec<_> = (0..levels).map(|level| (level, jumps.shallow_clone())).collect();
    let by_level = threads::pool()?.install(|| {
        jobs.into_par_iter()
            .with_max_len(1)
            .map(|(level, jumps)| {
                interrupt::check()?;
                let scores = level_scores(hidden, level, &jumps, &targets)?;
                progress.advance(1);
                Ok(scores)
            })
            .collect::<Result<Vec<_>, ScoreError>>()
    })?;
    progress.finish();
    let pair = |jump: usize, level: usize| {
        let (mean_cosine, mean_signed_square) = by_level[level][jump];
        Score { jump, level, mean_cosine, mean_signed_square }
    };
    Ok((0..count).flat_map(|jump| (0..levels).map(move |level| pair(jump, level))).collect())
}

/// All jumps side by side.
struct Jumps {
    /// K.
    count: usize,
    /// r.
    rank: usize,
    /// (H, K·r).
    matrix: Tensor,
    /// (1, K·r).
    constant: Tensor,
    /// Q of all jumps, (K·r, H).
    directions: Tensor,
}

impl Jumps {
    fn stack(file: &ShortcutFile) -> Result<Self, ScoreError> {
        let Maps::PerLevel(maps) = &file.maps else {
            return Err(ScoreError::Jump(format!(
                "'{}' is one map; scoring needs one per level",
                file.card.kind
            )));
        };
        let (mut matrices, mut constants, mut directions) = (Vec::new(), Vec::new(), Vec::new());
        let mut rank = 0;
        for map in maps {
            let (Map::LowRank { b, .. }, Some(projection)) = (map, map.projection()?) else {
                return Err(ScoreError::Jump(format!(
                    "'{}' is not of low rank; score n-njtc",
                    file.card.kind
                )));
            };
            rank = b.size2()?.0 as usize;
            let double = |tensor: &Tensor| tensor.f_to_kind(Kind::Double);
            // Bᵀ = Qᵀ·Rᵀ.
            let (q, r) = Tensor::f_linalg_qr(&double(b)?.f_transpose(0, 1)?, "reduced")?;
            let turn = r.f_transpose(0, 1)?;
            matrices.push(double(&projection.matrix)?.f_mm(&turn)?.f_to_kind(Kind::Float)?);
            constants.push(double(&projection.constant)?.f_mm(&turn)?.f_to_kind(Kind::Float)?);
            directions.push(q.f_transpose(0, 1)?.f_to_kind(Kind::Float)?);
        }
        Ok(Self {
            count: maps.len(),
            rank,
            matrix: Tensor::f_cat(&matrices, 1)?,
            constant: Tensor::f_cat(&constants, 1)?,
            directions: Tensor::f_cat(&directions, 0)?,
        })
    }

    fn shallow_clone(&self) -> Self {
        Self {
            count: self.count,
            rank: self.rank,
            matrix: self.matrix.shallow_clone(),
            constant: self.constant.shallow_clone(),
            directions: self.directions.shallow_clone(),
        }
    }
}

/// What all levels need of the final hidden states.
struct Targets {
    /// Q_m·h_K, (N, K·r).
    projected: Vec<f32>,
    /// ‖h_K‖, (N).
    norms: Vec<f64>,
}

impl Targets {
    fn new(hidden: &HiddenStates, jumps: &Jumps) -> Result<Self, ScoreError> {
        let states = tensor(hidden, hidden.blocks())?;
        let squares = states.f_square()?.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Double)?;
        let norms: Vec<f64> = squares.f_sqrt()?.try_into()?;
        if norms.iter().any(|&norm| norm <= 0.0) {
            return Err(ScoreError::Jump(format!(
                "{}: a final hidden state is 0, so it has no cosine",
                hidden.dir().display()
            )));
        }
        let projected = states.f_mm(&jumps.directions.f_transpose(0, 1)?)?;
        Ok(Self { projected: projected.f_view([-1])?.try_into()?, norms })
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
    let (samples, width) = (states.size2()?.0, jumps.count * jumps.rank);
    let mut sums = vec![(0.0, 0.0); jumps.count];
    let mut u = vec![0f32; width * CHUNK.min(samples) as usize];
    for start in (0..samples).step_by(CHUNK as usize) {
        let rows = CHUNK.min(samples - start);
        let projected = jumps.constant.f_addmm(&states.f_narrow(0, start, rows)?, &jumps.matrix)?; // (n, K·r)
        let count = width * rows as usize;
        projected.f_copy_data(&mut u, count)?;
        let first = start as usize;
        let target_rows = targets.projected[first * width..][..count].chunks_exact(width);
        for ((u, target), norm) in u.chunks_exact(width).zip(target_rows).zip(&targets.norms[first..]) {
            let pairs = u.chunks_exact(jumps.rank).zip(target.chunks_exact(jumps.rank));
            for ((cosines, squares), (u, target)) in sums.iter_mut().zip(pairs) {
                let cosine = dot(u, target) / (dot(u, u).sqrt() * norm);
                *cosines += cosine;
                *squares += cosine * cosine.abs();
            }
        }
    }
    let mean = |sum: f64| sum / samples as f64;
    let pairs: Vec<_> = sums.into_iter().map(|(cosines, squares)| (mean(cosines), mean(squares))).collect();
    if let Some(jump) = pairs.iter().position(|(cosine, square)| !cosine.is_finite() || !square.is_finite()) {
        return Err(ScoreError::Jump(format!(
            "jump {jump} at level {level} yields no usable approximation (0, NaN or infinity); train it again"
        )));
    }
    Ok(pairs)
}

/// x·y in f64.
fn dot(x: &[f32], y: &[f32]) -> f64 {
    let mut sums = [0.0; LANES];
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in x.iter().zip(y) {
        for lane in 0..LANES {
            sums[lane] += f64::from(x[lane]) * f64::from(y[lane]);
        }
    }
    let rest: f64 = x_rest.iter().zip(y_rest).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
    sums.iter().sum::<f64>() + rest
}

/// A level as a tensor, (N, H) f32.
fn tensor(hidden: &HiddenStates, level: usize) -> Result<Tensor, ScoreError> {
    let states = hidden.level(level)?;
    Ok(Tensor::f_from_slice(&states)?.f_view([-1, hidden.hidden_size() as i64])?)
}
