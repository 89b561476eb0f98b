//! What came of it.

use std::path::Path;
use std::time::Duration;

use onejump_store::trace::{self, Found};

use serde::Serialize;

use crate::GenerateError;
use crate::check::Check;
use crate::config::Mode;
use crate::decoder::{Decoder, Drafts, Move};

/// A text, and what it took.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// What was added to the prompt.
    pub text: String,
    /// Its tokens.
    pub tokens: Vec<i64>,
    /// Why it ends.
    pub end: End,
    /// How tokens came about.
    pub mode: Mode,
    /// What the model's weights were rounded to, or a GPU computed in; none where they are exact on the CPU.
    pub weights: Option<String>,
    /// How many tokens the prompt has.
    pub prompt_tokens: usize,
    /// What became of the drafts.
    pub drafts: Drafts,
    /// How long it took.
    pub times: Times,
    /// The mean level that said its tokens.
    pub mean_level: f64,
    /// How sure a look had to be, where tokens could leave early.
    pub threshold: Option<f64>,
    /// How each of its tokens was found.
    #[serde(skip)]
    pub moves: Vec<Move>,
    /// What the full model says to it, where that was asked for.
    pub check: Option<Check>,
}

/// Why a text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// One of the checkpoint's end tokens.
    EndToken,
    /// One of the texts that end it.
    Stop,
    /// As many tokens as were wanted.
    Tokens,
    /// No more room.
    Context,
    /// Whoever takes the text wants no more.
    Taker,
}

/// What was added to a text.
pub(crate) struct Written {
    pub text: String,
    pub tokens: Vec<i64>,
    pub end: End,
}

/// How long each part took, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Times {
    /// Opening and loading the checkpoint.
    pub load_ms: f64,
    /// All of the prompt but its last token.
    pub prompt_ms: f64,
    /// The tokens that were added.
    pub generation_ms: f64,
}

impl Times {
    pub(crate) fn ms(duration: Duration) -> f64 {
        duration.as_secs_f64() * 1e3
    }
}

impl Outcome {
    pub(crate) fn new(
        written: Written,
        decoder: &Decoder<'_>,
        mode: Mode,
        prompt_tokens: usize,
        times: Times,
    ) -> Self {
        let Written { text, tokens, end } = written;
        let (drafts, mean_level) = (decoder.drafts(), decoder.mean_level());
        let (threshold, moves) = (decoder.threshold(), decoder.moves().to_vec());
        Self {
            text,
            tokens,
            end,
            mode,
            weights: None,
            prompt_tokens,
            drafts,
            mean_level,
            threshold,
            times,
            moves,
            check: None,
        }
    }

    /// Writes how each token was found as a Parquet file: [`onejump_store::trace`] has its columns.
    ///
    /// # Errors
    /// [`GenerateError::Store`] if it cannot be written.
    pub fn write_trace(&self, path: &Path) -> Result<(), GenerateError> {
        let found = |(index, (&token, found)): (usize, (&i64, &Move))| {
            let Move { level, looks, confidence, draft } = *found;
            Found { position: self.prompt_tokens + index, token, level, looks, confidence, draft }
        };
        let rows: Vec<Found> = self.tokens.iter().zip(&self.moves).enumerate().map(found).collect();
        Ok(trace::write(path, &rows)?)
    }

    /// Tokens added in a second.
    pub fn tokens_per_second(&self) -> f64 {
        self.tokens.len() as f64 / self.times.generation_ms * 1e3
    }
}
