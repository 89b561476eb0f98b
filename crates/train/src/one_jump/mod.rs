//! One jump for all exit levels, fitted to what the model's head reads. Not in the paper: there the one
//! jump is chosen among those trained at a single level, and a joint fit minimises the same squared error.
//!
//! Three things make the same 2·H·r + 4·H parameters worth several times as much:
//!
//! - **Directions, not lengths** ([`quadratic`]). The head's norm divides every state by its length, so an
//!   approximation's length means nothing; the squared error is mostly about it (the states at position 0
//!   are a hundred times longer than others). Without a constant a map of h is, up to its length, a map of
//!   h/‖h‖: inputs and targets can both be fitted at length 1.
//! - **In the metric of the head** ([`quadratic`]). What matters of an error is what it does to the logits
//!   of tokens that occur: M = Σ p̄(t)·(e_t − ē)·(e_t − ē)ᵀ, with e_t the row of token t in the unembedding
//!   times the norm's gain, and p̄ the mean true distribution. Reduced-rank regression in a metric is still
//!   closed form.
//! - **Divergence** ([`descent`]): from there, Adam on the Kullback-Leibler divergence from the true
//!   distribution, through the fused head.
//!
//! The map is an ordinary n-njtc. Its BatchNorm divides by the states' typical length and adds a constant.
//!
//! # What was tried
//!
//! On SmolLM2-135M, rank 57, average precision and surprisal over the exit levels of 500 samples that were
//! held out of the 9,000 training samples:
//!
//! | fit | precision | surprisal |
//! |---|---:|---:|
//! | joint (Eq. 2) | 23.7 % | 5.52 |
//! | joint without position 0 | 22.5 % | 5.38 |
//! | directions | 26.4 % | 4.83 |
//! | directions, ridge 0.001, 0.01 | 26.5 %, 26.4 % | 4.83, 4.85 |
//! | directions, metric EᵀE: every token counts alike | 24.3 % | 4.94 |
//! | directions, metric with p̄^½ | 27.2 % | 4.87 |
//! | directions, metric as here | 30.7 % | 4.86 |
//! | directions, the mean of the samples' own metrics | 30.5 % | 4.88 |
//! | then 60 steps on the cross-entropy of the true top token | 33.9 % | 4.05 |
//! | 120 steps on that, over 8,192 tokens | 35.8 % | 4.29 |
//! | 120 steps on the divergence, over 8,192 tokens | 36.4 % | 3.81 |
//! | 200 steps on the divergence, all tokens: 8 times slower | 37.2 % | 3.77 |
//! | 200 steps, each drawn token stands for itself alone | 36.5 % | 3.84 |
//! | 200 steps, the drawn tokens stand for all of the rest | 36.7 % | 3.79 |
//! | 200 steps without the constant | 36.0 % | 4.03 |
//! | 400 steps at a relative rate of 0.05 | 37.9 % | 3.85 |
//!
//! On the 3,000 test samples, looked at once with what ships (trained on all 9,000), against the full n-njtc
//! set and its 30 times more parameters; in brackets, 95 % of a paired bootstrap of the difference:
//!
//! | rank | closed form | with the descent | n-njtc | descent − n-njtc |
//! |---|---:|---:|---:|---:|
//! | 57 | 31.9 %, 4.74 | 38.1 %, 3.66 | 30.5 %, 4.33 | 7.6 points (6.6 to 8.6), −0.67 (−0.72 to −0.60) |
//! | 5 | 17.4 %, 6.78 | 27.2 %, 4.60 | 16.2 %, 6.40 | 11.1 points (10.0 to 12.2), −1.80 (−1.88 to −1.71) |
//!
//! The top token alone is learned by heart: 2.7 nats on the samples it was trained on.
//!
//! # Residual
//!
//! A product of rank r cannot say "nearly the state itself", which is what the last levels need. A residual adds it, of the
//! state at length 1, x = h/‖h‖, and gives each level a few numbers in place of the BatchNorm's 4·H:
//!
//! ĥ = α_k·x + ((x·A) ⊙ s_k + t_k)·B, 2·H·r + K·(2·r + 1) parameters: 69,114 on SmolLM2-135M at rank 57.
//!
//! It begins at the minimum of the same squared error ([`quadratic`]), with s = 1 and t = 0, and descends like a one-jump
//! (`jump.rs`). Its approximations have all H dimensions, so no head can be fused with them: a look costs the full head and
//! 2·H·r multiply-adds (28.4 million on SmolLM2-135M at rank 57) where the fused one costs r·(V + H + r) (2.8 million).
//!
//! The form was chosen on 300 samples that were held out, after 120 steps on 2,200 others (a PyTorch sketch of the same
//! descent; divergence over the 64 most likely tokens):
//!
//! | form | precision | divergence | precision at level 29 |
//! |---|---:|---:|---:|
//! | one-jump | 31.9 % | 2.33 | 35.7 % |
//! | α_k·x + norm(h)·A·B | 35.0 % | 2.20 | 52.3 % |
//! | α_k·x + (x·A + c)·B | 34.8 % | 2.21 | 54.3 % |
//! | α_k·x + ((x·A) ⊙ s_k + t_k)·B | 35.3 % | 2.18 | 56.7 % |
//! | the same, α_k, s_k and t_k at 8 times the rate of A and B | 35.9 % | 2.12 | 59.3 % |
//!
//! Norms of its own for each level add little to that. Rank 57, 67,981 samples (eight positions of each sentence), two epochs
//! over all tokens in another such sketch, measured on the samples of the last 500 sentences. A norm is counted as what it
//! comes to, a gain and a bias of H numbers for each level; in a file a BatchNorm has twice as many:
//!
//! | form | parameters | precision | divergence |
//! |---|---:|---:|---:|
//! | one-jump | 65,721 | 40.8 % | 1.866 |
//! | BatchNorm_k(x)·A·B: `joint-norms` on the divergence | 100,281 | 42.0 % | 1.797 |
//! | residual | 69,114 | 44.4 % | 1.645 |
//! | residual with a gain and a bias of H values for x, by level | 103,674 | 44.6 % | 1.623 |
//! | residual with a BatchNorm of x, by level | 103,674 | 44.8 % | 1.621 |
//!
//! With more samples it learns less by heart. On SmolLM2-135M, rank 57, the samples of the last 500 of 9,000 sentences held out,
//! the divergence in training and on those held out, after each epoch:
//!
//! | samples | epochs | in training | held out |
//! |---|---:|---:|---:|
//! | one position of each sentence, common rate | 3 | at the end 0.43 less | 1.603, 1.574, 1.572 |
//! | eight positions, own rate | 2 | 1.577, 1.435 | 1.571, 1.523 |
//!
//! (The own rate was not measured on one position; in the sketch above it gave 0.6 points.)
//!
//! And on other positions of the 500 sentences, against full matrices fitted to the same samples (the two halves are on
//! different draws of those positions):
//!
//! | | parameters | precision | surprisal |
//! |---|---:|---:|---:|
//! | one position: residual, common rate | 69,114 | 38.9 % | 3.76 |
//! | jtc, ridge 0, 0.0003, 0.003, 0.03 | 9,953,280 | 38.9, 39.1, 39.0, 38.2 % | 3.79, 3.79, 3.81, 3.93 |
//! | eight positions: residual, own rate | 69,114 | 46.3 % | 2.93 |
//! | jtc, ridge 0, 0.0003, 0.003, 0.03 | 9,953,280 | 43.5, 43.5, 43.2, 42.3 % | 3.21, 3.21, 3.23, 3.33 |
//!
//! On the 3,000 test samples, looked at once: 44.1 % and 3.09, jtc (of all samples, ridge 0) 42.3 % and 3.38; paired
//! difference 1.8 points (1.2 to 2.4), −0.29 nats (−0.33 to −0.25). On Gemma 3 270M likewise, rank 70, three epochs: 49.1 % and
//! 2.92, jtc 46.2 % and 3.02; 2.9 points (2.3 to 3.5), −0.11 nats (−0.14 to −0.08).

