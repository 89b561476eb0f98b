//! The subcommands: `bench` and `tune`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use onejump_core::levels::Levels;
use onejump_generate::{
    Bench, Card, Config, GenerateError, Rate, Timed, Tuning, WithoutLooks, precision, read_prompts, tune,
};
use onejump_program::{Terminal, say};

use crate::computing::Computing;
use crate::decoding::{Decoding, WayArgs};

/// What can be done beside a text.
#[derive(Subcommand)]
pub enum Command {
    /// How many tokens per second a prompt and a text take, in full and in another mode in turn
    Bench(BenchArgs),
    /// Measure how often early levels are right on text that the model writes, and what drafts pay on this machine
    Tune(TuneArgs),
}

/// What is timed.
#[derive(Args)]
pub struct BenchArgs {
    #[command(flatten)]
    decoding: Decoding,
    /// How many tokens to read at once
    #[arg(short, long, value_name = "N", default_value_t = 128)]
    prompt: usize,
    /// How many tokens to write
    #[arg(short = 'n', long, value_name = "N", default_value_t = 64)]
    tokens: usize,
    /// How often
    #[arg(short, long, value_name = "N", default_value_t = 5)]
    repeats: usize,
    /// What the text begins with
    #[arg(long, value_name = "TEXT", default_value = "The history of the railway began")]
    text: String,
    /// What texts begin with, a line each, in place of --text
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    prompts: Option<PathBuf>,
    /// Also time the same texts as with these options of a text, such as "--mode speculative --ngram"; may be repeated
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true)]
    also: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is measured.
#[derive(Args)]
pub struct TuneArgs {
    /// Directory, GGUF file, hub id or built-in model
    #[arg(short, long, value_name = "M")]
    model: String,
    /// A file of shortcuts; may be repeated; the model's own head without
    #[arg(long = "jump", value_name = "FILE")]
    jumps: Vec<PathBuf>,
    /// The levels to try, such as 0..8; all without
    #[arg(long, value_name = "LEVELS")]
    levels: Option<Levels>,
    /// What the model begins with, a line each; some prompts of our own without
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Say each to the model in a conversation
    #[arg(long)]
    chat: bool,
    #[command(flatten)]
    computing: Computing,
    /// Write the texts too, a line of JSON each, for onejump-capture --text
    #[arg(long, value_name = "FILE.jsonl")]
    texts: Option<PathBuf>,
    /// How many tokens it adds to each
    #[arg(short = 'n', long, value_name = "N", default_value_t = Tuning::TOKENS)]
    tokens: usize,
    /// Where to write the card; a text that uses it needs the same --weights, --device and --dtype
    #[arg(short, long, value_name = "FILE.json")]
    out: PathBuf,
}

impl Command {
    /// What computes.
    pub fn computing(&self) -> &Computing {
        match self {
            Self::Bench(args) => &args.decoding.computing,
            Self::Tune(args) => &args.computing,
        }
    }

    /// Does it.
    pub fn run(self, terminal: &Terminal) -> Result<(), GenerateError> {
        match self {
            Self::Bench(args) => args.run(terminal),
            Self::Tune(args) => args.run(terminal),
        }
    }
}

impl BenchArgs {
    fn run(self, terminal: &Terminal) -> Result<(), GenerateError> {
        self.decoding.way.check_usage(false);
        let others: Vec<WayArgs> = self.also.iter().map(|options| WayArgs::of_line(options)).collect();
        let place = self.decoding.computing.place()?;
        let config = Config { tokens: self.tokens, ..self.decoding.config(&self.text, place, terminal)? };
        let prompts = self.prompts.as_deref().map(read_prompts).transpose()?.unwrap_or_default();
        let others = others.into_iter().map(|way| {
            let Config { place, threads, tokens, .. } = config;
            let plain = Config { place, threads, tokens, ..Config::new(&config.model, &config.prompt) };
            way.config(plain, terminal)
        });
        let others = others.collect::<Result<_, _>>()?;
        let bench = Bench { config, others, prompts, prompt: self.prompt, repeats: self.repeats };
        let rates = onejump_generate::bench(&bench, terminal)?;
        let Config { model, place, .. } = &bench.config;
        if self.json {
            say!("{}", serde_json::to_string(&rates)?);
            return Ok(());
        }
        let row = |name: &str, count: usize, rate: Rate| {
            say!("{name:<12} {count:>6} tokens {:>9.1} ± {:.1} tokens/s", rate.mean, rate.sd);
        };
        let rounded = precision(*place).map(|format| format!(", in {format}")).unwrap_or_default();
        say!("{model}{rounded}, {:.0} MB of weights a token", rates.bytes as f64 / 1e6);
        row("prompt", self.prompt, rates.prompt);
        row("full", self.tokens, rates.full);
        let own = rates.modes.len() - self.also.len();
        for (index, Timed { mode, rate, ratio }) in rates.modes.into_iter().enumerate() {
            row(&mode.to_string(), self.tokens, rate);
            let options = index.checked_sub(own).map(|other| format!("{}: ", self.also[other]));
            say!(
                "{}{:.2} ± {:.2} times as fast as full, run in turn",
                options.unwrap_or_default(),
                ratio.mean,
                ratio.sd
            );
        }
        Ok(())
    }
}

impl TuneArgs {
    fn run(self, terminal: &Terminal) -> Result<(), GenerateError> {
        let Self { model, jumps, levels, prompts, chat, computing, texts, tokens, out } = self;
        let (place, threads) = (computing.place()?, computing.threads);
        let jumps =
            jumps.iter().map(|jump| onejump_fetch::shortcuts(jump, terminal)).collect::<Result<_, _>>()?;
        let card =
            tune(&Tuning { model, jumps, levels, prompts, chat, place, texts, tokens, threads }, terminal)?;
        card.write(&out)?;
        let Card { costs, readings, best, .. } = &card;
        let rows: Vec<String> = costs.rows.iter().map(|rows| format!("{rows:.2}")).collect();
        say!(
            "a token takes {:.1} ms; 1 to {} rows cost {} of one",
            costs.token_ms,
            rows.len(),
            rows.join(", ")
        );
        let WithoutLooks { ngram, bigram } = card.without_looks;
        say!(
            "without a look: {:.1}% right by the text so far, {:.1}% by pairs of tokens",
            ngram * 100.0,
            bigram * 100.0
        );
        say!("level  right  among 5  a look costs       drafts  times as fast");
        for reading in readings {
            say!(
                "{:>5} {:>5.1}% {:>7.1}% {:>13.3} {:>12} {:>14.2}  {}",
                reading.level,
                reading.acceptance.first().unwrap_or(&0.0) * 100.0,
                reading.acceptance.last().unwrap_or(&0.0) * 100.0,
                reading.look_share,
                reading.shape,
                reading.speedup,
                reading.jump.as_deref().unwrap_or("the model's own head")
            );
        }
        match best {
            Some(best) => {
                say!("best: {} at level {}, {:.2} times as fast", best.shape, best.level, best.speedup)
            }
            None => say!("nothing is faster than full: --level auto drafts nothing"),
        }
        say!("{}", out.display());
        Ok(())
    }
}
