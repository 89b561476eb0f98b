//! Texts out of the files that people have, one after another. No more of a file is in memory than a text, or a
//! batch of a table's rows.

mod column;
mod files;
mod json;
mod lines;
mod table;
mod text;

use std::path::PathBuf;

pub use column::DEFAULT_COLUMN;
pub(crate) use text::Text;

use crate::CaptureError;
use files::{Format, TextFile};

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
