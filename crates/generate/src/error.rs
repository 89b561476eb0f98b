//! What can stop a text.

use std::path::PathBuf;

use onejump_core::files::FileError;
use onejump_core::levels::Levels;
use onejump_core::observe::Stopped;
use onejump_exit::ExitError;
use onejump_fetch::FetchError;
use onejump_models::ModelError;
use onejump_shortcuts::ShortcutError;
use onejump_store::StoreError;

/// A text that could not be generated.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
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
    /// The jump.
    #[error(transparent)]
    Shortcut(#[from] ShortcutError),
    /// A table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The jump is for another hidden size than the model's head.
    #[error("the jump is for H = {jump}, the head for H = {head}; they belong to different models")]
    HiddenSize {
        /// The jump's.
        jump: usize,
        /// The head's.
        head: usize,
    },
    /// The tokenizer refuses a text or tokens.
    #[error("{}: its tokenizer refuses: {reason}", path.display())]
    Tokenizer {
        /// The checkpoint.
        path: PathBuf,
        /// What it says.
        reason: String,
    },
    /// The prompt has no tokens.
    #[error("the prompt is empty, and the model's tokenizer puts no token before it; give some text")]
    EmptyPrompt,
    /// The prompt leaves no room.
    #[error(
        "the prompt has {tokens} tokens, and there is room for {context} with those that are added; raise --context"
    )]
    LongPrompt {
        /// How many.
        tokens: usize,
        /// How many there is room for.
        context: usize,
    },
    /// A level that nothing comes behind.
    #[error("level {level} is not an early one: the model has {blocks} blocks; give a level from 0 to {}", blocks - 1)]
    Level {
        /// What was asked for.
        level: usize,
        /// K.
        blocks: usize,
    },
    /// One level drafts.
    #[error("--mode speculative drafts at one level, and {levels} are given")]
    SeveralLevels {
        /// What was given.
        levels: Levels,
    },
    /// Nothing says which level pays.
    #[error(
        "--level auto needs a card of this machine: make one with onejump-generate tune, and give it with --card"
    )]
    NoCard,
    /// A card of something else.
    #[error("{}: is about another {what}; run onejump-generate tune with this one", path.display())]
    OtherCard {
        /// The card.
        path: PathBuf,
        /// What is another one.
        what: &'static str,
    },
    /// A jump that drafts one token behind a verified one.
    #[error(
        "the jump reads where the token before ended, which is known behind a verified token alone: {what} needs one that \
         was trained without --previous"
    )]
    ReadsPrevious {
        /// What cannot be had with it.
        what: &'static str,
    },
    /// A number that makes no sense.
    #[error("{what} is {found}; {expected}")]
    Range {
        /// Of what.
        what: &'static str,
        /// What was given.
        found: f64,
        /// What could be.
        expected: &'static str,
    },
    /// The model's logits are not numbers.
    #[error(
        "the logits behind token {position} are not finite: the weights are too large for the type that is computed in, or damaged"
    )]
    NotFinite {
        /// Counted from 0.
        position: usize,
    },
    /// The text differs from the one in full.
    #[error(
        "the text differs from the one in full at token {position} of those that were added; this is a mistake in Onejump"
    )]
    Differs {
        /// Counted from 0.
        position: usize,
    },
    /// The outcome has no JSON.
    #[error("the outcome cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

impl From<ExitError> for GenerateError {
    fn from(error: ExitError) -> Self {
        match error {
            ExitError::Model(error) => error.into(),
            ExitError::Shortcut(error) => error.into(),
            ExitError::HiddenSize { shortcut, head } => Self::HiddenSize { jump: shortcut, head },
            ExitError::Torch(error) => error.into(),
        }
    }
}
