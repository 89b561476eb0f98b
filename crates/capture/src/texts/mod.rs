//! Texts out of the files that people have, one after another. No more of a file is in memory than a text, or a
//! batch of a table's rows.

mod files;
mod json;
mod lines;
mod table;

use std::path::{Path, PathBuf};

use onejump_core::files::FileError;

use crate::CaptureError;
use files::{Format, TextFile};

/// The column that texts are read from where none is named: most data sets call it so.
pub const DEFAULT_COLUMN: &str = "text";

/// Which texts to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextInput {
    /// Files and folders: of text, of JSON lines (both also compressed), and of Parquet.
    pub paths: Vec<PathBuf>,
    /// The column of the texts, in JSON lines and Parquet.
    pub column: String,
    /// Whether a file of text is one text, rather than a text a line.
    pub whole_files: bool,
    /// How many tokens of a text are a sequence at most; without it, [`crate::DEFAULT_CHUNK_TOKENS`] or the
    /// context, whichever is smaller.
    pub chunk_tokens: Option<usize>,
}

impl TextInput {
    /// These files and folders, with the defaults of every option.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            paths: paths.into_iter().collect(),
            column: DEFAULT_COLUMN.to_owned(),
            whole_files: false,
            chunk_tokens: None,
        }
    }

    /// What the input is called: the names of the files and folders, without theirs.
    pub(crate) fn name(&self) -> String {
        let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.paths.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    /// Every text, in the order of the paths; the files of a folder by their paths. A table's row without a text is
    /// an empty one.
    ///
    /// # Errors
    /// [`CaptureError`] if a path has no such file. Other errors come where the texts are read.
    pub(crate) fn texts(&self) -> Result<impl Iterator<Item = Result<Text, CaptureError>>, CaptureError> {
        let files = files::find(&self.paths)?;
        Ok(files.into_iter().flat_map(|file| match self.texts_of(file) {
            Ok(texts) => texts,
            Err(error) => Box::new(std::iter::once(Err(error))),
        }))
    }

    fn texts_of(&self, file: TextFile) -> Result<Texts, CaptureError> {
        let column = &self.column;
        Ok(match file.format {
            Format::Text if self.whole_files => Box::new(std::iter::once(lines::whole(&file))),
            Format::Text => Box::new(lines::Lines::open(&file)?),
            Format::JsonLines => Box::new(json::texts(lines::Lines::open(&file)?, column.clone())),
            Format::Parquet => Box::new(table::texts(file.path, column)?),
        })
    }
}

type Texts = Box<dyn Iterator<Item = Result<Text, CaptureError>>>;

/// A text, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub text: String,
    pub path: PathBuf,
    pub place: Place,
}

/// Where a text stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The whole file is one text.
    File,
    /// A line, from 1.
    Line(usize),
    /// A row of a table, from 0.
    Row(usize),
}

impl Place {
    /// The error about a text.
    pub fn wrong(self, path: &Path, reason: impl Into<String>) -> CaptureError {
        let (path, reason) = (path.to_owned(), reason.into());
        match self {
            Self::File => FileError::Content { path, reason }.into(),
            Self::Line(line) => CaptureError::Line { path, line, reason },
            Self::Row(row) => CaptureError::Row { path, row, reason },
        }
    }
}

/// Why a file has no texts in a column, where it has others.
fn no_column(column: &str, others: &[&str]) -> String {
    let chat = others.iter().find(|other| ["messages", "conversations"].contains(*other));
    match chat {
        Some(chat) => is_chat(chat),
        None if others.is_empty() => format!("has no column '{column}', nor any other"),
        None => {
            format!("has no column '{column}'; give one of its columns with --column: {}", others.join(", "))
        }
    }
}

/// Why a column of messages is not read.
fn is_chat(column: &str) -> String {
    format!(
        "has chat messages in column '{column}', which only the model's chat template makes a text of; apply it first (in \
         Python: tokenizer.apply_chat_template(messages, tokenize=False)), and give the column of the texts with --column"
    )
}