use onejump_core::observe::Observer;
use onejump_core::shortcut::{BATCH_NORM_EPS, ShortcutKind, Solver};
use onejump_models::head::Head;
use onejump_shortcuts::batch_norm::BatchNorm;
use onejump_shortcuts::file::Maps;
use onejump_shortcuts::map::{Map, unit};
use onejump_store::hidden::HiddenStates;
use tch::{Device, Kind, Tensor};

use crate::TrainError;
use crate::config::Config;
use crate::inputs;
use crate::linear::{constant_bias, single};
use crate::passes::{Passes, Prepare};
use crate::trained::TrainedSet;

pub mod descent;
mod jump;
pub mod quadratic;
pub mod tokens;
pub mod truth;

use descent::{Descent, HeldOut, descend};
use jump::{DescendedJump, DescendedResidual};
use quadratic::{Coordinates, Quadratic, Start};
use truth::TrueDistributions;

/// Rows that are worked on at a time.
const CHUNK: i64 = 4096;

/// Fits a one-jump or a residual, whichever the configuration names, to the states of all exit levels, or of those that
/// it names. The head is on the device of the descent; the maps are on the processor. The loss is, in closed form, the
/// mean squared error of the directions in the metric, relative to the targets' mean square; of gradient descent, the last
/// epoch's mean divergence in nats.
///
/// # Errors
/// [`TrainError`] if the states cannot be read, or training diverges.
pub fn fit(
    hidden: &HiddenStates,
    head: &Head,
    rank: usize,
    config: &Config,
    observer: &dyn Observer,
) -> Result<TrainedSet, TrainError> {
    let residual = config.kind == ShortcutKind::Residual;
    let device = config.adam.device;
    let (hidden, aside) = match config.adam.held_out {
        0 => (hidden.clone(), None),
        last => hidden.hold_out(last).map(|(hidden, aside)| (hidden, Some(aside)))?,
    };
    let hidden = &hidden;
    if hidden.samples() < 2 {
        return Err(TrainError::Usage(format!(
            "--held-out {} and the texts that they are of leave {} samples; training needs 2",
            config.adam.held_out,
            hidden.samples()
        )));
    }
    let targets = inputs::level(hidden, hidden.blocks())?;
    let there = targets.f_to_device(device)?;
    let truth = TrueDistributions::of(&there, head, observer)?;
    // A level at a time: moments and lengths need no more.
    let mut lengths = Lengths::default();
    let levels = config.exit_levels(hidden.blocks()).into_iter().map(|k| {
        observer.check()?;
        let states = inputs::level(hidden, k)?;
        lengths.add(&states, Ok)?;
        Ok(states)
    });
    let previous = hidden.before().map(|before| inputs::ends(&before, 0..before.samples())).transpose()?;
    let quadratic = Quadratic::of(levels, previous.as_ref(), &there, head, &truth.mean, residual)?;
    drop(previous);
    drop(there);
    let length = lengths.typical();
    let start = if residual {
        quadratic.fit_residual(rank, config.ridge)?
    } else {
        quadratic.fit(rank, config.ridge)?
    };
    let prepare = |states: &mut Tensor| -> Result<(), TrainError> {
        if !residual {
            let _ = states.f_narrow(1, 0, hidden.hidden_size() as i64)?.f_div_scalar_(length)?;
            return Ok(());
        }
        let rows = states.size2()?.0;
        for start in (0..rows).step_by(CHUNK as usize) {
            let mut part = states.f_narrow(0, start, CHUNK.min(rows - start))?;
            part.f_copy_(&unit(&part)?)?;
        }
        Ok(())
    };
    let mut passes = Passes::new(hidden, config, &prepare, observer);
    let (jump, loss, curve, held_out) = match config.solver {
        Solver::ClosedForm => (Jump::start(&start)?, quadratic.relative_loss(&start)?, None, None),
        Solver::Adam => {
            let descent = Descent {
                truth: &truth,
                head,
                coordinates: &Coordinates::of(&quadratic)?,
                start: &start,
                held_out: aside
                    .map(|aside| held_out(&aside, head, config, &prepare, observer))
                    .transpose()?,
                options: &config.adam,
            };
            let found = descend(&mut passes, &descent, observer)?;
            let loss = found.curve.last().copied().unwrap_or(f64::NAN);
            (Jump::of(found.jump)?, loss, Some(vec![found.curve]), found.held_out)
        }
    };
    // Both targets have the same directions; they differ in length.
    let mut target_lengths = Lengths::default();
    target_lengths.add(&inputs::targets(config.target, targets)?, Ok)?;
    let maps = jump.fold(&mut passes, length, target_lengths.typical())?;
    let (previous, windows) = (jump.previous()?, passes.windows());
    Ok(TrainedSet { maps, previous, losses: vec![loss], curves: curve, held_out, windows })
}

