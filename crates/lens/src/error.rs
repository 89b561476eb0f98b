//! What can stop a look at a text.

use std::path::PathBuf;

use onejump_core::files::FileError;
use onejump_core::numbers::thousands;
use onejump_core::observe::Stopped;
use onejump_exit::ExitError;
use onejump_fetch::FetchError;
use onejump_models::ModelError;
use onejump_shortcuts::ShortcutError;
use onejump_store::StoreError;

/// A text whose way through the levels could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum LensError {
    /// Whoever called asked to stop.
    #[error("{0}")]
    Stopped(#[from] Stopped),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Shortcuts that are named, and cannot be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The shortcuts.
    #[error(transparent)]
    Shortcut(#[from] ShortcutError),
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The shortcuts are for another hidden size than the model's head.
    #[error("the shortcut is for H = {shortcut}, the head for H = {head}; they belong to different models")]
    HiddenSize {
        /// The shortcuts'.
        shortcut: usize,
        /// The head's.
        head: usize,
    },
    /// The file's bytes are no text.
    #[error("{}: {reason}", path.display())]
    NoText {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The tokenizer refuses the text.
    #[error("{}: its tokenizer refuses the text: {reason}", path.display())]
    Tokenizer {
        /// The checkpoint.
        path: PathBuf,
        /// What it says.
        reason: String,
    },
    /// No token.
    #[error("the text is empty: there is no position to look at")]
    Empty,
    /// `--last 0`.
    #[error("--last 0 keeps no position; give 1 or more")]
    LastZero,
    /// More tokens than the model takes.
    #[error("the text has {tokens} tokens, and the model takes {context} at most; give a shorter one")]
    Context {
        /// How many.
        tokens: usize,
        /// The model's context.
        context: usize,
    },
    /// A level that the model does not have.
    #[error("there is no level {level}: the model has {blocks} blocks, and so the levels 0 to {blocks}")]
    Level {
        /// What was asked for.
        level: usize,
        /// K.
        blocks: usize,
    },
    /// A threshold that no probability can be compared with.
    #[error("the threshold is {0}; give a probability from 0 to 1")]
    Threshold(f64),
    /// More cells than the format shows.
    #[error(
        "{positions} positions × {levels} levels × {methods} methods are {} cells, and this format shows {} at most: keep \
         the last positions with --last {}, or fewer levels with --levels 0..{blocks}/2",
        thousands((positions * levels * methods) as u64), thousands(*most as u64), (most / (levels * methods)).max(1)
    )]
    Cells {
        /// Positions that would be shown.
        positions: usize,
        /// Levels that would be shown.
        levels: usize,
        /// Methods that would be shown.
        methods: usize,
        /// K.
        blocks: usize,
        /// The most cells.
        most: usize,
    },
    /// A map that makes no numbers.
    #[error("{method} yields NaN or infinity at level {level}; train it again")]
    NotFinite {
        /// The method.
        method: String,
        /// The level.
        level: usize,
    },
    /// A file's ending that says nothing.
    #[error(
        "{}: its ending is none of html, svg, parquet, json and txt; say --format", path.display()
    )]
    Ending {
        /// The file.
        path: PathBuf,
    },
    /// A table goes to no terminal.
    #[error("--format parquet needs a file: give --out FILE.parquet")]
    NoOut,
    /// The page or figure.
    #[error("the page cannot be made: {0}")]
    Template(#[from] minijinja::Error),
    /// No JSON can be made of it.
    #[error("it cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The system refuses threads.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

impl From<ExitError> for LensError {
    fn from(error: ExitError) -> Self {
        match error {
            ExitError::Model(error) => error.into(),
            ExitError::Shortcut(error) => error.into(),
            ExitError::Torch(error) => error.into(),
            ExitError::HiddenSize { shortcut, head } => Self::HiddenSize { shortcut, head },
        }
    }
}
