//! What an experiment is made of.

use std::path::PathBuf;

use onejump_core::layout::{RunLayout, Split};

use crate::switches::Switches;

/// The seed where none is given.
const DEFAULT_SEED: u64 = 0;

/// The device where none is given: CUDA if there is one.
const DEFAULT_DEVICE: &str = "auto";

/// A model, sentences, and everything that the paper leaves open.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// The model, as the stages take it.
    pub model: String,
    /// The folder with `train.txt` and `test.txt`, one sentence a line.
    pub sentences: PathBuf,
    /// The run's folder.
    pub out: PathBuf,
    /// Ranks of the low-rank shortcuts; ⌊H/100⌋ and ⌊H/10⌋ where there are none.
    pub ranks: Vec<usize>,
    /// Seed of the sampled positions and of gradient descent.
    pub seed: u64,
    /// Where captures run: `cpu`, `cuda`, `cuda:N` or `auto`.
    pub device: String,
    /// How many sentences are used, if not all.
    pub limits: Option<Limits>,
    /// Whether what comes after the paper is run too.
    pub beyond: bool,
    /// What the paper leaves open.
    pub switches: Switches,
}

/// How many sentences are used.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of `train.txt`.
    pub train: usize,
    /// Of `test.txt`.
    pub test: usize,
}

impl Limits {
    /// A tenth of the sentences that ship.
    pub const QUICK: Self = Self { train: 900, test: 300 };
}

impl Experiment {
    /// The paper's experiment with the defaults of every option.
    pub fn new(model: impl Into<String>, sentences: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        Self {
            model: model.into(),
            sentences: sentences.into(),
            out: out.into(),
            ranks: Vec::new(),
            seed: DEFAULT_SEED,
            device: DEFAULT_DEVICE.into(),
            limits: None,
            beyond: false,
            switches: Switches::default(),
        }
    }

    /// Where the run's files lie.
    pub fn layout(&self) -> RunLayout {
        RunLayout::new(&self.out)
    }

    /// The file of the sentences of a split.
    pub(crate) fn sentences_of(&self, split: Split) -> PathBuf {
        self.sentences.join(format!("{}.txt", split.name()))
    }

    /// How many sentences of a split are used, if not all.
    pub(crate) fn limit(&self, split: Split) -> Option<usize> {
        self.limits.map(|limits| match split {
            Split::Train => limits.train,
            Split::Test => limits.test,
        })
    }
}
