//! What to capture, from which samples, and into which folder.

use std::path::PathBuf;
use std::str::FromStr;

use onejump_store::dtype::StoreDtype;

use crate::samples::Bos;

/// Tokens in a batch of one processor's thread: enough for efficient products, few enough that the values between
/// two layers stay in the caches.
pub const CPU_BATCH_TOKENS: usize = 512;

/// Tokens in a batch of a GPU, which needs many at once.
pub const GPU_BATCH_TOKENS: usize = 8192;

/// Where the samples come from.
#[derive(Debug, Clone)]
pub enum Input {
    /// UTF-8 text, one sentence a line.
    Sentences(PathBuf),
    /// JSON lines with exact token ids and positions.
    Samples(PathBuf),
}

/// A share of the parts: every `count`-th, from the part `index` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub index: usize,
    /// How many shards there are.
    pub count: usize,
}

impl Shard {
    /// Whether a part belongs to this shard.
    pub fn has(self, part: usize) -> bool {
        part % self.count == self.index
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (index, count) = text.split_once('/')?;
            Some(Self { index: index.parse().ok()?, count: count.parse().ok()? })
        };
        parse()
            .filter(|shard| shard.index < shard.count)
            .ok_or_else(|| format!("'{text}' is no shard; give i/n with i from 0 to n-1, for instance 0/2"))
    }
}

/// What to capture and how.
#[derive(Debug, Clone)]
pub struct Config {
    /// A directory, a `.gguf` file, or a built-in name.
    pub model: String,
    /// Where the samples come from.
    pub input: Input,
    /// The folder to write.
    pub out: PathBuf,
    /// The seed of the positions.
    pub seed: u64,
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
    /// Which parts to compute.
    pub shard: Shard,
    /// About how many tokens a batch has at most; without it, [`CPU_BATCH_TOKENS`] or [`GPU_BATCH_TOKENS`].
    pub batch_tokens: Option<usize>,
}

impl Config {
    /// A capture with every option at its default.
    pub fn new(model: &str, input: Input, out: impl Into<PathBuf>) -> Self {
        Self {
            model: model.to_owned(),
            input,
            out: out.into(),
            seed: 0,
            position_0: true,
            limit: None,
            bos: Bos::Auto,
            device: "auto".to_owned(),
            dtype: "f32".to_owned(),
            store_dtype: StoreDtype::F32,
            shard: Shard { index: 0, count: 1 },
            batch_tokens: None,
        }
    }
}
