//! The cosine of every (jump, level) pair (Eq. 4), without an approximation in memory.
//!
//! With B_m = R_m·Q_m, where the rows of Q_m are orthonormal, and u = norm_m(h)·A_m·R_m: ĥ = u·Q_m, so
//! ĥ·h_K = u·(Q_m·h_K) and ‖ĥ‖ = ‖u‖. The u of all jumps at a level are one product of (N, H) by (H, K·r),
//! and so are the Q_m·h_K, once for all levels.

use onejump_core::observe::{Observer, Task};
use onejump_shortcuts::file::{Maps, ShortcutFile};
use onejump_shortcuts::map::Map;
use onejump_simd::{Panels, ROWS};
use onejump_store::hidden::HiddenStates;
use onejump_store::tables::Score;
use onejump_tensor::rows::values;
use onejump_tensor::threads;
use pulp::Arch;
use rayon::prelude::*;
use tch::{Kind, Tensor};

use crate::ScoreError;

/// Samples whose u are computed at a time: the u of a chunk stay in the processor's cache.
const CHUNK: usize = 32 * ROWS;

/// Lanes of the sums over r.
const LANES: usize = 8;

/// Mean cosine and mean signed square of every jump at every level 0..=K, jump by jump.
///
/// # Errors
/// [`ScoreError`] if the file holds no low-rank map per level, belongs to another model, or a jump
/// yields a zero or non-finite approximation.
pub fn scores(
    hidden: &HiddenStates,
    jumps: &ShortcutFile,
    observer: &dyn Observer,
) -> Result<Vec<Score>, ScoreError> {
    let jumps = Jumps::stack(jumps)?;
    if jumps.first.depth() != hidden.hidden_size() {
        return Err(ScoreError::Jump(format!(
            "the jumps are for H = {}, the states have H = {}",
            jumps.first.depth(),
            hidden.hidden_size()
        )));
    }
    let pool = threads::pool()?;
    let targets = pool.install(|| Targets::new(hidden, &jumps))?;
    let (levels, count) = (hidden.blocks() + 1, jumps.count);
    let meter = observer.begin(Task { name: "score", unit: "levels", total: levels as u64 });
    let by_level = pool.install(|| {
        (0..levels)
            .into_par_iter()
            .with_max_len(1)
            .map(|level| {
                observer.check()?;
                let scores = level_scores(hidden, level, &jumps, &targets)?;
                meter.advance(1);
                Ok(scores)
            })
            .collect::<Result<Vec<_>, ScoreError>>()
    })?;
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
    /// Of h to u: (H, K·r), with a constant.
    first: Panels,
    /// Of h_K to Q·h_K: (H, K·r).
    directions: Panels,
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
            directions.push(q.f_to_kind(Kind::Float)?);
        }
        let constant = values(&Tensor::f_cat(&constants, 1)?)?;
        Ok(Self {
            count: maps.len(),
            rank,
            first: panels(&Tensor::f_cat(&matrices, 1)?, Some(&constant))?,
            directions: panels(&Tensor::f_cat(&directions, 1)?, None)?,
        })
    }
}

/// What all levels need of the final hidden states.
struct Targets {
    /// Q_m·h_K of each chunk of samples, (n, K·r).
    projected: Vec<Vec<f32>>,
    /// ‖h_K‖, (N).
    norms: Vec<f64>,
}

impl Targets {
    fn new(hidden: &HiddenStates, jumps: &Jumps) -> Result<Self, ScoreError> {
        let states = hidden.level(hidden.blocks())?;
        let norms: Vec<f64> =
            states.chunks_exact(hidden.hidden_size()).map(|row| dot(row, row).sqrt()).collect();
        if norms.iter().any(|&norm| norm <= 0.0) {
            return Err(ScoreError::Jump(format!(
                "{}: a final hidden state is 0, so it has no cosine",
                hidden.dir().display()
            )));
        }
        let project = |states| jumps.directions.multiply(states, 0..jumps.directions.columns());
        let projected = states.par_chunks(CHUNK * hidden.hidden_size()).map(project).collect();
        Ok(Self { projected, norms })
    }
}

/// (mean C, mean sgn(C)·C²) of every jump at one level.
fn level_scores(
    hidden: &HiddenStates,
    level: usize,
    jumps: &Jumps,
    targets: &Targets,
) -> Result<Vec<(f64, f64)>, ScoreError> {
    let states = hidden.level(level)?;
    let width = jumps.count * jumps.rank;
    let mut sums = vec![(0.0, 0.0); jumps.count];
    let chunks = states.chunks(CHUNK * hidden.hidden_size());
    for ((states, projected), norms) in chunks.zip(&targets.projected).zip(targets.norms.chunks(CHUNK)) {
        let u = jumps.first.multiply(states, 0..width); // (n, K·r)
        Arch::new().dispatch(|| add_cosines(&mut sums, &u, projected, norms, jumps.rank));
    }
    let mean = |sum: f64| sum / targets.norms.len() as f64;
    let pairs: Vec<_> = sums.into_iter().map(|(cosines, squares)| (mean(cosines), mean(squares))).collect();
    if let Some(jump) = pairs.iter().position(|(cosine, square)| !cosine.is_finite() || !square.is_finite()) {
        return Err(ScoreError::Jump(format!(
            "jump {jump} at level {level} yields no usable approximation (0, NaN or infinity); train it again"
        )));
    }
    Ok(pairs)
}

/// Adds every sample's cosine and signed square to the sums of each jump.
#[inline(always)]
fn add_cosines(sums: &mut [(f64, f64)], u: &[f32], projected: &[f32], norms: &[f64], rank: usize) {
    let width = sums.len() * rank;
    for ((u, projected), norm) in u.chunks_exact(width).zip(projected.chunks_exact(width)).zip(norms) {
        let pairs = u.chunks_exact(rank).zip(projected.chunks_exact(rank));
        for ((cosines, squares), (u, projected)) in sums.iter_mut().zip(pairs) {
            let cosine = dot(u, projected) / (dot(u, u).sqrt() * norm);
            *cosines += cosine;
            *squares += cosine * cosine.abs();
        }
    }
}

/// x·y in f64.
#[inline(always)]
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

/// A matrix (H, columns) laid out for products, with a constant that they add.
fn panels(matrix: &Tensor, constant: Option<&[f32]>) -> Result<Panels, ScoreError> {
    let (depth, columns) = matrix.size2()?;
    Ok(Panels::fill(depth as usize, columns as usize, constant, |start, count| {
        values(&matrix.f_narrow(1, start as i64, count as i64)?)
    })?)
}
