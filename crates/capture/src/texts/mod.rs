//! Texts out of the files that people have, one after another. No more of a file is in memory than a text, or a
//! batch of a table's rows.

mod chat;
mod column;
mod files;
mod json;
mod lines;
mod table;
mod text;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

pub(crate) use chat::Chat;
pub use column::DEFAULT_COLUMN;
pub(crate) use text::Text;

use onejump_core::observe::Observer;

use crate::CaptureError;
use files::Format;
pub(crate) use files::TextFile;

/// Which texts to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextInput {
    /// Files and folders: of text, of JSON lines (both also compressed), and of Parquet. Or data sets on the hub:
    /// `owner/name[:split or path][@revision]`.
    pub paths: Vec<PathBuf>,
    /// The column of the texts, in JSON lines and Parquet.
    pub column: String,
    /// Whether a file of text is one text, rather than a text a line.
    pub whole_files: bool,
    /// How many tokens of a text are a sequence at most; without it, [`crate::DEFAULT_CHUNK_TOKENS`] or the
    /// context, whichever is smaller.
    pub chunk_tokens: Option<usize>,
    /// Whether texts are joined into windows of so many tokens, rather than each being a sequence of its own.
    pub pack: bool,
}

impl TextInput {
    /// These files and folders, with the defaults of every option.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            paths: paths.into_iter().collect(),
            column: DEFAULT_COLUMN.to_owned(),
            whole_files: false,
            chunk_tokens: None,
            pack: false,
        }
    }

    /// The same with the files of data sets on the hub in place of their names, downloaded if they are not in the cache.
    ///
    /// # Errors
    /// [`CaptureError`] if the hub does not give them.
    pub(crate) fn brought(self, observer: &dyn Observer) -> Result<Self, CaptureError> {
        let mut paths = Vec::new();
        for path in self.paths {
            match on_hub(&path) {
                Some(name) => paths.extend(onejump_fetch::dataset(name, observer)?),
                None => paths.push(path),
            }
        }
        Ok(Self { paths, ..self })
    }

    /// What the input is called: the names of the files and folders, without theirs, and of data sets.
    pub(crate) fn name(&self) -> String {
        let file = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = |path: &PathBuf| on_hub(path).map_or_else(|| file(path), str::to_owned);
        self.paths.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    /// Every text, in the order of the paths; the files of a folder by their paths. A table's row without a text is
    /// an empty one. `chat` makes texts of conversations.
    ///
    /// # Errors
    /// [`CaptureError`] if a path has no such file. Other errors come where the texts are read. `read` counts the bytes.
    pub(crate) fn texts(
        &self,
        chat: &Chat,
        read: &Arc<AtomicU64>,
    ) -> Result<impl Iterator<Item = Result<Text, CaptureError>>, CaptureError> {
        let (chat, read) = (chat.clone(), Arc::clone(read));
        Ok(self.files()?.into_iter().flat_map(move |file| match self.texts_of(file, &chat, &read) {
            Ok(texts) => texts,
            Err(error) => Box::new(std::iter::once(Err(error))),
        }))
    }

    /// The files in that order.
    pub(crate) fn files(&self) -> Result<Vec<TextFile>, CaptureError> {
        files::find(&self.paths)
    }

    fn texts_of(&self, file: TextFile, chat: &Chat, read: &Arc<AtomicU64>) -> Result<Texts, CaptureError> {
        let column = &self.column;
        Ok(match file.format {
            Format::Text if self.whole_files => Box::new(std::iter::once(lines::whole(&file, read))),
            Format::Text => Box::new(lines::Lines::open(&file, read)?),
            Format::JsonLines => {
                Box::new(json::texts(lines::Lines::open(&file, read)?, column.clone(), chat.clone()))
            }
            Format::Parquet => Box::new(table::texts(file.path, column, chat.clone(), read)?),
        })
    }
}

/// The lines of a file of text, which lies at `place` and is called `path`; `read` counts its bytes.
///
/// # Errors
/// [`CaptureError`] if it cannot be read, or is no text of UTF-8.
pub(crate) fn lines(
    path: &Path,
    place: &Path,
    read: &Arc<AtomicU64>,
) -> Result<impl Iterator<Item = Result<Text, CaptureError>>, CaptureError> {
    lines::Lines::at(path, TextFile::plain(place).reader(read)?)
}

/// The name of a data set on the hub, if a path is none.
fn on_hub(path: &Path) -> Option<&str> {
    // A mistyped path of a file is not asked for on the hub.
    let file = TextFile::of(path).is_some() && !path.to_string_lossy().contains(':');
    path.to_str().filter(|name| !file && !path.exists() && onejump_fetch::is_dataset(name))
}

type Texts = Box<dyn Iterator<Item = Result<Text, CaptureError>>>;
