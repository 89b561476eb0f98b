//! What can be wrong with our Parquet files and the folders that hold them.

use std::path::{Path, PathBuf};

use onejump_core::files::FileError;
use onejump_core::levels::Levels;
use onejump_core::manifest::Difference;
use onejump_core::observe::Stopped;
use onejump_core::shard::Shard;

use crate::dtype::StoreDtype;

/// A Parquet file or a folder of them that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system, or the manifest.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not Parquet, is cut short, or cannot be encoded.
    #[error("{}: {source}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The library's reason.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// The columns do not decode to what the schema says.
    #[error("{}: {source}", path.display())]
    Arrow {
        /// The file.
        path: PathBuf,
        /// The library's reason.
        #[source]
        source: arrow::error::ArrowError,
    },
    /// The caller asked to stop.
    #[error("{0}")]
    Stopped(#[from] Stopped),
    /// There is no such folder.
    #[error("{}: is not a folder of hidden states; onejump-capture --out makes one", dir.display())]
    NoFolder {
        /// The folder.
        dir: PathBuf,
    },
    /// The capture of a folder is not finished.
    #[error(
        "{}: has {parts} of {total} parts; run onejump-capture again with the same arguments, it goes on",
        dir.display()
    )]
    Incomplete {
        /// The folder.
        dir: PathBuf,
        /// How many parts there are.
        parts: usize,
        /// How many parts there should be.
        total: usize,
    },
    /// The folder is a shard's, and the whole is wanted.
    #[error("{}: is shard {shard} of a capture; join it with the others: onejump-store merge OUT SHARD...", dir.display())]
    Shard {
        /// The folder.
        dir: PathBuf,
        /// The shard.
        shard: Shard,
    },
    /// There is nothing to join.
    #[error("{}: holds no shard; onejump-capture --shard i/n makes them, or name those that lie elsewhere", dir.display())]
    NoShards {
        /// The folder.
        dir: PathBuf,
    },
    /// Two shards are not of one capture.
    #[error(
        "{} and {} are of different captures ({} {} there, {} here); capture them with the same options on devices of \
         one kind",
        one.display(), other.display(), difference.field, difference.one, difference.other
    )]
    OtherShard {
        /// A shard, or the folder of the whole.
        one: PathBuf,
        /// The shard that differs.
        other: PathBuf,
        /// In what.
        difference: Box<Difference>,
    },
    /// A shard lacks parts.
    #[error(
        "{}: has {parts} of its {expected} parts; run onejump-capture with --shard {shard} again, it goes on",
        dir.display()
    )]
    UnfinishedShard {
        /// Its folder.
        dir: PathBuf,
        /// How many parts there are.
        parts: usize,
        /// How many there should be.
        expected: usize,
        /// The shard.
        shard: Shard,
    },
    /// What a shard of a stage's work came to cannot be joined.
    #[error("{} {what}; run {program} for shard {shard} again, with the same files", path.display())]
    Partial {
        /// The shard's file.
        path: PathBuf,
        /// Why.
        what: String,
        /// The program that makes it.
        program: String,
        /// The shard.
        shard: Shard,
    },
    /// Shards do not make a whole.
    #[error("{part} is in none of the folders{}", missing(shards))]
    MissingShards {
        /// The first part that is missing.
        part: String,
        /// The shards that have what is missing, if all are of one division.
        shards: Vec<Shard>,
    },
    /// Two folders have different files as the same part.
    #[error(
        "{file} is not the same file in {} and {}: machines of different kinds, or different software; capture one of \
         the two again",
        one.display(), other.display()
    )]
    PartsDiffer {
        /// The part.
        file: String,
        /// A folder.
        one: PathBuf,
        /// Another.
        other: PathBuf,
    },
    /// A part is not the file that the manifest lists.
    #[error("{}: {fault}; onejump-capture with the same arguments mends it", path.display())]
    Part {
        /// The part.
        path: PathBuf,
        /// In which way it differs.
        fault: PartFault,
    },
    /// A part does not have as many rows as the manifest says.
    #[error("{}: has {found} rows, its manifest says {expected}", path.display())]
    Rows {
        /// The part.
        path: PathBuf,
        /// Rows in the part.
        found: usize,
        /// Rows in the manifest.
        expected: usize,
    },
    /// The model has no such level.
    #[error("{}: has levels 0 to {blocks}; there is no level {level}", dir.display())]
    NoLevel {
        /// The folder.
        dir: PathBuf,
        /// The level that was asked for.
        level: usize,
        /// K, the last level.
        blocks: usize,
    },
    /// The folder was captured with the states of other levels.
    #[error(
        "{}: has the states of levels {stored} alone, and {missing} are needed here; run onejump-capture into another folder without \
         --levels, or with these too",
        dir.display()
    )]
    MissingLevels {
        /// The folder.
        dir: PathBuf,
        /// The levels that it has.
        stored: Levels,
        /// Those that it would need beside.
        missing: Levels,
    },
    /// The states have another width than the model's.
    #[error("{}: column '{column}' has {found} values a row, expected H = {expected}", path.display())]
    HiddenSize {
        /// The part.
        path: PathBuf,
        /// The level's column.
        column: String,
        /// Values in a row.
        found: usize,
        /// H.
        expected: usize,
    },
    /// A state is NaN or infinite.
    #[error(
        "{}: column '{column}' is {value} in row {row}; the model overflowed, or the file is damaged",
        path.display()
    )]
    NotFinite {
        /// The part.
        path: PathBuf,
        /// The level's column.
        column: String,
        /// The row in the part.
        row: usize,
        /// The value.
        value: f32,
    },
    /// A state is too large for the type that it should be stored in.
    #[error("{}: column '{column}': {value} does not fit into {dtype}; use --store-dtype {}", path.display(), wider(*dtype))]
    TooLarge {
        /// The part.
        path: PathBuf,
        /// The level's column.
        column: String,
        /// The value.
        value: f32,
        /// The type.
        dtype: StoreDtype,
    },
    /// A folder that was checked has problems, which are listed elsewhere.
    #[error("{}: {count} problem{}", dir.display(), if *count == 1 { "" } else { "s" })]
    Problems {
        /// The folder.
        dir: PathBuf,
        /// How many.
        count: usize,
    },
    /// Parquet, but not the table that is expected.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
}

