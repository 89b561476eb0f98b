//! Everything that can end a run.

use std::io;
use std::path::PathBuf;

use onejump_core::files::FileError;
use onejump_core::observe::Stopped;

/// Why no sentences were written.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// The caller asked to stop.
    #[error("{0}")]
    Stopped(#[from] Stopped),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not a dump.
    #[error(
        "{} is not a Wikipedia dump: {found}; expected XML with a <mediawiki> root, plain or .bz2 \
         (a pages-articles file)", path.display()
    )]
    NotADump {
        /// The file.
        path: PathBuf,
        /// What it starts with or holds instead.
        found: String,
    },
    /// The file ends too early.
    #[error(
        "{} is cut short: {found}; download it again, or compare its size with the source's",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What was missing at the end.
        found: String,
    },
    /// Compressed data or XML is damaged in the middle.
    #[error("{} is damaged at byte {position} of the XML: {reason}; download it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Bytes of XML before the damage.
        position: u64,
        /// The decoder's reason.
        reason: String,
    },
    /// The dump does not hold as many sentences as asked for.
    #[error(
        "found {found} usable sentences in {}, {asked} asked; use a larger dump or lower \
         --train/--test", path.display()
    )]
    TooFew {
        /// The dump.
        path: PathBuf,
        /// Different usable sentences in the whole dump.
        found: usize,
        /// Train and test together.
        asked: usize,
    },
    /// Parquet could not be written.
    #[error("cannot write {}: {source}; choose another --out or free some space", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The library's reason.
        #[source]
        source: parquet::errors::ParquetError,
    },
}

impl CorpusError {
    /// Makes the error about a stream that ends too early, or is damaged before its end.
    pub(crate) fn from_io(path: PathBuf, position: u64, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Self::Truncated { path, found: "the compressed data stop in mid-stream".into() };
        }
        Self::Damaged { path, position, reason: error.to_string() }
    }
}