/// The samples that are held out, as a descent needs them.
fn held_out(
    hidden: &HiddenStates,
    head: &Head,
    config: &Config,
    prepare: Prepare,
    observer: &dyn Observer,
) -> Result<HeldOut, TrainError> {
    let device = config.adam.device;
    let finals = inputs::level(hidden, hidden.blocks())?.f_to_device(device)?;
    let truth = TrueDistributions::of(&finals, head, observer)?;
    let levels = config.exit_levels(hidden.blocks()).into_iter().map(|k| inputs::level(hidden, k));
    let mut states = Tensor::f_cat(&levels.collect::<Result<Vec<_>, _>>()?, 0)?;
    if let Some(before) = hidden.before() {
        let ends = inputs::ends(&before, 0..before.samples())?;
        let ends = ends.f_repeat([states.size2()?.0 / ends.size2()?.0, 1])?;
        states = Tensor::f_cat(&[states, ends], 1)?;
    }
    prepare(&mut states)?;
    Ok(HeldOut { states: states.f_to_device(device)?, samples: hidden.samples() as i64, truth })
}

/// The geometric mean of lengths, without those of 0: a few huge ones hardly move it.
#[derive(Default)]
struct Lengths {
    /// Σ ln ‖x‖.
    sum: f64,
    count: f64,
}