/// In which way a part differs from the manifest's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PartFault {
    /// The file does not exist.
    #[error("is missing, though the manifest lists it")]
    Missing,
    /// The file has another size.
    #[error("has {found} bytes, its manifest says {expected}")]
    Size {
        /// Bytes of the file.
        found: u64,
        /// Bytes in the manifest.
        expected: u64,
    },
    /// The file has the right size and other content.
    #[error("is damaged, or of another run: its SHA-256 is not the manifest's")]
    Hash,
}

impl StoreError {
    /// The error about a file that is not the table expected here.
    pub(crate) fn content(path: &Path, reason: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), reason: reason.into() }
    }

    /// Makes the error about a file that the Parquet library refuses.
    pub(crate) fn parquet(path: &Path) -> impl Fn(parquet::errors::ParquetError) -> Self {
        let path = path.to_owned();
        move |source| Self::Parquet { path: path.clone(), source }
    }

    /// Makes the error about columns that the Arrow library refuses.
    pub(crate) fn arrow(path: &Path) -> impl Fn(arrow::error::ArrowError) -> Self {
        let path = path.to_owned();
        move |source| Self::Arrow { path: path.clone(), source }
    }
}

/// What is missing, in words.
fn missing(shards: &[Shard]) -> String {
    let names: Vec<_> = shards.iter().map(Shard::to_string).collect();
    match names.len() {
        0 => String::new(),
        1 => format!(": shard {} is missing", names[0]),
        _ => format!(": shards {} are missing", names.join(", ")),
    }
}

/// Types that have room for larger values.
fn wider(dtype: StoreDtype) -> &'static str {
    if dtype == StoreDtype::F16 { "bf16 (as many bytes) or f32" } else { "f32" }
}
