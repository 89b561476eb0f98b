//! Files of text: a text a line, or one of all lines.

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use onejump_core::files::FileError;
use onejump_core::sniff::{self, Odd};

use super::files::TextFile;
use super::text::{Place, Text};
use crate::CaptureError;
use crate::text::not_utf8;

/// How a file of UTF-8 may begin; no part of the text.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A text a line.
pub(super) struct Lines {
    reader: Box<dyn BufRead>,
    path: PathBuf,
    /// What the file looks like, if it is not UTF-8.
    odd: Option<Odd>,
    /// Lines that were read.
    read: usize,
    /// Whether nothing can be read any more.
    ended: bool,
}

impl Lines {
    /// Opens a file.
    ///
    /// # Errors
    /// [`CaptureError`] if it cannot be read, or is no text of UTF-8.
    pub fn open(file: &TextFile, read: &Arc<AtomicU64>) -> Result<Self, CaptureError> {
        Self::at(&file.path, file.reader(read)?)
    }

    /// Reads what is called `path`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn at(path: &Path, mut reader: Box<dyn BufRead>) -> Result<Self, CaptureError> {
        let path = path.to_owned();
        let head = reader.fill_buf().map_err(FileError::reading(&path))?;
        let (odd, mark) = (sniff::kind(head), head.starts_with(BYTE_ORDER_MARK));
        // These two would pass as UTF-8. What else has a known beginning may be a text that begins so.
        if let Some(odd @ (Odd::Utf16 | Odd::Utf32 | Odd::LfsPointer)) = odd {
            return Err(Place::File.wrong(&path, odd.to_string()));
        }
        if mark {
            reader.consume(BYTE_ORDER_MARK.len());
        }
        Ok(Self { reader, path, odd, read: 0, ended: false })
    }

    /// A text of these bytes, which stand somewhere.
    fn text(&self, bytes: Vec<u8>, place: Place) -> Result<Text, CaptureError> {
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Text { text, templated: false, path: self.path.clone(), place }),
            Err(error) => Err(match self.odd {
                Some(odd) => Place::File.wrong(&self.path, odd.to_string()),
                None => {
                    let (before, rest) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
                    let before = before.iter().filter(|&&byte| byte == b'\n').count();
                    let line = if let Place::Line(line) = place { line } else { before + 1 };
                    Place::Line(line).wrong(&self.path, not_utf8(rest))
                }
            }),
        }
    }

    fn next_line(&mut self) -> Result<Option<Text>, CaptureError> {
        let mut bytes = Vec::new();
        self.reader.read_until(b'\n', &mut bytes).map_err(FileError::reading(&self.path))?;
        if bytes.is_empty() {
            return Ok(None);
        }
        for ending in [b'\n', b'\r'] {
            if bytes.last() == Some(&ending) {
                bytes.pop();
            } else {
                break;
            }
        }
        self.read += 1;
        self.text(bytes, Place::Line(self.read)).map(Some)
    }
}

impl Iterator for Lines {
    type Item = Result<Text, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_line().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// The file as one text.
///
/// # Errors
/// As [`Lines::open`].
pub(super) fn whole(file: &TextFile, read: &Arc<AtomicU64>) -> Result<Text, CaptureError> {
    let mut lines = Lines::open(file, read)?;
    let mut bytes = Vec::new();
    lines.reader.read_to_end(&mut bytes).map_err(FileError::reading(&file.path))?;
    lines.text(bytes, Place::File)
}