impl Lengths {
    /// Adds the lengths of `of(state)` over states (N, H).
    fn add(
        &mut self,
        states: &Tensor,
        of: impl Fn(Tensor) -> Result<Tensor, TrainError>,
    ) -> Result<(), TrainError> {
        let rows = states.size2()?.0;
        for start in (0..rows).step_by(CHUNK as usize) {
            let vectors = of(states.f_narrow(0, start, CHUNK.min(rows - start))?)?;
            let squares = vectors.f_square()?.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Double)?;
            for square in Vec::<f64>::try_from(squares)?.into_iter().filter(|&square| square > 0.0) {
                self.sum += 0.5 * square.ln();
                self.count += 1.0;
            }
        }
        Ok(())
    }

    fn typical(&self) -> f64 {
        if self.count > 0.0 { f64::exp(self.sum / self.count) } else { 1.0 }
    }
}

/// What was found, but for the length of ĥ: (x·A + shift)·B with x = h/length, or of a residual, by level,
/// α·x + ((x·A) ⊙ scale + shift)·B with x = h/‖h‖. Beside the token before x is (h/length, h'_K/‖h'_K‖).
struct Jump {
    /// (H, r), or (2·H, r).
    a: Tensor,
    /// (r, H).
    b: Tensor,
    /// (1, r) or (L, r).
    shift: Tensor,
    residual: Option<DescendedResidual>,
}

impl Jump {
    fn of(found: DescendedJump) -> Result<Self, TrainError> {
        let DescendedJump { a, b, shift, residual } = found;
        let here = |tensor: Tensor| tensor.f_to_device(Device::Cpu);
        let residual = match residual {
            Some(DescendedResidual { scale, alpha }) => {
                Some(DescendedResidual { scale: here(scale)?, alpha: here(alpha)? })
            }
            None => None,
        };
        Ok(Self { a: here(a)?, b: here(b)?, shift: here(shift)?, residual })
    }

