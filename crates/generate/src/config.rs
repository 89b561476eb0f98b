//! What is wanted.

use std::path::PathBuf;

use serde::Serialize;
use strum::{Display, EnumString};

use crate::sampling::Sampling;

/// How tokens come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, Serialize)]
#[strum(serialize_all = "kebab-case")]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Every token goes through all blocks by itself.
    Full,
    /// An early level, or the text so far, drafts tokens, which go through the blocks together and are verified. The
    /// text is the same.
    Speculative,
}

/// A text that is wanted.
#[derive(Debug, Clone)]
pub struct Config {
    /// A directory, a GGUF file, a hub id or a built-in model.
    pub model: String,
    /// What the text begins with.
    pub prompt: String,
    /// How many tokens to add at most.
    pub tokens: usize,
    /// Room for the whole text in tokens; [`Config::CONTEXT`] or the model's own context, whichever is less, without.
    pub context: Option<usize>,
    /// Threads; 0 is one for each processor.
    pub threads: usize,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Texts that end the text; they are not part of it.
    pub stop: Vec<String>,
    /// Goes on behind the checkpoint's end tokens.
    pub ignore_ends: bool,
    /// How tokens come about.
    pub mode: Mode,
    /// The file of the jump that drafts; the model's own head reads the early level without.
    pub jump: Option<PathBuf>,
    /// The level that drafts.
    pub level: Option<usize>,
    /// How many of the last tokens are looked up in the text so far; what came behind them drafts.
    pub ngram: Option<usize>,
    /// How many tokens are drafted at a time at most; [`Jump::MOST`](crate::Jump::MOST) and
    /// [`Ngram::MOST`](crate::Ngram::MOST) without.
    pub most_drafts: Option<usize>,
    /// Also runs in full and compares.
    pub check: bool,
}

impl Config {
    /// How many tokens are added at most, if nothing else is said.
    pub const TOKENS: usize = 128;
    /// The most room that is made for a text, if nothing else is said.
    pub const CONTEXT: usize = 4096;

    /// The most likely tokens, in full.
    pub fn new(model: &str, prompt: &str) -> Self {
        Self {
            model: model.into(),
            prompt: prompt.into(),
            tokens: Self::TOKENS,
            context: None,
            threads: 0,
            sampling: Sampling::default(),
            stop: Vec::new(),
            ignore_ends: false,
            mode: Mode::Full,
            jump: None,
            level: None,
            ngram: None,
            most_drafts: None,
            check: false,
        }
    }
}
