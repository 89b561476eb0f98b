//! The command line.

use std::io::{IsTerminal, Read};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::commands::Command;
use clap::builder::NonEmptyStringValueParser;
use clap::{CommandFactory, Parser};
use onejump_core::files::FileError;
use onejump_generate::{Chat, Config, Format, GenerateError, KeyValues, Level, Mode, Sampling, Sureness};

/// [`Ngram::LENGTH`](onejump_generate::Ngram::LENGTH), as clap wants it.
const NGRAM: &str = "3";

/// Go on with a text: in full, or with drafts from an early level or the text so far, which the model verifies.
///
/// The text goes to stdout as it comes, what it took to stderr. Speculative text is the same as in full, byte for byte.
#[derive(Parser)]
#[command(version, subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Directory, GGUF file, hub id or built-in model
    #[arg(short, long, value_name = "M", required = true)]
    model: Option<String>,
    /// What the text begins with; from stdin if neither this nor --file is given
    #[arg(short, long, value_name = "TEXT", conflicts_with = "file")]
    prompt: Option<String>,
    /// A file with what the text begins with, in UTF-8
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Say the prompt to the model in a conversation, in the checkpoint's own form; several turns on a terminal without one
    #[arg(long)]
    chat: bool,
    /// What the model is told before the conversation
    #[arg(long, value_name = "TEXT", requires = "chat")]
    system: Option<String>,
    /// How many tokens to add at most
    #[arg(short = 'n', long, value_name = "N", default_value_t = Config::TOKENS)]
    tokens: usize,
    /// Room for the whole text, in tokens; by default 4096, or what the model takes if that is less
    #[arg(short, long, value_name = "N")]
    context: Option<usize>,
    /// Threads; 0 is one for each processor
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Round the model's weights to f32, bf16, f16, q8 or q4; without, they are kept exactly, in as few bits as that takes
    #[arg(long, value_name = "FORMAT")]
    weights: Option<Format>,
    /// What logits are divided by before a token is drawn; 0 always takes the most likely one
    #[arg(long = "temp", value_name = "T", default_value_t = 0.0)]
    temperature: f64,
    /// Draw among so many of the most likely tokens; 0 for all
    #[arg(long, value_name = "K", default_value_t = 0)]
    top_k: usize,
    /// Draw among the most likely tokens that have this probability together
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    top_p: f64,
    /// Draw among tokens at least this many times as likely as the most likely one
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    min_p: f64,
    /// What logits of tokens in the text are divided by (multiplied, below 0); 1 for nothing
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    repeat_penalty: f32,
    /// Of the random numbers, which depend on it and on a token's position alone
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// A text that ends everything, and is not shown; may be repeated
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    stop: Vec<String>,
    /// Go on behind the model's end tokens
    #[arg(long)]
    ignore_eos: bool,
    /// full; speculative: an early level or the text so far drafts tokens, which the model verifies; or exit: a token
    /// leaves at the first level that is sure, and the text may differ from that in full
    #[arg(long, value_name = "MODE", default_value_t = Mode::Full)]
    mode: Mode,
    /// The jump that reads early levels, from onejump-score or onejump-train, or owner/name[:file][@revision] on the hub;
    /// the model's own head without
    #[arg(long, value_name = "FILE")]
    jump: Option<PathBuf>,
    /// The level that drafts, or auto for what pays most by a card; for exit those at which a token may leave, such as 4,8 or 2..28/4, by default five
    #[arg(long, value_name = "K|auto")]
    level: Option<Level>,
    /// Look the last N tokens up in the text so far, and draft what came behind them; before --level does
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = NGRAM)]
    ngram: Option<NonZeroUsize>,
    /// What onejump-generate tune measured, for --level auto
    #[arg(long, value_name = "FILE")]
    card: Option<PathBuf>,
    /// How many tokens to draft at a time at most; by default 1 for --level, 5 for --ngram
    #[arg(long, value_name = "N")]
    draft_max: Option<usize>,
    /// Draft the M best tokens of one look at --level, which the model verifies together, in place of one behind the other
    #[arg(long, value_name = "M", conflicts_with_all = ["draft_max", "ngram"])]
    siblings: Option<NonZeroUsize>,
    /// For exit: leave where the most likely token is more probable than this; nowhere if it is 1 or more
    #[arg(long, value_name = "P", conflicts_with = "agreement")]
    threshold: Option<f64>,
    /// For exit: be as sure as keeps this share of the tokens that the model writes itself, by default 0.95; measured first
    #[arg(long, value_name = "SHARE")]
    agreement: Option<f64>,
    /// For exit: blocks that a token skips get keys and values when a later token goes there (deferred, exact), or from
    /// the state at which it left (propagate) [default: deferred]
    #[arg(long, value_name = "HOW")]
    kv: Option<KeyValues>,
    /// Also run in full, compare, and say how long that took
    #[arg(long)]
    check: bool,
    /// Write how each token was found: its level, looks, their confidence, what was drafted
    #[arg(long, value_name = "FILE.parquet")]
    pub trace: Option<PathBuf>,
    /// Print JSON when all is done instead of the text as it comes
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// Whether it is a conversation of several turns, typed on a terminal.
    pub fn is_conversation(&self) -> bool {
        let typed = self.prompt.is_none() && self.file.is_none() && std::io::stdin().is_terminal();
        self.chat && typed && !self.json && !self.check && self.trace.is_none()
    }

    /// What is wanted; reads the prompt.
    pub fn config(self) -> Result<Config, GenerateError> {
        self.check_usage();
        let typed = self.is_conversation();
        let prompt = match (self.prompt, &self.file) {
            (None, None) if typed => String::new(),
            (Some(prompt), _) => prompt,
            (None, Some(path)) => std::fs::read_to_string(path).map_err(FileError::reading(path))?,
            (None, None) => {
                let mut prompt = String::new();
                std::io::stdin().read_to_string(&mut prompt).map_err(FileError::reading("stdin".as_ref()))?;
                prompt
            }
        };
        let plain = Config::new(self.model.as_deref().unwrap_or_default(), &prompt);
        Ok(Config {
            chat: self.chat.then(|| Chat { system: self.system.clone() }),
            tokens: self.tokens,
            context: self.context,
            threads: self.threads,
            weights: self.weights,
            sampling: Sampling {
                temperature: self.temperature,
                top_k: self.top_k,
                top_p: self.top_p,
                min_p: self.min_p,
                repeat_penalty: self.repeat_penalty,
                seed: self.seed,
            },
            stop: self.stop,
            ignore_ends: self.ignore_eos,
            mode: self.mode,
            jump: self.jump,
            level: self.level,
            sureness: self.threshold.map_or_else(
                || self.agreement.map_or(plain.sureness, Sureness::Agreement),
                Sureness::Threshold,
            ),
            key_values: self.kv.unwrap_or(plain.key_values),
            ngram: self.ngram.map(NonZeroUsize::get),
            most_drafts: self.draft_max,
            siblings: self.siblings.map(NonZeroUsize::get),
            card: self.card,
            check: self.check,
            ..plain
        })
    }

    /// What is for one mode alone must not be ignored in silence, and something must draft.
    fn check_usage(&self) {
        let early = self.jump.is_some() || self.level.is_some() || self.check || self.card.is_some();
        let drafts = self.ngram.is_some() || self.draft_max.is_some() || self.siblings.is_some();
        let exits = self.threshold.is_some() || self.agreement.is_some() || self.kv.is_some();
        let drafter = self.level.is_some() || self.ngram.is_some();
        let reason = match self.mode {
            Mode::Full if early => "--jump, --level, --card and --check are for --mode speculative and exit",
            Mode::Full | Mode::Exit if drafts => {
                "--ngram, --draft-max and --siblings are for --mode speculative"
            }
            Mode::Full | Mode::Speculative if exits => {
                "--threshold, --agreement and --kv are for --mode exit"
            }
            Mode::Speculative if !drafter => {
                "--mode speculative needs --level K, the level that drafts, or --ngram"
            }
            Mode::Speculative if self.level == Some(Level::Auto) && drafts => {
                "--level auto says how to draft; leave --ngram, --draft-max and --siblings out, or give the level"
            }
            Mode::Speculative if self.jump.is_some() && self.level.is_none() => {
                "--jump needs --level K: the level that drafts"
            }
            _ => return,
        };
        Self::command().error(clap::error::ErrorKind::ArgumentConflict, reason).exit()
    }
}
