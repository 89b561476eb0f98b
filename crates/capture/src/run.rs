//! A whole capture: part after part, each written as soon as it is computed.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use onejump_core::manifest::CaptureInputs;
use onejump_core::telemetry::Progress;
use onejump_models::checkpoint::Checkpoint;
use onejump_models::{device, transformer::Transformer};
use onejump_store::part::{PartRows, StoreDtype, write_part};
use rayon::prelude::*;
use tch::Device;
use tokenizers::Tokenizer;

use crate::CaptureError;
use crate::batches;
use crate::output::Output;
use crate::samples::{self, Sample, Sampling};

/// Uncompressed states in a part, about: small enough to repeat after an interruption, large
/// enough to read at full speed.
pub const TARGET_PART_BYTES: usize = 64 << 20;

/// Tokens in a batch: enough for efficient products, few enough that what lies between two layers
/// stays in the processor's caches.
pub const DEFAULT_BATCH_TOKENS: usize = 1024;

/// Where the samples come from.
#[derive(Debug, Clone)]
pub enum Input {
    /// UTF-8 text, one sentence a line.
    Sentences(PathBuf),
    /// JSON lines with exact token ids and positions.
    Samples(PathBuf),
}

/// A share of the parts: every `count`-th, from `index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub index: usize,
    /// How many shards there are.
    pub count: usize,
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
    /// Use the first lines only.
    pub limit: Option<usize>,
    /// `cpu`, `cuda`, `cuda:N` or `auto`.
    pub device: String,
    /// How states are stored.
    pub store_dtype: StoreDtype,
    /// Which parts to compute.
    pub shard: Shard,
    /// Tokens in a batch, about.
    pub batch_tokens: usize,
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
            device: "auto".to_owned(),
            store_dtype: StoreDtype::F32,
            shard: Shard { index: 0, count: 1 },
            batch_tokens: DEFAULT_BATCH_TOKENS,
        }
    }
}

/// What a capture did.
#[derive(Debug, Clone, Copy)]
pub struct Captured {
    /// Samples in the whole folder.
    pub samples: usize,
    /// Samples that were computed now; the others were there.
    pub computed: usize,
    /// Tokens that were computed now.
    pub tokens: usize,
    /// Parts in the whole folder.
    pub parts: usize,
    /// Bytes of the parts that were written now.
    pub bytes: u64,
    /// Time for the parts that were written now, without loading the model.
    pub elapsed: Duration,
}

/// Captures, or goes on with a capture that was interrupted.
///
/// # Errors
/// [`CaptureError`]; parts that are written stay, and the same call goes on after them.
pub fn capture(config: &Config) -> Result<Captured, CaptureError> {
    let device = device::parse(&config.device)?;
    let mut checkpoint = Checkpoint::open(&config.model)?;
    let model = Transformer::load(&mut checkpoint, device)?;
    let (input, bos, path) = match &config.input {
        Input::Sentences(path) => {
            let tokenizer = checkpoint.tokenizer()?;
            let sampling = Sampling {
                seed: config.seed,
                position_0: config.position_0,
                context: model.context(),
                limit: config.limit,
            };
            (samples::from_sentences(path, &tokenizer, sampling)?, adds_special_tokens(&tokenizer), path)
        }
        Input::Samples(path) => {
            let input = samples::from_json_lines(path, model.vocab_size(), model.context(), config.limit)?;
            (input, false, path)
        }
    };
    let inputs = CaptureInputs {
        model: config.model.clone(),
        architecture: checkpoint.architecture()?.to_owned(),
        model_sha256: checkpoint.sha256()?,
        hidden_size: model.hidden_size(),
        blocks: model.blocks(),
        vocab_size: model.vocab_size(),
        sentences: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        sentences_sha256: input.sha256,
        samples: input.samples.len(),
        truncated: input.truncated,
        seed: config.seed,
        position_0: config.position_0,
        bos,
        dtype: "f32".to_owned(),
        store_dtype: config.store_dtype.name().to_owned(),
        onejump: env!("CARGO_PKG_VERSION").to_owned(),
        libtorch: env!("ONEJUMP_LIBTORCH").to_owned(),
    };
    let row_bytes = (model.blocks() + 1) * model.hidden_size() * size_of::<f32>();
    let samples_per_part = (TARGET_PART_BYTES / row_bytes).max(1);
    let output = Output::open(&config.out, inputs, samples_per_part)?;
    let (mut todo, mut waiting) = (Vec::new(), 0);
    for (part, samples) in input.samples.chunks(samples_per_part).enumerate() {
        if part % config.shard.count == config.shard.index && !output.has_part(part)? {
            todo.push((part, samples));
            waiting += samples.len();
        }
    }
    let workers = Workers::new(&model)?;
    let progress = Progress::new("capture", "sentences", waiting as u64);
    let (mut tokens, mut bytes) = (0, 0);
    for (part, samples) in todo {
        let first = part * samples_per_part;
        let rows = workers.compute_part(samples, first, config.batch_tokens, &progress)?;
        write_part(&output.part_path(part), &rows, model.hidden_size(), config.store_dtype)?;
        bytes += output.add_part(part, samples.len())?;
        tokens += samples.iter().map(|sample| sample.prefix().len()).sum::<usize>();
    }
    Ok(Captured {
        samples: input.samples.len(),
        computed: waiting,
        tokens,
        parts: output.parts_total(),
        bytes,
        elapsed: progress.finish(),
    })
}

