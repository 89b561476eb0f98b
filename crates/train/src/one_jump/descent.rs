//! Adam on the divergence from the true distribution: the loss of a sample is Σ p(t)·(ln p(t) − ln q(t)) over its most
//! likely tokens, through the head (`jump.rs`) and over some tokens of the vocabulary ([`super::tokens`]).
//!
//! Samples that are held out say when to stop: after every epoch the divergence on them is measured, over the same
//! tokens each time, and the jump of the epoch with the least is what is found. It stops once [`PATIENCE`] epochs in a
//! row were no better.

use onejump_core::observe::{Observer, Task};
use onejump_core::seed::{self, Purpose};
use onejump_models::head::Head;
use onejump_tensor::transfer::to_device;
use tch::{Kind, Tensor};

use crate::TrainError;
use crate::config::DescentOptions;
use crate::one_jump::jump::{BETA_2, Batch, DescendedJump, JumpParameters};
use crate::one_jump::quadratic::{Coordinates, Start};
use crate::one_jump::tokens::{Tokens, Truths, VOCABULARY, Vocabulary};
use crate::one_jump::truth::{TOP, TrueDistributions};
use crate::optimiser::{decay, finite, reorder};
use crate::passes::{Passes, Window};

/// Epochs in a row that may be no better on the samples that are held out.
pub const PATIENCE: usize = 2;

/// Pairs whose divergence is measured at a time.
const CHUNK: i64 = 1024;

/// What a step looks at, as the beginning of a line for the file's metadata.
pub(crate) fn describe(vocab_size: usize) -> String {
    format!(
        "divergence over the {} most likely tokens, {} tokens a step, β₂ {BETA_2}, relative rate",
        (TOP as usize).min(vocab_size),
        VOCABULARY.min(vocab_size),
    )
}

/// What a descent is about.
pub(crate) struct Descent<'a> {
    /// Of the samples that it descends on.
    pub truth: &'a TrueDistributions,
    pub head: &'a Head,
    pub coordinates: &'a Coordinates,
    pub start: &'a Start,
    pub held_out: Option<HeldOut>,
    pub options: &'a DescentOptions,
}

/// Samples that nothing is fitted to.
pub(crate) struct HeldOut {
    /// The states of level after level, (levels · n, H) f32.
    pub states: Tensor,
    /// n.
    pub samples: i64,
    pub truth: TrueDistributions,
}

/// The jump, and the mean divergence per epoch in nats.
pub(crate) struct Descended {
    pub jump: DescendedJump,
    pub curve: Vec<f64>,
    /// Before the first epoch and after each one, on the samples that are held out.
    pub held_out: Option<Vec<f64>>,
}

/// Descends on the states of `passes`, which are of length about 1.
pub(crate) fn descend(
    passes: &mut Passes,
    descent: &Descent,
    observer: &dyn Observer,
) -> Result<Descended, TrainError> {
    let &Descent { truth, head, options, .. } = descent;
    let mut jump = JumpParameters::new(descent.coordinates, descent.start, options.device)?;
    let mut vocabulary = Vocabulary::new(head, &truth.mean, options.seed, 0)?;
    let mut best = match &descent.held_out {
        Some(held_out) => Some(Best::new(held_out, descent, &jump)?),
        None => None,
    };
    let mut order = Vec::new();
    let mut random = seed::stream(options.seed, Purpose::Order, 0);
    let rate = options.learning_rate * jump.initial_size;
    let batches = passes.batches();
    let steps = batches as usize * options.epochs;
    let batch_size = passes.batch_size();
    let meter = observer.begin(Task { name: "train", unit: "steps", total: steps as u64 });
    let (mut step, mut curve) = (0, Vec::with_capacity(options.epochs));
    for epoch in 1..=options.epochs {
        // Added up on the device, which nobody waits for within an epoch.
        let mut total = Tensor::f_zeros([], (Kind::Double, options.device))?;
        passes.again(|window| {
            reorder(&mut order, window.states.size2()?.0, &mut random);
            for rows in order.chunks_exact(batch_size as usize) {
                observer.check()?;
                let batch = batch(rows, window, truth)?;
                total += jump.gradients(&batch, &vocabulary.draw()?, head)?;
                jump.adam.update(rate * decay(step as f64 / steps as f64))?;
                step += 1;
                meter.advance(1);
            }
            Ok(())
        })?;
        let loss = total.f_double_value(&[])? / batches as f64;
        finite(loss, epoch, options)?;
        curve.push(loss);
        if let Some(best) = &mut best {
            let held_out = best.measure(&jump)?;
            tracing::info!("epoch {epoch}: divergence {loss:.4}, {held_out:.4} on the samples held out");
            if best.stops() {
                break;
            }
        }
    }
    drop(meter);
    let held_out = match best {
        Some(best) => Some(best.take(&mut jump)?),
        None => None,
    };
    Ok(Descended { jump: jump.found()?, curve, held_out })
}

