//! What can keep a report from being written.

use std::path::{Path, PathBuf};

use onejump_core::files::FileError;
use onejump_store::StoreError;

/// A report that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The run was not evaluated yet: this file is missing.
    #[error(
        "{} is missing; run onejump-evaluate --out {} first",
        .0.display(),
        .0.parent().unwrap_or(Path::new("results")).display()
    )]
    NotEvaluated(PathBuf),
    /// The run's folder does not exist.
    #[error("{} is no folder; --run takes the folder of a run, for instance data/runs/NAME", .0.display())]
    NoRun(PathBuf),
    /// The results are readable but contradict each other.
    #[error("{} {reason}; run onejump-evaluate again", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The card of drafts is of another model than the run.
    #[error("{} was measured of another model than this run's; measure it again with onejump-generate tune, or remove it", .0.display())]
    OtherDrafting(PathBuf),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// `per_level.parquet` is not the table that it should be.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The template of `report.html` does not fit the values, which is a mistake in this crate.
    #[error("report.html cannot be rendered: {0}")]
    Template(#[from] minijinja::Error),
}