/// Whether the tokenizer puts a token of its own before a text.
fn adds_special_tokens(tokenizer: &Tokenizer) -> bool {
    let count = |special| tokenizer.encode("a", special).map_or(0, |encoding| encoding.len());
    count(true) > count(false)
}

/// Threads that each take whole batches: a batch that is spread over threads makes them wait for each
/// other several hundred times.
struct Workers {
    pool: rayon::ThreadPool,
    /// One model for each thread; the weights are shared. A tensor can be sent to a thread, not shared.
    models: Vec<Mutex<Transformer>>,
    hidden_size: usize,
    levels: usize,
}

impl Workers {
    /// As many threads as there are processors; one for a GPU.
    fn new(model: &Transformer) -> Result<Self, CaptureError> {
        let on_cpu = model.device() == Device::Cpu;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(if on_cpu { 0 } else { 1 })
            .start_handler(|_| tch::set_num_threads(1))
            .build()
            .map_err(|error| CaptureError::Usage(format!("cannot start threads: {error}")))?;
        let models = (0..pool.current_num_threads()).map(|_| Mutex::new(model.shallow_clone())).collect();
        Ok(Self { pool, models, hidden_size: model.hidden_size(), levels: model.blocks() + 1 })
    }

    /// The states of the samples of one part, in the samples' order.
    fn compute_part(
        &self,
        samples: &[Sample],
        first: usize,
        batch_tokens: usize,
        progress: &Progress,
    ) -> Result<PartRows, CaptureError> {
        let hidden = self.hidden_size;
        // The longest batches first: threads end at about the same time.
        let mut batches = batches::by_length(samples, batch_tokens);
        batches.reverse();
        let states = self.pool.install(|| {
            let states = batches.par_iter().with_max_len(1).map(|batch| {
                let states = self.compute_batch(samples, batch)?;
                progress.advance(batch.len() as u64);
                Ok(states)
            });
            states.collect::<Result<Vec<_>, CaptureError>>()
        })?;
        let mut levels = vec![vec![0f32; samples.len() * hidden]; self.levels];
        for (batch, states) in batches.iter().zip(&states) {
            for (level, rows) in levels.iter_mut().zip(states.chunks(batch.len() * hidden)) {
                for (&place, row) in batch.iter().zip(rows.chunks(hidden)) {
                    level[place * hidden..(place + 1) * hidden].copy_from_slice(row);
                }
            }
        }
        Ok(PartRows {
            sample_ids: (first as u64..(first + samples.len()) as u64).collect(),
            sentences: samples.iter().map(|sample| sample.sentence.clone()).collect(),
            token_ids: samples.iter().map(|s| s.token_ids.iter().map(|&id| id as i32).collect()).collect(),
            positions: samples.iter().map(|sample| sample.position as u32).collect(),
            levels,
        })
    }

    /// The states of one batch, (K + 1, n, H) flat.
    fn compute_batch(&self, samples: &[Sample], batch: &[usize]) -> Result<Vec<f32>, CaptureError> {
        let thread = rayon::current_thread_index().unwrap_or(0);
        let model = self.models[thread].lock().unwrap_or_else(PoisonError::into_inner);
        let sequences: Vec<&[i64]> = batch.iter().map(|&place| samples[place].prefix()).collect();
        let states = model.states_at_last(&sequences)?.f_to_device(Device::Cpu)?;
        let mut values = vec![0f32; self.levels * batch.len() * self.hidden_size];
        let count = values.len();
        states.f_copy_data(&mut values, count)?;
        Ok(values)
    }
}