/// Some rows of a window; row i is of the sample i mod the window's samples.
fn batch(rows: &[i64], window: &Window, truth: &TrueDistributions) -> Result<Batch, TrainError> {
    let rows = to_device(&Tensor::f_from_slice(rows)?, window.states.device())?;
    let samples = rows.f_remainder(window.samples)?.f_add_scalar(window.first)?;
    let count = window.states.size2()?.0 / window.samples;
    Ok(Batch {
        x: window.states.f_index_select(0, &rows)?,
        levels: rows.f_floor_divide_scalar(window.samples)?.f_one_hot(count)?.f_to_kind(Kind::Float)?,
        truths: Truths {
            tokens: truth.tokens.f_index_select(0, &samples)?,
            probabilities: truth.probabilities.f_index_select(0, &samples)?,
        },
    })
}

/// The best jump so far on the samples that are held out.
struct Best<'a> {
    held_out: Window,
    truth: &'a TrueDistributions,
    head: &'a Head,
    /// The same each time.
    tokens: Tokens,
    curve: Vec<f64>,
    /// The parameters of the least divergence.
    parameters: Tensor,
}

impl<'a> Best<'a> {
    fn new(held_out: &'a HeldOut, descent: &Descent<'a>, start: &JumpParameters) -> Result<Self, TrainError> {
        let HeldOut { states, samples, truth } = held_out;
        let Descent { head, options, .. } = descent;
        let tokens = Vocabulary::new(head, &descent.truth.mean, options.seed, 1)?.draw()?;
        let held_out = Window { first: 0, samples: *samples, states: states.shallow_clone() };
        let parameters = start.adam.parameters.copy();
        let mut best = Self { held_out, truth, head, tokens, curve: Vec::new(), parameters };
        best.measure(start)?;
        Ok(best)
    }

    fn measure(&mut self, jump: &JumpParameters) -> Result<f64, TrainError> {
        let count = self.held_out.states.size2()?.0;
        let mut sum = Tensor::f_zeros([], (Kind::Double, self.held_out.states.device()))?;
        for start in (0..count).step_by(CHUNK as usize) {
            let rows: Vec<i64> = (start..count.min(start + CHUNK)).collect();
            let batch = batch(&rows, &self.held_out, self.truth)?;
            sum += jump.divergence(&batch, &self.tokens, self.head)?.f_mul_scalar(rows.len() as f64)?;
        }
        let mean = sum.f_double_value(&[])? / count as f64;
        if self.curve.iter().all(|&earlier| mean < earlier) {
            self.parameters = jump.adam.parameters.copy();
        }
        self.curve.push(mean);
        Ok(mean)
    }

    fn stops(&self) -> bool {
        let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
        let (before, last) = self.curve.split_at(self.curve.len().saturating_sub(PATIENCE));
        least(last) >= least(before)
    }

    /// Gives the jump its best parameters back.
    fn take(self, jump: &mut JumpParameters) -> Result<Vec<f64>, TrainError> {
        jump.adam.parameters.f_copy_(&self.parameters)?;
        Ok(self.curve)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn stops(curve: &[f64]) -> bool {
        let none = || Tensor::zeros([1, 1], (Kind::Float, Device::Cpu));
        let head = Head {
            norm: onejump_models::norm::Norm::Rms { weight: none(), eps: 1e-5 },
            unembedding: none(),
            soft_cap: None,
        };
        let truth = TrueDistributions { tokens: none(), probabilities: none(), mean: none().view([-1]) };
        let tokens = Vocabulary::new(&head, &truth.mean, 0, 1).unwrap().draw().unwrap();
        let held_out = Window { first: 0, samples: 1, states: none() };
        let (curve, parameters) = (curve.to_vec(), none());
        Best { held_out, truth: &truth, head: &head, tokens, curve, parameters }.stops()
    }

    /// The start counts as an epoch, and one epoch that is no better may be followed by a better one.
    #[test]
    fn two_epochs_in_a_row_that_are_no_better_end_it() {
        assert!(!stops(&[3.0, 2.0]));
        assert!(!stops(&[3.0, 2.0, 2.1]));
        assert!(!stops(&[3.0, 2.0, 2.1, 1.9]));
        assert!(stops(&[3.0, 2.0, 2.1, 2.0]));
        assert!(stops(&[3.0, 3.5, 3.4]));
    }
}
