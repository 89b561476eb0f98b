//! The cosine of every (jump, level) pair (Eq. 4), without an approximation in memory.
//!
//! With B_m = R_m·Q_m, where the rows of Q_m are orthonormal, and u = norm_m(h)·A_m·R_m: ĥ = u·Q_m, so
//! ĥ·h_K = u·(Q_m·h_K) and ‖ĥ‖ = ‖u‖. The u of all jumps at a level are one product of (N, H) by (H, K·r),
//! and so are the Q_m·h_K, once for all levels.

use std::ops::Range;

use onejump_core::observe::{Observer, Task};
use onejump_shortcuts::file::{Maps, ShortcutFile};
use onejump_shortcuts::map::Map;
use onejump_simd::{Panels, ROWS, cosines, dot};
use onejump_store::hidden::{HiddenStates, PartRange};
use onejump_tensor::rows::values;
use onejump_tensor::threads;
use rayon::prelude::*;
use tch::{Kind, Tensor};

use crate::ScoreError;
use crate::sums::{PartSums, Sums, TextSums};

/// Samples whose u are computed at a time: the u of a chunk stay in the processor's cache.
const CHUNK: usize = 32 * ROWS;

/// The cosine and the signed square of every jump at every level 0..=K, added up over the samples.
///
/// # Errors
/// [`ScoreError`] if the file holds no low-rank map per level, belongs to another model, or a jump
/// yields a zero or non-finite approximation.
pub fn sums(
    hidden: &HiddenStates,
    jumps: &ShortcutFile,
    observer: &dyn Observer,
) -> Result<Sums, ScoreError> {
    hidden.check_levels(0..=hidden.blocks())?;
    let jumps = Jumps::stack(jumps)?;
    if jumps.first.depth() != hidden.hidden_size() {
        return Err(ScoreError::Jump(format!(
            "the jumps are for H = {}, the states have H = {}",
            jumps.first.depth(),
            hidden.hidden_size()
        )));
    }
    let (pool, ranges, text_ids) = (threads::pool()?, hidden.part_ranges(), hidden.text_ids()?);
    let targets = pool.install(|| Targets::new(hidden, &jumps, &ranges))?;
    let blocks = hidden.blocks();
    let part = |range: &PartRange| PartSums {
        part: range.part,
        samples: range.samples.len(),
        texts: TextSums::of(&text_ids[range.samples.clone()], jumps.count),
        ..PartSums::default()
    };
    let mut sums = Sums { blocks, parts: ranges.iter().map(part).collect() };
    let meter = observer.begin(Task { name: "score", unit: "levels", total: blocks as u64 + 1 });
    // As many levels as threads at a time; what they come to is added in the order of the levels.
    let all: Vec<usize> = (0..=blocks).collect();
    for levels in all.chunks(pool.current_num_threads()) {
        let found = pool.install(|| {
            let of_level = |&level: &usize| {
                observer.check()?;
                let found = level_sums(hidden, level, &jumps, &targets, &sums)?;
                meter.advance(1);
                Ok(found)
            };
            levels.par_iter().with_max_len(1).map(of_level).collect::<Result<Vec<_>, ScoreError>>()
        })?;
        for (&level, found) in levels.iter().zip(found) {
            for (part, of_part) in sums.parts.iter_mut().zip(found) {
                part.cosines.extend(of_part.cosines);
                part.signed_squares.extend(of_part.signed_squares);
                part.texts.add(level, blocks, &of_part.by_text);
            }
        }
    }
    Ok(sums)
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
    /// Samples that are computed together, part after part.
    chunks: Vec<Vec<Range<usize>>>,
    /// Q_m·h_K of each sample, (N, K·r).
    projected: Vec<f32>,
    /// ‖h_K‖, (N).
    norms: Vec<f64>,
}

impl Targets {
    fn new(hidden: &HiddenStates, jumps: &Jumps, parts: &[PartRange]) -> Result<Self, ScoreError> {
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
        let projected = states.par_chunks(CHUNK * hidden.hidden_size()).flat_map_iter(project).collect();
        let chunk = |start: usize, end: usize| start..(start + CHUNK).min(end);
        let chunks = |PartRange { samples, .. }: &PartRange| {
            samples.clone().step_by(CHUNK).map(|start| chunk(start, samples.end)).collect()
        };
        Ok(Self { chunks: parts.iter().map(chunks).collect(), projected, norms })
    }
}

/// What the samples of one part have at one level.
struct LevelSums {
    /// Σ C of every jump, (K).
    cosines: Vec<f64>,
    /// Σ sgn(C)·C², (K).
    signed_squares: Vec<f64>,
    /// The same of each text, (texts, K).
    by_text: Vec<f64>,
}

/// The sums of every part at one level.
fn level_sums(
    hidden: &HiddenStates,
    level: usize,
    jumps: &Jumps,
    targets: &Targets,
    sums: &Sums,
) -> Result<Vec<LevelSums>, ScoreError> {
    let states = hidden.level(level)?;
    let (count, width, hidden_size) = (jumps.count, jumps.count * jumps.rank, hidden.hidden_size());
    let mut found = Vec::with_capacity(sums.parts.len());
    for (part, chunks) in sums.parts.iter().zip(&targets.chunks) {
        let zeros = |texts: usize| vec![0.0; texts * count];
        let texts = &part.texts.samples;
        let mut of_part =
            LevelSums { cosines: zeros(1), signed_squares: zeros(1), by_text: zeros(texts.len()) };
        let mut text_of_sample =
            (0..).zip(texts).flat_map(|(text, &samples)| (0..samples).map(move |_| text));
        for samples in chunks {
            let states = &states[samples.start * hidden_size..samples.end * hidden_size];
            let u = jumps.first.multiply(states, 0..width); // (n, K·r)
            let projected = &targets.projected[samples.start * width..samples.end * width];
            let cosines = cosines(&u, projected, &targets.norms[samples.clone()], jumps.rank); // (n, K)
            for (row, text) in cosines.chunks_exact(count).zip(&mut text_of_sample) {
                let first: usize = text * count;
                let by_text = &mut of_part.by_text[first..first + count];
                for (jump, &cosine) in row.iter().enumerate() {
                    let signed_square = cosine * cosine.abs();
                    of_part.cosines[jump] += cosine;
                    of_part.signed_squares[jump] += signed_square;
                    by_text[jump] += signed_square;
                }
            }
        }
        if let Some(jump) = (0..count).find(|&jump| !of_part.cosines[jump].is_finite()) {
            return Err(ScoreError::Jump(format!(
                "jump {jump} at level {level} yields no usable approximation (0, NaN or infinity); train it again"
            )));
        }
        found.push(of_part);
    }
    Ok(found)
}

/// A matrix (H, columns) laid out for products, with a constant that they add.
fn panels(matrix: &Tensor, constant: Option<&[f32]>) -> Result<Panels, ScoreError> {
    let (depth, columns) = matrix.size2()?;
    Ok(Panels::fill(depth as usize, columns as usize, constant, |start, count| {
        values(&matrix.f_narrow(1, start as i64, count as i64)?)
    })?)
}
