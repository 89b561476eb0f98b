//! How tokens are found: what a text and its timing have in common.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, Parser};
use onejump_generate::{Chat, Config, GenerateError, KeyValues, Level, Mode, Sureness};
use onejump_models::device::Place;
use onejump_program::Terminal;

use crate::computing::Computing;

/// [`Ngram::LENGTH`](onejump_generate::Ngram::LENGTH), as clap wants it.
const NGRAM: &str = "3";

/// A model, and how it is used.
#[derive(Args)]
pub struct Decoding {
    /// Directory, GGUF file, hub id or built-in model
    #[arg(short, long, value_name = "M", required = true)]
    model: Option<String>,
    /// Say what the text begins with to the model in a conversation, in the checkpoint's own form
    #[arg(long)]
    pub chat: bool,
    #[command(flatten)]
    pub computing: Computing,
    #[command(flatten)]
    pub way: WayArgs,
}

/// How tokens come about.
#[derive(Args)]
pub struct WayArgs {
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
    #[arg(long, value_name = "M", conflicts_with = "draft_max")]
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
}

/// A way by itself, for `bench --also`.
#[derive(Parser)]
#[command(name = "onejump-generate bench --also", no_binary_name = true)]
struct Also {
    #[command(flatten)]
    way: WayArgs,
}

impl Decoding {
    /// A configuration of it, which computes in a place; brings the jump.
    pub fn config(self, prompt: &str, place: Place, terminal: &Terminal) -> Result<Config, GenerateError> {
        let plain = Config::new(self.model.as_deref().unwrap_or_default(), prompt);
        let (chat, threads) = (self.chat.then(Chat::default), self.computing.threads);
        self.way.config(Config { chat, threads, place, ..plain }, terminal)
    }
}

impl WayArgs {
    /// What is in one line, such as "--mode speculative --ngram".
    pub fn of_line(options: &str) -> Self {
        let Some(words) = shlex::split(options) else {
            let reason = format!("--also '{options}': a quote is not closed\n");
            clap::Error::raw(ErrorKind::ValueValidation, reason).exit()
        };
        let Also { way } = Also::parse_from(words);
        way.check_usage(false);
        way
    }

    /// A configuration like this one, in this way; brings the jump.
    pub fn config(self, plain: Config, terminal: &Terminal) -> Result<Config, GenerateError> {
        let sure = self.threshold.map(Sureness::Threshold).or(self.agreement.map(Sureness::Agreement));
        Ok(Config {
            mode: self.mode,
            jump: self.jump.map(|jump| onejump_fetch::shortcuts(&jump, terminal)).transpose()?,
            level: self.level,
            sureness: sure.unwrap_or(plain.sureness),
            key_values: self.kv.unwrap_or(plain.key_values),
            ngram: self.ngram.map(NonZeroUsize::get),
            most_drafts: self.draft_max,
            siblings: self.siblings.map(NonZeroUsize::get),
            card: self.card,
            ..plain
        })
    }

    /// What is for one mode alone must not be ignored in silence, and something must draft. `check` says that a text is
    /// compared with that in full.
    pub fn check_usage(&self, check: bool) {
        if let Some(reason) = self.misused(check) {
            clap::Error::raw(ErrorKind::ArgumentConflict, format!("{reason}\n")).exit()
        }
    }

    fn misused(&self, check: bool) -> Option<&'static str> {
        let early = self.jump.is_some() || self.level.is_some() || check || self.card.is_some();
        let shape = self.draft_max.is_some() || self.siblings.is_some();
        let drafts = self.ngram.is_some() || shape;
        let exits = self.threshold.is_some() || self.agreement.is_some() || self.kv.is_some();
        let drafter = self.level.is_some() || self.ngram.is_some();
        Some(match self.mode {
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
            Mode::Speculative if self.level == Some(Level::Auto) && shape => {
                "--level auto says how to draft; leave --draft-max and --siblings out, or give the level"
            }
            Mode::Speculative if self.jump.is_some() && self.level.is_none() => {
                "--jump needs --level K: the level that drafts"
            }
            _ => return None,
        })
    }
}
