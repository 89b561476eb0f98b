//! The command line.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Parser;
use onejump_capture::positions::Positions;
use onejump_capture::samples::Bos;
use onejump_capture::texts::{DEFAULT_COLUMN, TextInput};
use onejump_capture::{CaptureError, Config, Input};
use onejump_core::levels::Levels;
use onejump_core::shard::Shard;
use onejump_store::dtype::StoreDtype;
use onejump_store::moments::Selected;

/// Run a model over sentences and store the hidden states of sampled tokens, one of each sentence unless told, at every
/// level, as Parquet parts with a manifest.
#[derive(Parser)]
#[command(version, group = clap::ArgGroup::new("input").required(true))]
pub struct Args {
    /// Model: a Hugging Face directory, a .gguf file, a hub id (owner/name), or a built-in name
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Texts of any length: files, or folders of files, of text (.txt, a text a line), JSON lines (.jsonl; both also
    /// with .gz or .zst behind) or Parquet (.parquet); or data sets on the hub, owner/name[:split or path][@revision]
    #[arg(long, value_name = "PATH", num_args = 1.., group = "input")]
    pub text: Vec<PathBuf>,
    /// The column of the texts in JSON lines and Parquet. Conversations (role and content, or from and value) go through the
    /// model's chat template; messages and conversations are read without this option too
    #[arg(long, value_name = "NAME", default_value = DEFAULT_COLUMN)]
    pub column: String,
    /// Each file of text is one text, rather than a text a line
    #[arg(long)]
    pub whole_files: bool,
    /// Cut texts into chunks of at most so many tokens, each a sequence of its own [default: 2048, or the model's
    /// context where that is shorter]
    #[arg(long, value_name = "N")]
    pub chunk_tokens: Option<NonZeroUsize>,
    /// Join texts into windows of --chunk-tokens, as models are pretrained: one behind another with the model's
    /// end-of-text token between them. A token then sees the texts before its own in the window, and its position is
    /// that in the window; --positions are of each text's share of a window, and text_id names the text of each row
    #[arg(long, conflicts_with_all = ["sentences", "samples"])]
    pub pack: bool,
    /// UTF-8 text, one sentence a line; longer ones than the model's context are cut off
    #[arg(long, value_name = "FILE", group = "input")]
    pub sentences: Option<PathBuf>,
    /// JSON lines {"input_ids": [...], "position": p}: exact inputs, which are not tokenised again
    #[arg(long, value_name = "FILE", group = "input")]
    pub samples: Option<PathBuf>,
    /// Folder for the parts and manifest.json; the same command continues an interrupted capture
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Seed of the sampled positions
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Positions of a text that are sampled, from one pass of the model: a number, or all. Each is a row; with more than
    /// one, text_id and chunk say which text a row is of
    #[arg(long, value_name = "N|all", default_value_t = Positions::ONE)]
    pub positions: Positions,
    /// Store the states of these levels alone, for instance 0,6,12..18 or 0..30/2 (both ends included) [default: all].
    /// Training, scoring and evaluation need all
    #[arg(long, value_name = "LEVELS")]
    pub levels: Option<Levels>,
    /// Never sample position 0
    #[arg(long)]
    pub no_position_0: bool,
    /// Whether a beginning-of-sequence token comes first: auto (as the tokenizer does), always, never
    #[arg(long, default_value = "auto")]
    pub bos: Bos,
    /// What the model computes in: f32, bf16 or f16; on a GPU also tf32, which is f32 with products in fewer bits
    #[arg(long, value_parser = ["f32", "tf32", "bf16", "f16"], default_value = "f32")]
    pub dtype: String,
    /// What the states are stored in: f32, f16, or bf16 (half the bytes, the range of f32)
    #[arg(long, default_value = "f32")]
    pub store_dtype: StoreDtype,
    /// Write moments.safetensors beside the states: the sums that jtc, njtc, n-njtc, joint and joint-norms are fitted to in
    /// closed form (onejump-train --moments), 16·K·H² bytes whatever the number of samples. Or the sums of other
    /// selections, several with commas between them: all, no-position-0, normed (--target normed), normed-no-position-0
    #[arg(
        long, value_name = "SELECTION", num_args = 0..=1, require_equals = true, default_missing_value = "all",
        value_delimiter = ','
    )]
    pub moments: Vec<Selected>,
    /// Store no states, only --moments
    #[arg(long)]
    pub no_states: bool,
    /// cpu, cuda, cuda:N, auto (the first GPU where there is one), or cuda:all (a process and a shard for each GPU)
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Compute only every n-th part, from part i on: i/n, into the folder shard-i-of-n of --out. onejump-store merge joins
    /// the shards. (With --batch-parts P, every n-th group of P parts)
    #[arg(long, value_name = "i/n", default_value = "0/1")]
    pub shard: Shard,
    /// Use only the first N texts
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// About how many tokens a batch has at most [default: 512 for a processor's thread; for a GPU 8192, and up to
    /// 32768 for a small model]
    #[arg(long, value_name = "N")]
    pub batch_tokens: Option<usize>,
    /// Out of how many parts batches are made. More fill a GPU, and a capture that was interrupted computes as many
    /// again; with more than one, similar lengths attend together, padded [default: 1, or 16 for a GPU]
    #[arg(long, value_name = "P")]
    pub batch_parts: Option<NonZeroUsize>,
    /// Say what the capture would need, and do nothing else; as text, or as JSON for programs
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    pub dry_run: Option<Format>,
}

