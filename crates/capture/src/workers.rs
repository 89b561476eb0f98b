//! Threads that compute the states of a part.

use std::sync::{Mutex, PoisonError};

use onejump_core::observe::Meter;
use onejump_models::transformer::Transformer;
use onejump_store::part::PartRows;
use onejump_tensor::{rows, threads};
use rayon::prelude::*;
use tch::Device;

use crate::CaptureError;
use crate::batches;
use crate::samples::Sample;

/// Threads that feed a GPU.
const GPU_THREADS: usize = 2;

/// On a processor a part has a multiple of this many batches, so that 2, 4 or 8 threads end together. The grouping
/// must not depend on the actual number of threads: it determines the rounding of the states.
const CPU_SHARE: usize = 8;

/// A part has a multiple of this many batches.
fn share(device: Device) -> usize {
    if device == Device::Cpu { CPU_SHARE } else { GPU_THREADS }
}

/// How many tokens are computed at the same time, at most, where parts have these samples.
pub(crate) fn tokens_at_once<'a>(
    device: Device,
    parts: impl Iterator<Item = &'a [Sample]>,
    batch_tokens: usize,
) -> usize {
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if device == Device::Cpu { processors() } else { GPU_THREADS };
    batches::tokens_at_once(parts, batch_tokens, share(device), threads)
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
    levels: usize,
}

impl Workers {
    /// As many threads as there are processors; two for a GPU, which computes one batch while the states of the
    /// other are copied from it.
    pub fn new(model: &Transformer) -> Result<Self, CaptureError> {
        let pool = threads::pool_of(if model.device() == Device::Cpu { 0 } else { GPU_THREADS })?;
        let models = (0..pool.current_num_threads()).map(|_| Mutex::new(model.shallow_clone())).collect();
        let share = share(model.device());
        Ok(Self { pool, models, share, hidden_size: model.hidden_size(), levels: model.blocks() + 1 })
    }

    /// Computes the states of the samples of one part, of which `first` is the number of the first.
    pub fn compute_part<'a>(
        &self,
        samples: &'a [Sample],
        first: usize,
        batch_tokens: usize,
        meter: &dyn Meter,
    ) -> Result<PartStates<'a>, CaptureError> {
        // The longest batches come first, so that the threads end at about the same time.
        let mut batches = batches::by_length(samples, batch_tokens, self.share);
        batches.reverse();
        let states = self.pool.install(|| {
            let states = batches.par_iter().with_max_len(1).map(|batch| {
                let states = self.compute_batch(samples, first, batch)?;
                meter.advance(batch.len() as u64);
                Ok(states)
            });
            states.collect::<Result<Vec<_>, CaptureError>>()
        })?;
        let (hidden_size, levels) = (self.hidden_size, self.levels);
        Ok(PartStates { samples, first, batches, states, hidden_size, levels })
    }

    /// Computes the states of one batch, (K + 1, n, H) flat.
    fn compute_batch(
        &self,
        samples: &[Sample],
        first: usize,
        batch: &[usize],
    ) -> Result<Vec<f32>, CaptureError> {
        let thread = rayon::current_thread_index().unwrap_or(0);
        let model = self.models[thread].lock().unwrap_or_else(PoisonError::into_inner);
        let sequences: Vec<&[i64]> = batch.iter().map(|&place| samples[place].prefix()).collect();
        let values = rows::values(&model.states_at_last(&sequences)?)?;
        if let Some(place) = values.iter().position(|value| !value.is_finite()) {
            let (level, row) =
                (place / (batch.len() * self.hidden_size), place / self.hidden_size % batch.len());
            return Err(CaptureError::NotFinite { sample: first + batch[row], level, value: values[place] });
        }
        Ok(values)
    }
}

/// The states of a part in the order in which they were computed: batch by batch.
pub(crate) struct PartStates<'a> {
    samples: &'a [Sample],
    first: usize,
    /// For each batch, the places of its samples in `samples`.
    batches: Vec<Vec<usize>>,
    /// For each batch, its states: (K + 1, n, H) flat.
    states: Vec<Vec<f32>>,
    hidden_size: usize,
    levels: usize,
}

impl PartStates<'_> {
    /// Puts the states in the order of the samples.
    pub fn into_rows(self) -> PartRows {
        let (samples, first, hidden) = (self.samples, self.first, self.hidden_size);
        let mut levels = vec![vec![0f32; samples.len() * hidden]; self.levels];
        for (batch, states) in self.batches.iter().zip(self.states) {
            for (level, rows) in levels.iter_mut().zip(states.chunks(batch.len() * hidden)) {
                for (&place, row) in batch.iter().zip(rows.chunks(hidden)) {
                    level[place * hidden..(place + 1) * hidden].copy_from_slice(row);
                }
            }
        }
        part_rows(samples, first, levels)
    }
}

/// The rows of a part: its samples, of which `first` is the number of the first, and their states (N, H) at each
/// level.
pub(crate) fn part_rows(samples: &[Sample], first: usize, levels: Vec<Vec<f32>>) -> PartRows {
    PartRows {
        sample_ids: (first as u64..(first + samples.len()) as u64).collect(),
        sentences: samples.iter().map(|sample| sample.sentence.clone()).collect(),
        token_ids: samples.iter().map(|s| s.token_ids.iter().map(|&id| id as i32).collect()).collect(),
        positions: samples.iter().map(|sample| sample.position as u32).collect(),
        levels,
    }
}
