//! What to read, how much to draw, where to write.

use std::path::PathBuf;

/// Sentences in `train.txt`: the size of the paper's training set (its §3).
pub const DEFAULT_TRAIN: usize = 9_000;
/// Sentences in `test.txt`: the size of the paper's test set (its §3).
pub const DEFAULT_TEST: usize = 3_000;
/// The seed of the draw.
pub const DEFAULT_SEED: u64 = 0;

/// One run of the sentence maker.
#[derive(Debug, Clone)]
pub struct Config {
    /// The dump: XML, plain or compressed with bzip2 (one stream or many).
    pub dump: PathBuf,
    /// The folder that gets `train.txt`, `test.txt` and `sentences.parquet`.
    pub out: PathBuf,
    /// How many sentences `train.txt` gets.
    pub train: usize,
    /// How many sentences `test.txt` gets.
    pub test: usize,
    /// The draw depends on this number and the dump alone.
    pub seed: u64,
}

impl Config {
    /// The default draw from `dump` into `out`.
    pub fn new(dump: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        Self {
            dump: dump.into(),
            out: out.into(),
            train: DEFAULT_TRAIN,
            test: DEFAULT_TEST,
            seed: DEFAULT_SEED,
        }
    }
}
