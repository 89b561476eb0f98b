//! What a capture will need, known before the model is loaded.

use std::time::Instant;

use onejump_core::memory;
use onejump_models::device::Place;
use onejump_models::transformer::Outline;
use serde::Serialize;
use tch::{Device, Kind, Tensor};

use crate::CaptureError;

/// About which share of libtorch's rate for plain matrix products a capture reaches: norms, attention and activations
/// take the rest of the time.
const EFFICIENCY: f64 = 0.75;

/// The same in f32 on a processor, where weights are laid out for faster products (measured with SmolLM2-135M).
const CPU_EFFICIENCY: f64 = 1.0;

/// How many values are in memory between two layers for each token of a batch, as a multiple of H: the residual
/// stream, its norm, queries, keys and values, the feed-forward part, and what is about to be freed.
const ACTIVATIONS: usize = 24;

/// What a process with libtorch takes before it has a model, in bytes (measured: 140 MB of resident memory).
const PROCESS: usize = 140_000_000;

/// What a capture will need.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Plan {
    /// H.
    pub hidden_size: usize,
    /// K.
    pub blocks: usize,
    /// Values in the checkpoint.
    pub parameters: u64,
    /// Bytes of the weights where the model computes.
    pub weight_bytes: u64,
    /// About how many bytes the process, the batches and the part that is being filled take.
    pub working_bytes: u64,
    /// Bytes of the sums, in memory and on the disk; none where there are none.
    pub moment_bytes: u64,
    /// Bytes of the states before compression: an upper bound for the parts.
    pub state_bytes: u64,
    /// Samples in all.
    pub samples: usize,
    /// Tokens up to the sampled ones.
    pub tokens: u64,
    /// Seconds for all of them, estimated from a short matrix product; none where only sizes were asked for.
    pub seconds: Option<f64>,
}

/// What the plan depends on beside the model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    pub samples: usize,
    /// How many levels are stored.
    pub levels: usize,
    pub tokens: usize,
    /// Tokens of the batches that are computed at the same time: a long line makes one longer than it should be.
    pub tokens_at_once: usize,
    pub part_bytes: usize,
    /// 0 where no states are stored.
    pub store_value_bytes: usize,
    pub moment_bytes: u64,
}

impl Plan {
    pub(crate) fn new(outline: &Outline, place: Place, work: Work) -> Self {
        let value_bytes = place.dtype.elt_size_in_bytes();
        let activations = work.tokens_at_once * outline.hidden_size * ACTIVATIONS * size_of::<f32>();
        let values = work.samples * work.levels * outline.hidden_size;
        Self {
            hidden_size: outline.hidden_size,
            blocks: outline.blocks,
            parameters: outline.parameters,
            weight_bytes: outline.parameters * value_bytes as u64,
            // One part is in memory in batches while the part before it is there twice, in rows and encoded.
            working_bytes: (PROCESS + activations + 3 * work.part_bytes) as u64,
            moment_bytes: work.moment_bytes,
            state_bytes: (values * work.store_value_bytes) as u64,
            samples: work.samples,
            tokens: work.tokens as u64,
            seconds: None,
        }
    }

    /// Adds the time, estimated from matrix products of the model's width that run for a moment.
    pub(crate) fn timed(mut self, outline: &Outline, place: Place) -> Result<Self, CaptureError> {
        let hidden = outline.hidden_size as i64;
        let random = |size: &[i64]| -> Result<Tensor, CaptureError> {
            Ok(Tensor::f_randn(size, (Kind::Float, place.device))?.f_to_kind(place.dtype)?)
        };
        let (rows, x, w) = (512, random(&[512, hidden])?, random(&[hidden, 4 * hidden])?);
        let _ = x.f_mm(&w)?;
        let started = Instant::now();
        let mut operations = 0.0;
        while started.elapsed().as_secs_f64() < 0.3 {
            // A GPU computes in the background; reading a value waits until it is done.
            let _ = x.f_mm(&w)?.f_double_value(&[0, 0])?;
            operations += 2.0 * (rows * hidden * 4 * hidden) as f64;
        }
        let efficiency = if place == Place::CPU { CPU_EFFICIENCY } else { EFFICIENCY };
        let rate = operations / started.elapsed().as_secs_f64() * efficiency;
        let embeddings = (outline.vocab_size * outline.hidden_size) as u64;
        let per_token = 2 * self.parameters.saturating_sub(embeddings * outline.vocabulary_matrices as u64);
        self.seconds = Some(per_token as f64 * self.tokens as f64 / rate);
        Ok(self)
    }

    /// Refuses what cannot fit, before anything is loaded.
    pub(crate) fn check_memory(&self, place: Place) -> Result<(), CaptureError> {
        let needed = self.weight_bytes + self.working_bytes + self.moment_bytes;
        match memory::available() {
            Some(free) if place.device == Device::Cpu && needed > free => {
                Err(CaptureError::Memory { needed, free })
            }
            _ => Ok(()),
        }
    }
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "parameters            {:>10.1} M", self.parameters as f64 / 1e6)?;
        writeln!(f, "memory: weights       {:>10}", gigabytes(self.weight_bytes))?;
        writeln!(f, "memory: working       {:>10}", gigabytes(self.working_bytes))?;
        if self.moment_bytes > 0 {
            writeln!(f, "memory: moments       {:>10}", gigabytes(self.moment_bytes))?;
            writeln!(f, "moments               {:>10}", gigabytes(self.moment_bytes))?;
        }
        write!(f, "states, uncompressed  {:>10}", gigabytes(self.state_bytes))?;
        if let Some(seconds) = self.seconds {
            write!(
                f,
                "\nsamples               {:>10}\ntokens                {:>10}\ntime, about           {seconds:>8.0} s",
                self.samples, self.tokens
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_cannot_fit_is_refused() {
        let outline = Outline {
            hidden_size: 4096,
            blocks: 32,
            vocab_size: 32_000,
            context: 4096,
            parameters: 1 << 50,
            vocabulary_matrices: 2,
        };
        let work = Work {
            samples: 10,
            levels: 33,
            tokens: 100,
            tokens_at_once: 64,
            part_bytes: 1 << 20,
            store_value_bytes: 2,
            moment_bytes: 0,
        };
        let plan = Plan::new(&outline, Place::CPU, work);
        assert_eq!(plan.state_bytes, 10 * 33 * 4096 * 2);
        let error = plan.check_memory(Place::CPU).unwrap_err().to_string();
        assert!(error.contains("--dtype bf16"), "{error}");
    }
}
