//! What is wanted.

use std::path::PathBuf;
use std::str::FromStr;

use onejump_core::levels::{Levels, NoLevels};
use onejump_core::words::{UnknownWord, Word};
use onejump_models::chat::{Message, Role};
use onejump_models::device::{Batch, Place};
use onejump_models::tf32::{self, TF32};
use serde::Serialize;
use strum::{Display, EnumString, IntoStaticStr, VariantArray};
use tch::Kind;

use crate::GenerateError;
use crate::early::KeyValues;
use crate::sampling::Sampling;

/// How tokens come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantArray, Serialize)]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Self>)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Every token goes through all blocks by itself.
    Full,
    /// An early level, or the text so far, drafts tokens, which go through the blocks together and are verified. The
    /// text is the same; on a GPU, up to rounding.
    Speculative,
    /// A token leaves at the first level that is sure of it. The text may differ from that in full.
    Exit,
}

impl Word for Mode {
    const WHAT: &'static str = "mode";
}

/// At which levels something is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Level {
    /// What pays most by a card of this machine.
    Auto,
    /// These.
    At(Levels),
}

impl FromStr for Level {
    type Err = NoLevels;

    fn from_str(text: &str) -> Result<Self, NoLevels> {
        if text == "auto" { Ok(Self::Auto) } else { text.parse().map(Self::At) }
    }
}

/// How sure a look must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sureness {
    /// Its most likely token is more probable than this.
    Threshold(f64),
    /// As sure as keeps this share of tokens those of the full model, on text that it writes itself.
    Agreement(f64),
}

/// A prompt that is something said in a conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chat {
    /// What the model is told before it.
    pub system: Option<String>,
}

impl Chat {
    /// What comes before the first thing that is said.
    pub(crate) fn opening(&self) -> Vec<Message> {
        self.system.iter().map(|system| Message::new(Role::System, system)).collect()
    }
}

/// What a model is rounded to, or computed in on a GPU, in words; none where its weights are exact and on the CPU.
pub fn precision(place: Place) -> Option<String> {
    let Batch::Few(format) = place.batch else {
        let dtype = match place.dtype {
            Kind::BFloat16 => "bf16",
            Kind::Half => "f16",
            _ if tf32::variable(TF32).is_none() => TF32,
            _ => "f32",
        };
        return Some(format!("{dtype} on a GPU"));
    };
    format.map(|format| format.to_string())
}

/// Whether a token's states are the same bits however many go together there.
pub(crate) fn is_exact(place: Place) -> bool {
    matches!(place.batch, Batch::Few(_))
}

/// A text that is wanted.
#[derive(Debug, Clone)]
pub struct Config {
    /// A directory, a GGUF file, a hub id or a built-in model.
    pub model: String,
    /// What the text begins with.
    pub prompt: String,
    /// Whether that is said to the model in a conversation, in the checkpoint's own form.
    pub chat: Option<Chat>,
    /// How many tokens to add at most.
    pub tokens: usize,
    /// Room for the whole text in tokens; [`Config::CONTEXT`] or the model's own context, whichever is less, without.
    pub context: Option<usize>,
    /// Threads; 0 is one for each processor.
    pub threads: usize,
    /// Where the model computes: on the CPU each matrix is kept as narrow as holds it exactly, or rounded to a format.
    pub place: Place,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Texts that end the text; they are not part of it.
    pub stop: Vec<String>,
    /// Goes on behind the checkpoint's end tokens.
    pub ignore_ends: bool,
    /// How tokens come about.
    pub mode: Mode,
    /// The file of the jump that reads early levels; the model's own head does without.
    pub jump: Option<PathBuf>,
    /// The level that drafts, or those at which a token may leave; [`Config::GATES`] evenly spaced ones without.
    pub level: Option<Level>,
    /// How many of the last tokens are looked up in the text so far; what came behind them drafts.
    pub ngram: Option<usize>,
    /// How many tokens are drafted at a time at most; [`Jump::MOST`](crate::Jump::MOST) and
    /// [`Ngram::MOST`](crate::Ngram::MOST) without.
    pub most_drafts: Option<usize>,
    /// So many of the best tokens of a look are drafted in the same place, in place of a chain.
    pub siblings: Option<usize>,
    /// When a token leaves, in [`Mode::Exit`].
    pub sureness: Sureness,
    /// What becomes of the keys and values of the blocks that it does not go through.
    pub key_values: KeyValues,
    /// What drafting pays on this machine, for [`Level::Auto`].
    pub card: Option<PathBuf>,
    /// Also runs in full and compares.
    pub check: bool,
}

impl Config {
    /// How many tokens are added at most, if nothing else is said.
    pub const TOKENS: usize = 128;
    /// The most room that is made for a text, if nothing else is said.
    pub const CONTEXT: usize = 4096;

    /// At how many levels a token may leave, if nothing else is said: a look may cost as much as a block.
    pub const GATES: usize = 5;
    /// How many tokens of a lossy text are those of the full model, if nothing else is said.
    pub const AGREEMENT: f64 = 0.95;

    /// The most likely tokens, in full.
    pub fn new(model: &str, prompt: &str) -> Self {
        Self {
            model: model.into(),
            prompt: prompt.into(),
            chat: None,
            tokens: Self::TOKENS,
            context: None,
            threads: 0,
            place: Place::DECODING,
            sampling: Sampling::default(),
            stop: Vec::new(),
            ignore_ends: false,
            mode: Mode::Full,
            jump: None,
            level: None,
            ngram: None,
            most_drafts: None,
            siblings: None,
            sureness: Sureness::Agreement(Self::AGREEMENT),
            key_values: KeyValues::Deferred,
            card: None,
            check: false,
        }
    }

    /// Refuses numbers that make no sense.
    ///
    /// # Errors
    /// [`GenerateError::Range`].
    pub fn check(&self) -> Result<(), GenerateError> {
        self.sampling.check()?;
        let (what, found, range, expected) = match self.sureness {
            Sureness::Threshold(found) => ("the threshold", found, 0.0..=f64::MAX, "possible are 0 and more"),
            Sureness::Agreement(found) => ("the agreement", found, 0.0..=1.0, "possible is 0 to 1"),
        };
        if range.contains(&found) { Ok(()) } else { Err(GenerateError::Range { what, found, expected }) }
    }
}
