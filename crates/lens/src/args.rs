//! The command line.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Parser;
use onejump_core::levels::Levels;
use onejump_lens::{Config, DEFAULT_THRESHOLD, Format, Input, LensError, Metric, Paint};
use onejump_models::bos::Bos;

/// Show a text's way through the levels of a model: the token that each level would answer at each position, how surely,
/// from which level on the answer stays, and where a threshold would let it go.
///
/// The state as it is (the logit lens) is always shown, and every file of shortcuts beside it.
#[derive(Parser)]
#[command(version, group = clap::ArgGroup::new("input").required(true))]
pub struct Args {
    /// Model: a Hugging Face directory, a .gguf file, a hub id (owner/name), or a built-in name
    #[arg(long, value_name = "MODEL")]
    model: String,
    /// Files of shortcuts, from onejump-train, onejump-score or data/peers.py; or owner/name[:file][@revision] on the hub
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub shortcuts: Vec<PathBuf>,
    /// The text
    #[arg(long, value_name = "TEXT", group = "input")]
    text: Option<String>,
    /// A file of UTF-8 text, whole
    #[arg(long, value_name = "FILE", group = "input")]
    file: Option<PathBuf>,
    /// The text as token ids, such as 504,3575,282: they are not tokenised again
    #[arg(long, value_name = "IDS", value_delimiter = ',', group = "input")]
    ids: Option<Vec<i64>>,
    /// What to write [default: the text on stdout]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// html (one page, which opens from disk), svg (a figure), parquet or json (the numbers), text (for a terminal)
    /// [default: as --out ends, or text]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// The levels to look at, for instance 0,6,12..18 or 0..30/2 (both ends included); the last is always there
    /// [default: all]
    #[arg(long, value_name = "LEVELS")]
    levels: Option<Levels>,
    /// Show the last N positions; what comes before them is still read
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// What colours tell: probability (of the level's answer), surprisal or rank (of the model's answer), kl (from the
    /// model's distribution; computed if it is asked for)
    #[arg(long, value_name = "METRIC", default_value_t = Metric::Probability)]
    metric: Metric,
    /// Mark where an answer is more probable than this, and would leave; nowhere if it is 1
    #[arg(long, value_name = "P", default_value_t = DEFAULT_THRESHOLD)]
    threshold: f64,
    /// Whether a beginning-of-sequence token comes first: auto (as the tokenizer does), always, never
    #[arg(long, default_value_t = Bos::Auto, conflicts_with = "ids")]
    bos: Bos,
}

impl Args {
    /// In which form the lens is written.
    pub fn format(&self) -> Result<Format, LensError> {
        let format = match (self.format, &self.out) {
            (Some(format), _) => format,
            (None, Some(path)) => Format::of(path)?,
            (None, None) => Format::Text,
        };
        if self.out.is_none() && !format.is_text() { Err(LensError::NoOut) } else { Ok(format) }
    }

    /// What is looked at; `shortcuts` are files.
    pub fn config(self, shortcuts: Vec<PathBuf>, format: Format) -> Config {
        let input = match (self.text, self.file) {
            (Some(text), _) => Input::Text(text),
            (None, Some(path)) => Input::File(path),
            (None, None) => Input::Ids(self.ids.unwrap_or_default()),
        };
        Config {
            shortcuts,
            bos: self.bos,
            levels: self.levels,
            last: self.last,
            threshold: self.threshold,
            metric: self.metric,
            most_cells: format.most_cells(),
            ..Config::new(&self.model, input)
        }
    }
}

/// What stdout takes: the terminal's width, and colours unless `NO_COLOR` is there.
pub fn paint() -> Paint {
    let plain = Paint::default();
    if !std::io::stdout().is_terminal() {
        return plain;
    }
    let width = terminal_size::terminal_size().map_or(plain.width, |(width, _)| width.0.into());
    let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    Paint { width, colours }
}