/// How a plan is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Text,
    Json,
}

/// Stands for all GPUs.
pub const ALL_GPUS: &str = "cuda:all";

/// The arguments, less the program's name, of the process that captures on one of several GPUs: its shard, and the same
/// options but for `--device cuda:all`.
pub fn of_gpu(arguments: impl Iterator<Item = OsString>, gpu: usize, gpus: usize) -> Vec<OsString> {
    let mut ours: Vec<OsString> = Vec::new();
    for argument in arguments {
        if argument == ALL_GPUS && ours.last().is_some_and(|option| option == "--device") {
            ours.pop();
        } else if argument != format!("--device={ALL_GPUS}").as_str() {
            ours.push(argument);
        }
    }
    ours.extend([format!("--device=cuda:{gpu}"), format!("--shard={gpu}/{gpus}")].map(OsString::from));
    ours
}

impl Args {
    /// Whether each GPU has a process of its own.
    ///
    /// # Errors
    /// [`CaptureError::ShardOfAll`] with a shard: each process has one.
    pub fn all_gpus(&self) -> Result<bool, CaptureError> {
        let all = self.device == ALL_GPUS;
        if all && self.shard.count > 1 { Err(CaptureError::ShardOfAll) } else { Ok(all) }
    }

    /// What the library is asked to do.
    pub fn config(self) -> Result<Config, CaptureError> {
        if self.samples.is_some() && self.positions != Positions::ONE {
            return Err(CaptureError::PositionsOfSamples);
        }
        if self.no_states && self.moments.is_empty() {
            return Err(CaptureError::NoOutput);
        }
        let input = match (self.sentences, self.samples) {
            (_, Some(path)) => Input::Samples(path),
            (Some(path), None) => Input::Sentences(path),
            (None, None) if self.text.is_empty() => return Err(CaptureError::NoInput),
            (None, None) => Input::Texts(TextInput {
                paths: self.text,
                column: self.column,
                whole_files: self.whole_files,
                chunk_tokens: self.chunk_tokens.map(NonZeroUsize::get),
                pack: self.pack,
            }),
        };
        Ok(Config {
            model: self.model,
            input,
            out: self.out,
            seed: self.seed,
            positions: self.positions,
            levels: self.levels,
            position_0: !self.no_position_0,
            limit: self.limit,
            bos: self.bos,
            device: self.device,
            dtype: self.dtype,
            store_dtype: self.store_dtype,
            states: !self.no_states,
            moments: self.moments,
            shard: self.shard,
            batch_tokens: self.batch_tokens,
            batch_parts: self.batch_parts.map(NonZeroUsize::get),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gpu_has_a_process_and_a_shard() {
        for given in [
            &["--model", "cuda:all", "--device", "cuda:all", "--seed", "3"][..],
            &["--model", "cuda:all", "--device=cuda:all", "--seed", "3"],
        ] {
            let arguments = of_gpu(given.iter().map(OsString::from), 1, 4);
            assert_eq!(arguments, ["--model", "cuda:all", "--seed", "3", "--device=cuda:1", "--shard=1/4"]);
        }
    }

    #[test]
    fn all_gpus_have_no_shard_beside_theirs() {
        let args = |more: &[&str]| {
            let given = ["onejump-capture", "--model", "m", "--samples", "s", "--out", "o"];
            Args::try_parse_from(given.iter().chain(more)).unwrap()
        };
        assert!(args(&["--device", "cuda:all"]).all_gpus().unwrap());
        assert!(!args(&["--device", "cuda:1", "--shard", "1/2"]).all_gpus().unwrap());
        assert!(args(&["--device", "cuda:all", "--shard", "1/2"]).all_gpus().is_err());
    }
}