    /// Without a descent.
    fn start(start: &Start) -> Result<Self, TrainError> {
        let rank = start.a.size2()?.1;
        let rows = start.alpha.as_ref().map_or(Ok(1), |alpha| alpha.size1())?;
        let filled = |value: f64| Tensor::f_full([rows, rank], value, (Kind::Double, Device::Cpu));
        let residual = match &start.alpha {
            Some(alpha) => Some(DescendedResidual { scale: filled(1.0)?, alpha: alpha.shallow_clone() }),
            None => None,
        };
        Ok(Self { a: start.a.shallow_clone(), b: start.b.shallow_clone(), shift: filled(0.0)?, residual })
    }

    /// The maps, with B and α scaled so that ĥ is typically as long as h_K. The passes' states are prepared already.
    fn fold(&self, passes: &mut Passes, length: f64, target_length: f64) -> Result<Maps, TrainError> {
        let mut ours = Lengths::default();
        let (a, b) = (single(&self.a)?, single(&self.b)?);
        let levels = match &self.residual {
            Some(own) => Some((single(&own.scale)?, single(&own.alpha)?)),
            None => None,
        };
        let shift = single(&self.shift)?;
        passes.again(|window| {
            let states = window.states.f_to_device(Device::Cpu)?;
            let Some((scale, alpha)) = &levels else {
                return ours.add(&states, |x| Ok(shift.f_addmm(&x, &a)?.f_mm(&b)?));
            };
            for (place, of_level) in states.f_split(window.samples, 0)?.iter().enumerate() {
                let own = |rows: &Tensor| rows.f_narrow(0, place as i64, 1);
                let (scale, shift, alpha) = (own(scale)?, own(&shift)?, own(alpha)?);
                ours.add(of_level, |x| {
                    let u = x.f_mm(&a)?.f_mul(&scale)?.f_add(&shift)?;
                    Ok(x.f_mul(&alpha)?.f_addmm(&u, &b)?)
                })?;
            }
            Ok(())
        })?;
        let factor = target_length / ours.typical();
        let b = single(&self.b.f_mul_scalar(factor)?)?;
        let Some(own) = &self.residual else {
            return Ok(Maps::One(Box::new(self.n_njtc(b, length)?)));
        };
        let (scale, alpha) = (single(&own.scale)?, single(&own.alpha.f_mul_scalar(factor)?)?);
        let map = |level: i64| {
            Ok(Map::Residual {
                alpha: alpha.f_narrow(0, level, 1)?,
                scale: scale.f_get(level)?,
                shift: shift.f_get(level)?,
                a: a.shallow_clone(),
                b: b.shallow_clone(),
            })
        };
        Ok(Maps::PerLevel((0..alpha.size1()?).map(map).collect::<Result<_, TrainError>>()?))
    }

    /// What reads the token before, (H, r).
    fn previous(&self) -> Result<Option<Tensor>, TrainError> {
        let (inputs, hidden) = (self.a.size2()?.0, self.b.size2()?.1);
        if inputs == hidden { Ok(None) } else { Ok(Some(single(&self.a.f_narrow(0, hidden, hidden)?)?)) }
    }

    /// An n-njtc with this B, whose BatchNorm divides by the states' typical length.
    fn n_njtc(&self, b: Tensor, length: f64) -> Result<Map, TrainError> {
        let hidden = self.b.size2()?.1;
        // BatchNorm multiplies by weight/√(1 + ε); A takes the root back.
        let a = self.a.f_narrow(0, 0, hidden)?.f_mul_scalar((1.0 + BATCH_NORM_EPS).sqrt())?;
        let ones = Tensor::f_ones([hidden], (Kind::Float, Device::Cpu))?;
        let norm = BatchNorm {
            weight: ones.f_div_scalar(length)?,
            bias: single(&constant_bias(&a, &self.shift)?)?,
            running_mean: ones.f_zeros_like()?,
            running_var: ones,
            eps: BATCH_NORM_EPS,
        };
        Ok(Map::LowRank { norm: Some(norm), a: single(&a)?, b })
    }
}
