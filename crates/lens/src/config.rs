//! What is looked at, and how it is shown.

use std::path::{Path, PathBuf};

use onejump_core::levels::Levels;
use onejump_core::words::{UnknownWord, Word};
use onejump_models::bos::Bos;
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::LensError;

/// How probable the most likely token must be for an exit, if nothing else is said.
pub const DEFAULT_THRESHOLD: f64 = 0.9;

/// The most cells of a page: more take a browser seconds to lay out.
pub const MOST_HTML_CELLS: usize = 40_000;

/// The most cells of a figure: more are no figure for a paper.
pub const MOST_SVG_CELLS: usize = 6_000;

/// The most cells in a terminal.
pub const MOST_TEXT_CELLS: usize = 20_000;

/// A text and the maps through which a model's levels are read.
#[derive(Debug, Clone)]
pub struct Config {
    /// A directory, a GGUF file, a hub id or a built-in model.
    pub model: String,
    /// Files of shortcuts, beside the state as it is.
    pub shortcuts: Vec<PathBuf>,
    /// The text.
    pub input: Input,
    /// When a beginning-of-sequence token comes first.
    pub bos: Bos,
    /// The levels that are looked at, beside the last; all without.
    pub levels: Option<Levels>,
    /// Only so many positions, from the end; what is before them is still read.
    pub last: Option<usize>,
    /// How probable the most likely token must be for an exit: more than this; nowhere if it is 1 or more.
    pub threshold: f64,
    /// What colours tell. The divergence is computed only if they tell it.
    pub metric: Metric,
    /// The most cells that what is written can show.
    pub most_cells: Option<usize>,
}

impl Config {
    /// All positions and levels, through the model's own head alone.
    pub fn new(model: &str, input: Input) -> Self {
        Self {
            model: model.to_owned(),
            shortcuts: Vec::new(),
            input,
            bos: Bos::Auto,
            levels: None,
            last: None,
            threshold: DEFAULT_THRESHOLD,
            metric: Metric::Probability,
            most_cells: None,
        }
    }
}

/// A text, or its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// What the model's tokenizer makes tokens of.
    Text(String),
    /// A file of UTF-8 text, whole.
    File(PathBuf),
    /// Exact ids, tokenised by nobody.
    Ids(Vec<i64>),
}

/// What the colour of a cell tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Self>)]
pub enum Metric {
    /// The probability that the level gives to its answer.
    Probability,
    /// −ln of the probability that the level gives to the model's own answer, in nats.
    Surprisal,
    /// The place of the model's own answer among the level's tokens: 1 is the most likely.
    Rank,
    /// KL(model's distribution ‖ level's), in nats.
    Kl,
}

impl Word for Metric {
    const WHAT: &'static str = "metric";
}

impl Metric {
    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// In which form a lens is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Self>)]
pub enum Format {
    /// One page, which opens from disk.
    Html,
    /// A figure for a paper.
    Svg,
    /// A table: [`onejump_store::lens`].
    Parquet,
    /// The same, nested.
    Json,
    /// A grid for a terminal.
    Text,
}

impl Word for Format {
    const WHAT: &'static str = "format";
}

impl Format {
    /// The format that a file's name ends in: `html`, `svg`, `parquet`, `json`, or `txt`.
    ///
    /// # Errors
    /// [`LensError::Ending`] for another ending.
    pub fn of(path: &Path) -> Result<Self, LensError> {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        Ok(match ending.to_ascii_lowercase().as_str() {
            "html" | "htm" => Self::Html,
            "svg" => Self::Svg,
            "parquet" => Self::Parquet,
            "json" => Self::Json,
            "txt" => Self::Text,
            _ => return Err(LensError::Ending { path: path.to_owned() }),
        })
    }

    /// The most cells that it shows; any number where none is named.
    pub fn most_cells(self) -> Option<usize> {
        match self {
            Self::Html => Some(MOST_HTML_CELLS),
            Self::Svg => Some(MOST_SVG_CELLS),
            Self::Text => Some(MOST_TEXT_CELLS),
            Self::Parquet | Self::Json => None,
        }
    }

    /// Whether it can go to stdout.
    pub fn is_text(self) -> bool {
        self != Self::Parquet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_its_format() {
        for (name, format) in [
            ("a.HTML", Format::Html),
            ("b/c.svg", Format::Svg),
            ("d.json", Format::Json),
            ("e.txt", Format::Text),
        ] {
            assert_eq!(Format::of(name.as_ref()).unwrap(), format);
        }
        let said = Format::of("lens.png".as_ref()).unwrap_err().to_string();
        assert!(said.contains("lens.png") && said.contains("--format"), "{said}");
    }
}
