//! The true distributions of the training samples: the head at the final hidden states.

use onejump_core::observe::{Observer, Task};
use onejump_models::head::Head;
use tch::{Kind, Tensor};

use crate::TrainError;

/// So many of the most likely tokens of each sample are kept. On SmolLM2 they hold 85 % of the probability.
pub const TOP: i64 = 64;

/// Samples at a time: each batch reads all of the unembedding, and its logits are whole in memory.
const CHUNK: i64 = 128;

/// The true distributions of N samples, as far as training needs them.
#[derive(Debug)]
pub struct TrueDistributions {
    /// The [`TOP`] most likely tokens of each sample, most likely first, (N, T) i64.
    pub tokens: Tensor,
    /// Their probabilities, (N, T) f32.
    pub probabilities: Tensor,
    /// p̄, the mean distribution over the samples, (V) f64.
    pub mean: Tensor,
}

impl TrueDistributions {
    /// The head's distributions at final hidden states (N, H).
    ///
    /// # Errors
    /// [`TrainError`] if the head is for another hidden size.
    pub fn of(states: &Tensor, head: &Head, observer: &dyn Observer) -> Result<Self, TrainError> {
        let (samples, vocab) = (states.size2()?.0, head.vocab_size() as i64);
        let meter = observer.begin(Task { name: "truth", unit: "samples", total: samples as u64 });
        let mut sum = Tensor::f_zeros([vocab], (Kind::Double, states.device()))?;
        // Whole from the start: a small result that stays behind each batch's large logits would leave gaps in the heap
        // that no later batch fits into.
        let top = TOP.min(vocab);
        let empty = |kind| Tensor::f_empty([samples, top], (kind, states.device()));
        let (tokens, probabilities) = (empty(Kind::Int64)?, empty(Kind::Float)?);
        for start in (0..samples).step_by(CHUNK as usize) {
            observer.check()?;
            let rows = CHUNK.min(samples - start);
            let distribution = head.logits(&states.f_narrow(0, start, rows)?)?.f_softmax(-1, None)?; // (n, V)
            sum += distribution.f_sum_dim_intlist([0i64].as_slice(), false, Kind::Double)?;
            let (largest, ids) = distribution.f_topk(top, -1, true, true)?;
            tokens.f_narrow(0, start, rows)?.f_copy_(&ids)?;
            probabilities.f_narrow(0, start, rows)?.f_copy_(&largest)?;
            meter.advance(rows as u64);
        }
        Ok(Self { tokens, probabilities, mean: sum.f_div_scalar(samples as f64)? })
    }
}
