//! Threads that compute the states of a part.

use std::sync::{Mutex, PoisonError};

use onejump_core::observe::Meter;
use onejump_models::transformer::Transformer;
use onejump_store::part::PartRows;
use onejump_tensor::rows::values;
use onejump_tensor::threads;
use rayon::prelude::*;
use tch::Device;

use crate::CaptureError;
use crate::batches::{self, numbers, row_count};
use crate::rows::{self, Rows};
use crate::survey::Survey;

/// Threads that feed a GPU.
const GPU_THREADS: usize = 2;

/// On a processor a part has a multiple of this many batches, so that 2, 4 or 8 threads end together. The grouping
/// must not depend on the actual number of threads: it determines the rounding of the states.
const CPU_SHARE: usize = 8;

/// A part has a multiple of this many batches.
fn share(device: Device) -> usize {
    if device == Device::Cpu { CPU_SHARE } else { GPU_THREADS }
}

/// About how many tokens are computed at the same time, at most.
pub(crate) fn tokens_at_once(device: Device, survey: &Survey, batch_tokens: usize) -> usize {
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if device == Device::Cpu { processors() } else { GPU_THREADS };
    batches::tokens_at_once(&survey.longest, survey.tokens, batch_tokens, threads)
}

/// Threads that each compute whole batches. Threads that share a batch would wait for each other several hundred
/// times in it.
pub(crate) struct Workers {
    pool: rayon::ThreadPool,
    /// One model for each thread, all with the same weights: tch lets threads own tensors, but not share them.
    models: Vec<Mutex<Transformer>>,
    /// A part has a multiple of this many batches.
    share: usize,
    hidden_size: usize,
    /// Those whose states are wanted.
    levels: Vec<usize>,
}

impl Workers {
    /// As many threads as there are processors; two for a GPU, which computes one batch while the states of the
    /// other are copied from it.
    pub fn new(model: &Transformer, levels: &[usize]) -> Result<Self, CaptureError> {
        let pool = threads::pool_of(if model.device() == Device::Cpu { 0 } else { GPU_THREADS })?;
        let models = (0..pool.current_num_threads()).map(|_| Mutex::new(model.shallow_clone())).collect();
        let share = share(model.device());
        Ok(Self { pool, models, share, hidden_size: model.hidden_size(), levels: levels.to_vec() })
    }

    /// Computes the states of the rows of one part.
    pub fn compute_part(
        &self,
        rows: Vec<Rows>,
        batch_tokens: usize,
        meter: &dyn Meter,
    ) -> Result<PartStates, CaptureError> {
        // The longest batches come first, so that the threads end at about the same time.
        let mut batches = batches::by_length(&rows, batch_tokens, self.share);
        batches.reverse();
        let states = self.pool.install(|| {
            let states = batches.par_iter().with_max_len(1).map(|batch| {
                let states = self.compute_batch(batch)?;
                meter.advance(row_count(batch) as u64);
                Ok(states)
            });
            states.collect::<Result<Vec<_>, CaptureError>>()
        })?;
        Ok(PartStates { rows, batches, states, hidden_size: self.hidden_size, levels: self.levels.clone() })
    }

    /// Computes the states of one batch, (levels, n, H) flat.
    fn compute_batch(&self, batch: &[Rows]) -> Result<Vec<f32>, CaptureError> {
        let thread = rayon::current_thread_index().unwrap_or(0);
        let model = self.models[thread].lock().unwrap_or_else(PoisonError::into_inner);
        let sequences: Vec<_> = batch.iter().map(Rows::sampled).collect();
        let values = values(&model.states_of(&self.levels, &sequences)?)?;
        check_finite(batch, &values, self.hidden_size, &self.levels)?;
        Ok(values)
    }
}

/// Refuses the states (levels, n, H) of a batch where one is NaN or infinite.
pub(crate) fn check_finite(
    batch: &[Rows],
    values: &[f32],
    hidden_size: usize,
    levels: &[usize],
) -> Result<(), CaptureError> {
    let Some(place) = values.iter().position(|value| !value.is_finite()) else { return Ok(()) };
    let count = row_count(batch);
    let (level, row) = (levels[place / (count * hidden_size)], place / hidden_size % count);
    let sample = numbers(batch).nth(row).unwrap_or_default();
    Err(CaptureError::NotFinite { sample, level, value: values[place] })
}

/// The states of a part in the order in which they were computed: batch by batch.
pub(crate) struct PartStates {
    rows: Vec<Rows>,
    batches: Vec<Vec<Rows>>,
    /// For each batch, its states: (levels, n, H) flat.
    states: Vec<Vec<f32>>,
    hidden_size: usize,
    levels: Vec<usize>,
}

impl PartStates {
    /// Puts the states in the order of the rows; `texts` where a part says which text each row is of.
    pub fn into_rows(self, texts: bool) -> PartRows {
        let hidden = self.hidden_size;
        let first = self.rows.first().map_or(0, |rows| rows.numbers().start);
        let count = row_count(&self.rows);
        let mut levels = vec![vec![0f32; count * hidden]; self.levels.len()];
        for (batch, states) in self.batches.iter().zip(self.states) {
            for (level, states) in levels.iter_mut().zip(states.chunks(row_count(batch) * hidden)) {
                for (number, row) in numbers(batch).zip(states.chunks(hidden)) {
                    let place = (number - first) * hidden;
                    level[place..place + hidden].copy_from_slice(row);
                }
            }
        }
        rows::part(&self.rows, first..first + count, texts, self.levels.into_iter().zip(levels).collect())
    }
}
