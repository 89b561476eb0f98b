//! What to capture, from which samples, and into which folder.

use std::path::PathBuf;

use onejump_core::levels::Levels;
use onejump_core::shard::Shard;
use onejump_store::dtype::StoreDtype;
use onejump_store::moments::Selected;
use tch::Device;

use crate::positions::Positions;
use crate::samples::Bos;
use crate::texts::TextInput;

/// Tokens in a batch of one processor's thread: enough for efficient products, few enough that the values between
/// two layers stay in the caches.
pub const CPU_BATCH_TOKENS: usize = 512;

/// Tokens in a batch of a GPU, at least: enough for a large model's products.
pub const GPU_BATCH_TOKENS: usize = 8192;

/// Tokens in a batch of a GPU, at most.
pub const MOST_GPU_BATCH_TOKENS: usize = 32_768;

/// Values of the residual stream in a batch of a GPU, between these bounds: a small model needs more tokens, or
/// launching its kernels takes longer than they do.
const GPU_BATCH_VALUES: usize = 1 << 25;

/// Parts out of which batches for a GPU are made.
pub const GPU_BATCH_PARTS: usize = 16;

/// Tokens in a chunk of a text, at most, where nothing else is said.
pub const DEFAULT_CHUNK_TOKENS: usize = 2048;

/// Where the samples come from.
#[derive(Debug, Clone)]
pub enum Input {
    /// UTF-8 text, one sentence a line.
    Sentences(PathBuf),
    /// Texts of any length, in files of several kinds.
    Texts(TextInput),
    /// JSON lines with exact token ids and positions.
    Samples(PathBuf),
}

/// How samples are batched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batching {
    /// About how many tokens a batch has at most.
    pub tokens: usize,
    /// Out of how many parts batches are made.
    pub parts: usize,
}

/// What to capture and how.
#[derive(Debug, Clone)]
pub struct Config {
    /// A directory, a `.gguf` file, or a built-in name.
    pub model: String,
    /// Where the samples come from.
    pub input: Input,
    /// The folder to write, or in which a shard has its own.
    pub out: PathBuf,
    /// The seed of the positions.
    pub seed: u64,
    /// How many positions of a text are sampled.
    pub positions: Positions,
    /// The levels whose states are stored; all without.
    pub levels: Option<Levels>,
    /// Whether position 0 can be drawn.
    pub position_0: bool,
    /// Use only so many lines, from the first on.
    pub limit: Option<usize>,
    /// When a beginning-of-sequence token comes first.
    pub bos: Bos,
    /// `cpu`, `cuda`, `cuda:N` or `auto`.
    pub device: String,
    /// What the model computes in: `f32`, `bf16` or `f16`.
    pub dtype: String,
    /// How states are stored.
    pub store_dtype: StoreDtype,
    /// Whether the states are stored.
    pub states: bool,
    /// Which sums over the states are stored: all that a closed form needs, in a size that does not depend on the number
    /// of samples.
    pub moments: Vec<Selected>,
    /// Which parts to compute. With sums, a shard has consecutive ones.
    pub shard: Shard,
    /// About how many tokens a batch has at most; without it, [`CPU_BATCH_TOKENS`], or for a GPU from [`GPU_BATCH_TOKENS`]
    /// to [`MOST_GPU_BATCH_TOKENS`].
    pub batch_tokens: Option<usize>,
    /// Out of how many parts batches are made; without it, 1, or [`GPU_BATCH_PARTS`] for a GPU. With more than one,
    /// similar lengths attend together, padded.
    pub batch_parts: Option<usize>,
}

impl Config {
    /// A capture with every option at its default.
    pub fn new(model: &str, input: Input, out: impl Into<PathBuf>) -> Self {
        Self {
            model: model.to_owned(),
            input,
            out: out.into(),
            seed: 0,
            positions: Positions::ONE,
            levels: None,
            position_0: true,
            limit: None,
            bos: Bos::Auto,
            device: "auto".to_owned(),
            dtype: "f32".to_owned(),
            store_dtype: StoreDtype::F32,
            states: true,
            moments: Vec::new(),
            shard: Shard::WHOLE,
            batch_tokens: None,
            batch_parts: None,
        }
    }

    /// The folder that is written: that of the whole, or the shard's in it.
    pub fn folder(&self) -> PathBuf {
        if self.shard == Shard::WHOLE { self.out.clone() } else { self.out.join(self.shard.folder()) }
    }

    /// How the samples are batched on a device, for a model of hidden size H.
    pub(crate) fn batching(&self, device: Device, hidden_size: usize) -> Batching {
        let (tokens, parts) = match device {
            Device::Cpu => (CPU_BATCH_TOKENS, 1),
            _ => {
                let tokens = GPU_BATCH_VALUES / hidden_size.max(1);
                (tokens.clamp(GPU_BATCH_TOKENS, MOST_GPU_BATCH_TOKENS), GPU_BATCH_PARTS)
            }
        };
        Batching {
            tokens: self.batch_tokens.unwrap_or(tokens),
            parts: self.batch_parts.unwrap_or(parts).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_has_more_tokens_of_a_small_model() {
        let config = Config::new("m", Input::Samples("s".into()), "out");
        let of = |config: &Config, device, hidden| {
            let Batching { tokens, parts } = config.batching(device, hidden);
            (tokens, parts)
        };
        assert_eq!(of(&config, Device::Cpu, 576), (512, 1));
        for (hidden, tokens) in [(576, 32_768), (1600, 20_971), (4096, 8192), (8192, 8192)] {
            assert_eq!(of(&config, Device::Cuda(1), hidden), (tokens, 16));
        }
        let own = Config { batch_tokens: Some(100), batch_parts: Some(3), ..config };
        assert_eq!(of(&own, Device::Cpu, 576), (100, 3));
        assert_eq!(of(&own, Device::Cuda(0), 576), (100, 3));
    }
}
