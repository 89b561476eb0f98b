//! An input that is read more than once, some texts at a time: no more of it is in memory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use onejump_core::files::FileError;
use tempfile::NamedTempFile;
use tokenizers::Tokenizer;

use crate::CaptureError;
use crate::chunks;
use crate::pack::{self, Packing};
use crate::samples::{self, Made, Start};
use crate::sampling::Sampling;
use crate::texts::{Chat, Text, TextInput};

/// Texts that are read and tokenised together, at most: enough for every thread to have some.
pub(crate) const BATCH_TEXTS: usize = 1024;

/// The same in bytes, after which no further text is added.
const BATCH_BYTES: usize = 4 << 20;

/// What the sequences are made of, and how.
pub(crate) struct Source {
    kind: Kind,
    sampling: Sampling,
    /// How many bytes were read of all files.
    read: Arc<AtomicU64>,
}

/// What a text of the input is.
enum Kind {
    /// A sentence, which is cut off where it is longer than the context.
    Sentences(Lines, Box<Tokenizer>),
    /// A line of JSON with exact ids.
    Samples(Lines),
    /// A text of any length, which is cut into chunks of so many tokens at most.
    Texts { input: TextInput, chat: Chat, tokenizer: Box<Tokenizer>, chunk_tokens: usize },
}

/// A file of lines that can be read again, also where it was a pipe.
struct Lines {
    path: PathBuf,
    /// What came through the pipe.
    copy: Option<NamedTempFile>,
}

impl Source {
    /// One sentence a line.
    ///
    /// # Errors
    /// [`CaptureError`] if there is no such file.
    pub fn sentences(path: &Path, tokenizer: Tokenizer, sampling: Sampling) -> Result<Self, CaptureError> {
        Ok(Self::of(Kind::Sentences(Lines::new(path)?, Box::new(tokenizer)), sampling))
    }

    /// Lines of JSON; of `sampling` only the limits of the model and of the input count.
    ///
    /// # Errors
    /// As [`Self::sentences`].
    pub fn samples(path: &Path, sampling: Sampling) -> Result<Self, CaptureError> {
        Ok(Self::of(Kind::Samples(Lines::new(path)?), sampling))
    }

    /// Texts of any length.
    ///
    /// # Errors
    /// [`CaptureError::ChunkTokens`] if chunks are longer than the context.
    pub fn texts(
        input: TextInput,
        chat: Chat,
        tokenizer: Tokenizer,
        sampling: Sampling,
    ) -> Result<Self, CaptureError> {
        let chunk_tokens = chunks::chunk_tokens(&input, sampling.context)?;
        Ok(Self::of(Kind::Texts { input, chat, tokenizer: Box::new(tokenizer), chunk_tokens }, sampling))
    }

    fn of(kind: Kind, sampling: Sampling) -> Self {
        Self { kind, sampling, read: Arc::default() }
    }

    /// The input, as messages name it.
    pub fn path(&self) -> PathBuf {
        match &self.kind {
            Kind::Sentences(lines, _) | Kind::Samples(lines) => lines.path.clone(),
            Kind::Texts { input, .. } => input.name().into(),
        }
    }

    /// Whether the hash of the input is that of its lines, rather than that of its texts one after another.
    pub fn is_lines(&self) -> bool {
        !matches!(self.kind, Kind::Texts { .. })
    }

    /// The bytes of all files.
    ///
    /// # Errors
    /// [`CaptureError`] if one is not there.
    pub fn bytes(&self) -> Result<u64, CaptureError> {
        match &self.kind {
            Kind::Sentences(lines, _) | Kind::Samples(lines) => Ok(size(lines.place())?),
            Kind::Texts { input, .. } => input.files()?.iter().map(|file| Ok(size(&file.path)?)).sum(),
        }
    }

    /// How many bytes were read so far, of all passes.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Batches of the texts that are used, from the first on. Every pass has the same.
    ///
    /// # Errors
    /// [`CaptureError`] if a file is not there. Other errors come where the texts are read.
    pub fn batches(&self) -> Result<impl Iterator<Item = Result<Vec<Text>, CaptureError>>, CaptureError> {
        let texts: Box<dyn Iterator<Item = _>> = match &self.kind {
            Kind::Sentences(lines, _) | Kind::Samples(lines) => {
                Box::new(crate::texts::lines(&lines.path, lines.place(), &self.read)?)
            }
            Kind::Texts { input, chat, .. } => Box::new(input.texts(chat, &self.read)?),
        };
        let mut texts = texts.take(self.sampling.limit.unwrap_or(usize::MAX));
        Ok(std::iter::from_fn(move || {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while batch.len() < BATCH_TEXTS && bytes < BATCH_BYTES {
                match texts.next() {
                    Some(Ok(text)) => {
                        let text: Text = text;
                        bytes += text.text.len();
                        batch.push(text);
                    }
                    Some(Err(error)) => return Some(Err(error)),
                    None => break,
                }
            }
            (!batch.is_empty()).then_some(Ok(batch))
        }))
    }

    /// The sequences of a batch of texts, tokenised on several threads.
    ///
    /// # Errors
    /// [`CaptureError`] with the place of a text that is not what it should be, or has a token that the model does not have.
    pub fn sequences(&self, batch: &[Text], start: Start) -> Result<Made, CaptureError> {
        match &self.kind {
            Kind::Sentences(_, tokenizer) => samples::of_sentences(batch, tokenizer, &self.sampling, start),
            Kind::Samples(_) => samples::of_json_lines(batch, &self.sampling, start),
            Kind::Texts { input, tokenizer, chunk_tokens, .. } if input.pack => {
                let packing = Packing { window: *chunk_tokens, end: self.sampling.eos_id };
                pack::of_texts(batch, tokenizer, &self.sampling, packing, start)
            }
            Kind::Texts { tokenizer, chunk_tokens, .. } => {
                chunks::of_texts(batch, tokenizer, &self.sampling, *chunk_tokens, start)
            }
        }
    }
}

impl Lines {
    fn new(path: &Path) -> Result<Self, CaptureError> {
        let metadata = fs::metadata(path).map_err(FileError::reading(path))?;
        let copy = if metadata.is_file() || metadata.is_dir() { None } else { Some(copied(path)?) };
        Ok(Self { path: path.to_owned(), copy })
    }

    /// Where the bytes are.
    fn place(&self) -> &Path {
        self.copy.as_ref().map_or(&self.path, |copy| copy.path())
    }
}

/// What comes through a pipe, which nobody can read twice.
fn copied(path: &Path) -> Result<NamedTempFile, FileError> {
    let mut pipe = fs::File::open(path).map_err(FileError::reading(path))?;
    let folder = std::env::temp_dir();
    let mut copy = NamedTempFile::new_in(&folder).map_err(FileError::writing(&folder))?;
    io::copy(&mut pipe, &mut copy).map_err(FileError::writing(copy.path()))?;
    Ok(copy)
}

fn size(path: &Path) -> Result<u64, FileError> {
    Ok(fs::metadata(path).map_err(FileError::reading(path))?.len())
}
