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
//! The top token alone is learned by heart: 2.7 nats on the samples it was trained on. A residual form
//! h + h·A·B was not tried: the file format has none.

use onejump_core::observe::Observer;
use onejump_core::shortcut::{BATCH_NORM_EPS, Solver};
use onejump_models::head::Head;
use onejump_shortcuts::batch_norm::BatchNorm;
use onejump_shortcuts::map::Map;
use onejump_store::hidden::HiddenStates;
use tch::{Device, Kind, Tensor};

use crate::TrainError;
use crate::config::Config;
use crate::inputs;
use crate::linear::{constant_bias, single};
use crate::passes::Passes;
use crate::trained::{TrainedMap, TrainedSet};

pub mod descent;
pub mod quadratic;
pub mod truth;

use quadratic::{Coordinates, Quadratic};
use truth::TrueDistributions;

/// Rows that are worked on at a time.
const CHUNK: i64 = 4096;

/// A jump, its training loss, and the loss of every epoch of gradient descent.
#[derive(Debug)]
pub struct OneJump {
    /// The map.
    pub map: Map,
    /// Closed form: the mean squared error of the directions in the metric, relative to the targets' mean
    /// square. Gradient descent: the last epoch's mean divergence in nats.
    pub loss: f64,
    /// Mean divergence of every epoch; none for the closed form.
    pub curve: Option<Vec<f64>>,
    /// In how many windows the samples were read.
    pub windows: usize,
}

impl OneJump {
    pub(crate) fn into_set(self) -> TrainedSet {
        let trained = TrainedMap { map: self.map, loss: self.loss, curve: self.curve };
        TrainedSet { windows: self.windows, ..TrainedSet::one(trained) }
    }
}

/// Fits one jump to the states of all exit levels, or of those that the configuration names. The head is on the device of the descent; the map is on the processor.
///
/// # Errors
/// [`TrainError`] if the states cannot be read, or training diverges.
pub fn fit(
    hidden: &HiddenStates,
    head: &Head,
    rank: usize,
    config: &Config,
    observer: &dyn Observer,
) -> Result<OneJump, TrainError> {
    let targets = inputs::level(hidden, hidden.blocks())?;
    let there = targets.f_to_device(config.adam.device)?;
    let truth = TrueDistributions::of(&there, head, observer)?;
    // A level at a time: moments and lengths need no more.
    let mut lengths = Lengths::default();
    let levels = config.exit_levels(hidden.blocks()).into_iter().map(|k| {
        observer.check()?;
        let states = inputs::level(hidden, k)?;
        lengths.add(&states, Ok)?;
        Ok(states)
    });
    let quadratic = Quadratic::of(levels, &there, head, &truth.mean)?;
    drop(there);
    let length = lengths.typical();
    let start = quadratic.fit(rank, config.ridge)?;
    let scale = |states: &mut Tensor| {
        let _ = states.f_div_scalar_(length)?;
        Ok(())
    };
    let mut passes = Passes::new(hidden, config, &scale, observer);
    let (a, b, constant, loss, curve) = match config.solver {
        Solver::ClosedForm => {
            let loss = quadratic.relative_loss(&start.0, &start.1)?;
            let there = |tensor: Tensor| tensor.f_to_device(config.adam.device);
            (there(start.0)?, there(start.1)?, None, loss, None)
        }
        Solver::Adam => {
            let coordinates = Coordinates::of(&quadratic)?;
            let found =
                descent::descend(&mut passes, &truth, head, &coordinates, &start, &config.adam, observer)?;
            let loss = found.curve.last().copied().unwrap_or(f64::NAN);
            (found.a, found.b, Some(found.constant), loss, Some(found.curve))
        }
    };
    // Both targets have the same directions; they differ in length.
    let mut target_lengths = Lengths::default();
    target_lengths.add(&inputs::targets(config.target, targets)?, Ok)?;
    let map = Jump { a, b, constant }.fold(&mut passes, length, target_lengths.typical())?;
    let map = map.to_device(Device::Cpu)?;
    Ok(OneJump { map, loss, curve, windows: passes.windows() })
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

/// ĥ = (h/length·A + constant)·B, but for the length of ĥ.
struct Jump {
    /// (H, r).
    a: Tensor,
    /// (r, H).
    b: Tensor,
    /// (r).
    constant: Option<Tensor>,
}

impl Jump {
    /// The shortcut, with B scaled so that ĥ is typically as long as h_K. The passes' states are already divided by
    /// their typical length.
    fn fold(&self, passes: &mut Passes, length: f64, target_length: f64) -> Result<Map, TrainError> {
        let (a, b) = (&self.a, &self.b);
        let (hidden, rank) = a.size2()?;
        let constant = match &self.constant {
            Some(constant) => constant.f_view([1, rank])?,
            None => Tensor::f_zeros([1, rank], (a.kind(), a.device()))?,
        };
        let (first, second, shift) = (single(a)?, single(b)?, single(&constant)?);
        let mut ours = Lengths::default();
        passes
            .again(|window| ours.add(&window.states, |x| Ok(shift.f_addmm(&x, &first)?.f_mm(&second)?)))?;
        let b = b.f_mul_scalar(target_length / ours.typical())?;
        // BatchNorm multiplies by weight/√(1 + ε); A takes the root back.
        let a = a.f_mul_scalar((1.0 + BATCH_NORM_EPS).sqrt())?;
        let ones = Tensor::f_ones([hidden], (Kind::Float, a.device()))?;
        let norm = BatchNorm {
            weight: ones.f_div_scalar(length)?,
            bias: single(&constant_bias(&a, &constant.f_to_kind(a.kind())?)?)?,
            running_mean: ones.f_zeros_like()?,
            running_var: ones,
            eps: BATCH_NORM_EPS,
        };
        Ok(Map::LowRank { norm: Some(norm), a: single(&a)?, b: single(&b)? })
    }
}
