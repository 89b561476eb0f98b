//! What to evaluate.

use std::path::PathBuf;

use onejump_core::shard::Shard;

/// Training samples by which the analyses choose and calibrate: as many as the paper tests on.
pub const DEFAULT_TRAIN_SAMPLES: usize = 3000;

/// What to evaluate.
#[derive(Debug, Clone)]
pub struct Config {
    /// The hidden states that are evaluated on: the test samples.
    pub hidden: PathBuf,
    /// The training samples, for the constant baseline; `train` beside `hidden` by default.
    pub train_hidden: Option<PathBuf>,
    /// The model that the states come from; only its head is read.
    pub model: String,
    /// Files of n-njtc, njtc, jtc and joint shortcuts.
    pub shortcuts: Vec<PathBuf>,
    /// Files of chosen jumps.
    pub ojfa: Vec<PathBuf>,
    /// Jumps of each n-njtc file that are applied at every exit level; by default those at
    /// one, three and five sixths of the blocks.
    pub arbitrary: Option<Vec<usize>>,
    /// Of the analyses: training samples for what is chosen or calibrated, from the first on.
    pub train_samples: usize,
    /// Of the analyses: the seed of the bootstrap.
    pub seed: u64,
    /// The folder for the tables.
    pub out: PathBuf,
    /// How much of the work is done: all of it, or what one of several machines does.
    pub part: Part,
}

/// How an evaluation is shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The sums of every n-th exit level, into the folder of the shard in `out`; [`Shard::WHOLE`] is an evaluation
    /// that is not shared out. Where `hidden` is the folder of a shard of a capture, its samples are the share.
    Levels(Shard),
    /// The tables of all, from so many shards in `out`. The states are not read.
    Join(usize),
}

impl Config {
    /// An evaluation of the baselines alone; add files of shortcuts.
    pub fn new(hidden: impl Into<PathBuf>, model: &str, out: impl Into<PathBuf>) -> Self {
        Self {
            hidden: hidden.into(),
            train_hidden: None,
            model: model.to_owned(),
            shortcuts: Vec::new(),
            ojfa: Vec::new(),
            arbitrary: None,
            train_samples: DEFAULT_TRAIN_SAMPLES,
            seed: 0,
            out: out.into(),
            part: Part::Levels(Shard::WHOLE),
        }
    }
}
