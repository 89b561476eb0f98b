//! The cosine of every (jump, level) pair (Eq. 4), without an approximation in memory.
//!
//! With B_m = R_m·Q_m, where the rows of Q_m are orthonormal, and u = norm_m(h)·A_m·R_m: ĥ = u·Q_m, so
//! ĥ·h_K = u·(Q_m·h_K) and ‖ĥ‖ = ‖u‖. The u of all jumps at a level are one product of (N, H) by (H, K·r),
//! and so are the Q_m·h_K, once for all levels.

use onejump_core::observe::{Observer, Task};
use onejump_shortcuts::file::{Maps, ShortcutFile};
use onejump_shortcuts::map::Map;
use onejump_simd::{CosineSums, Panels, ROWS, add_cosines, dot};
use onejump_store::hidden::HiddenStates;
use onejump_store::tables::Score;
use onejump_tensor::rows::values;
use onejump_tensor::threads;
use rayon::prelude::*;
use tch::{Kind, Tensor};

use crate::ScoreError;

/// Samples whose u are computed at a time: the u of a chunk stay in the processor's cache.
const CHUNK: usize = 32 * ROWS;

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
    hidden.check_levels(0..=hidden.blocks())?;
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
    let by_level = &by_level;
    Ok((0..count).flat_map(|jump| by_level.iter().map(move |scores| scores[jump])).collect())
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

/// The score of every jump at one level.
fn level_scores(
    hidden: &HiddenStates,
    level: usize,
    jumps: &Jumps,
    targets: &Targets,
) -> Result<Vec<Score>, ScoreError> {
    let states = hidden.level(level)?;
    let width = jumps.count * jumps.rank;
    let mut sums = vec![CosineSums::default(); jumps.count];
    let chunks = states.chunks(CHUNK * hidden.hidden_size());
    for ((states, projected), norms) in chunks.zip(&targets.projected).zip(targets.norms.chunks(CHUNK)) {
        let u = jumps.first.multiply(states, 0..width); // (n, K·r)
        add_cosines(&mut sums, &u, projected, norms, jumps.rank);
    }
    let mean = |sum: f64| sum / targets.norms.len() as f64;
    let score = |(jump, sums): (usize, CosineSums)| Score {
        jump,
        level,
        mean_cosine: mean(sums.cosines),
        mean_signed_square: mean(sums.signed_squares),
    };
    let scores: Vec<Score> = sums.into_iter().enumerate().map(score).collect();
    let usable = |score: &Score| score.mean_cosine.is_finite() && score.mean_signed_square.is_finite();
    match scores.iter().find(|score| !usable(score)) {
        None => Ok(scores),
        Some(Score { jump, .. }) => Err(ScoreError::Jump(format!(
            "jump {jump} at level {level} yields no usable approximation (0, NaN or infinity); train it again"
        ))),
    }
}

/// A matrix (H, columns) laid out for products, with a constant that they add.
fn panels(matrix: &Tensor, constant: Option<&[f32]>) -> Result<Panels, ScoreError> {
    let (depth, columns) = matrix.size2()?;
    Ok(Panels::fill(depth as usize, columns as usize, constant, |start, count| {
        values(&matrix.f_narrow(1, start as i64, count as i64)?)
    })?)
}
