//! What came of it.

use std::time::Duration;

use serde::Serialize;

use crate::check::Check;
use crate::config::Mode;
use crate::decoder::Decoder;
use crate::run::Written;

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

/// What became of drafts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Drafts {
    /// How many were made.
    pub drafted: usize,
    /// How many the model would have said too.
    pub accepted: usize,
    /// How often all blocks were run.
    pub steps: usize,
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
        let threshold = decoder.threshold();
        Self { text, tokens, end, mode, prompt_tokens, drafts, mean_level, threshold, times, check: None }
    }

    /// Tokens added in a second.
    pub fn tokens_per_second(&self) -> f64 {
        self.tokens.len() as f64 / self.times.generation_ms * 1e3
    }
}
