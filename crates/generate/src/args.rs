//! The command line.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use clap::Parser;
use clap::builder::NonEmptyStringValueParser;
use onejump_core::files::FileError;
use onejump_generate::{Chat, Config, GenerateError, Sampling};
use onejump_program::Terminal;

use crate::commands::Command;
use crate::decoding::Decoding;

/// Go on with a text: in full, or with drafts from an early level or the text so far, which the model verifies.
///
/// The text goes to stdout as it comes, what it took to stderr. Speculative text is the same as in full: on the CPU byte for
/// byte, on a GPU up to rounding.
#[derive(Parser)]
#[command(version, subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub decoding: Decoding,
    /// What the text begins with; from stdin if neither this nor --file is given
    #[arg(short, long, value_name = "TEXT", conflicts_with = "file")]
    prompt: Option<String>,
    /// A file with what the text begins with, in UTF-8
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What the model is told before the conversation
    #[arg(long, value_name = "TEXT", requires = "chat")]
    system: Option<String>,
    /// How many tokens to add at most
    #[arg(short = 'n', long, value_name = "N", default_value_t = Config::TOKENS)]
    tokens: usize,
    /// Room for the whole text, in tokens; by default 4096, or what the model takes if that is less
    #[arg(short, long, value_name = "N")]
    context: Option<usize>,
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
        self.decoding.chat && typed && !self.json && !self.check && self.trace.is_none()
    }

    /// What is wanted; reads the prompt.
    pub fn config(self, terminal: &Terminal) -> Result<Config, GenerateError> {
        self.decoding.way.check_usage(self.check);
        let place = self.decoding.computing.place()?;
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
        let plain = self.decoding.config(&prompt, place, terminal)?;
        Ok(Config {
            chat: plain.chat.map(|_| Chat { system: self.system }),
            tokens: self.tokens,
            context: self.context,
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
            check: self.check,
            ..plain
        })
    }
}
