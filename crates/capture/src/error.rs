//! What can stop a capture.

use std::path::PathBuf;

use onejump_core::files::FileError;
use onejump_core::observe::Stopped;
use onejump_fetch::FetchError;
use onejump_models::ModelError;
use onejump_store::StoreError;

/// A capture that could not begin or go on. Parts that are written stay usable.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The caller asked to stop.
    #[error("{0}")]
    Stopped(#[from] Stopped),
    /// The checkpoint or the model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A data set on the hub.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A part could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A state is too large to be stored, in a part that is not the first.
    #[error("{source}, and delete {} or give another --out: it has parts in the other type already", dir.display())]
    TooLargeLater {
        /// What is too large.
        #[source]
        source: Box<StoreError>,
        /// The folder.
        dir: PathBuf,
    },
    /// Another file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Neither texts nor samples were given.
    #[error("give --text, --sentences or --samples")]
    NoInput,
    /// A level is asked for that the model does not have.
    #[error("--levels has {level}; the model has levels 0 to {blocks}")]
    NoLevel {
        /// The level.
        level: usize,
        /// K, the last level.
        blocks: usize,
    },
    /// A path of texts has no file of a known kind.
    #[error(
        "{}: no file of texts; known are .txt, .jsonl (both also with .gz or .zst behind) and .parquet",
        path.display()
    )]
    NoTextFiles {
        /// The file or folder.
        path: PathBuf,
    },
    /// A row of a table of texts is not what it should be.
    #[error("{}, row {row} (from 0): {reason}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The row, from 0.
        row: usize,
        /// What is wrong.
        reason: String,
    },
    /// Chunks are longer than the model's context, or have no room.
    #[error("--chunk-tokens {found}: the model takes {least} to {context} tokens at a time")]
    ChunkTokens {
        /// What was asked for.
        found: usize,
        /// The fewest: one beside those that begin every sequence.
        least: usize,
        /// The model's context.
        context: usize,
    },
    /// More shards than sums can have.
    #[error("--moments takes at most {most} shards, and --shard names {count}")]
    MomentShards {
        /// What was asked for.
        count: usize,
        /// The most.
        most: usize,
    },
    /// The targets' level is left out.
    #[error("--moments needs the targets: --levels must end with {last}, the last level")]
    MomentLevels {
        /// K.
        last: usize,
    },
    /// States have every n-th part in a shard, and sums consecutive ones.
    #[error(
        "--moments beside states takes one shard; give --no-states for sums in shards, and capture the states by another \
         command"
    )]
    ShardsOfBoth,
    /// Nothing would be written.
    #[error("--no-states leaves nothing to write; give --moments too")]
    NoOutput,
    /// Positions are asked for where the input has them.
    #[error("--samples has a position in each line; leave out --positions, or give --text or --sentences")]
    PositionsOfSamples,
    /// Texts are to be joined, and nothing would tell one from the next.
    #[error(
        "--pack: the checkpoint names no end-of-text token (eos_token_id) and the tokenizer puts no token before a text, \
         so nothing would stand between two texts; give --bos always, or leave out --pack"
    )]
    NothingBetweenTexts,
    /// A shard of what is shared out already.
    #[error("--device cuda:all gives each GPU a shard; leave out --shard, or name a GPU")]
    ShardOfAll,
    /// A line of the input is not what it should be.
    #[error("{}, line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The input has no line with a usable token.
    #[error("{} has no usable line", path.display())]
    NoSamples {
        /// The file.
        path: PathBuf,
    },
    /// The input is not what it was when it was first read.
    #[error(
        "{} was changed while it was captured; what is written is of the texts as they were: remove it or choose another --out",
        path.display()
    )]
    InputChanged {
        /// The file or files.
        path: PathBuf,
    },
    /// The model's tokenizer failed.
    #[error("{}: cannot tokenise: {reason}", path.display())]
    Tokenizer {
        /// The file of sentences.
        path: PathBuf,
        /// The tokenizer's reason.
        reason: String,
    },
    /// The folder holds parts from other inputs.
    #[error(
        "{} holds another capture ({field} {there} there, {here} here); choose another --out or remove it",
        dir.display()
    )]
    OtherCapture {
        /// The folder.
        dir: PathBuf,
        /// The first input that differs, as the manifest names it.
        field: String,
        /// Its value in the manifest.
        there: String,
        /// Its value in this capture.
        here: String,
    },
    /// The folder lacks parts, and nobody knows how its other parts were computed.
    #[error(
        "{} cannot be continued: an earlier version began it and did not record its {field}, so new parts might not \
         match; choose another --out or remove it",
        dir.display()
    )]
    NotRecorded {
        /// The folder.
        dir: PathBuf,
        /// What the manifest does not say.
        field: &'static str,
    },
    /// The folder disappeared between two parts.
    #[error("{} was removed while it was written; the same command begins again", dir.display())]
    Removed {
        /// The folder.
        dir: PathBuf,
    },
    /// The weights and the work do not fit in memory.
    #[error(
        "this needs about {:.1} GB of memory and {:.1} GB are free: use --dtype bf16 (half the weights), a smaller \
         --batch-tokens, or --device cuda",
        *needed as f64 / 1e9,
        *free as f64 / 1e9
    )]
    Memory {
        /// Bytes that the capture needs, about.
        needed: u64,
        /// Bytes that this process may still use.
        free: u64,
    },
    /// The model overflowed, or its weights are damaged.
    #[error(
        "the state of sample {sample} at level {level} is {value}; compute in a wider type (--dtype f32), or check the \
         checkpoint"
    )]
    NotFinite {
        /// The sample's number.
        sample: usize,
        /// The level.
        level: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// The system refuses threads.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}
