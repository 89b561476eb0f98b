//! The report of a run: the paper's Figures 2 to 4 for your model, whether the paper's claims hold for
//! it, and the tables behind them.
//!
//! | task | where |
//! |---|---|
//! | write `figures/*.svg`, `tables.*` and `report.html` of a run's folder | [`report()`] |
//! | read the results of a run | [`run::Run`] |
//! | the short table on a terminal | [`terminal`] |
//! | sort the methods by solver and rank; judge the paper's claims | `setting.rs`; `claims.rs` |
//! | say what the figures do not show | `sentences.rs`, `choice.rs` |
//! | what comes after the paper | `beyond/` |
//! | draw a figure | `figures/` |
//! | make a table, for the page and for a paper | `table.rs`, `escape.rs`, `templates/tables.*` |
//! | make the page; what its switches show | `page.rs`, `templates/`; `shown.rs` |
//! | look at it without a model | `cargo run -p onejump-report --example invented -- DIR` |
//!
//! ```no_run
//! use std::path::Path;
//!
//! use onejump_report::report;
//! use onejump_report::run::Run;
//!
//! let folder = Path::new("data/runs/base");
//! for path in report(&Run::read(folder)?, folder)? {
//!     println!("wrote {}", path.display());
//! }
//! # Ok::<(), onejump_report::ReportError>(())
//! ```
//!
//! This crate knows nothing of torch, of hidden states, or of any model; it reads results and nothing
//! else, and the same results give the same bytes.

use std::path::{Path, PathBuf};

use onejump_core::layout::RunLayout;
use onejump_core::{files, lock};

pub mod analyses;
mod averages;
mod beyond;
mod choice;
mod claims;
mod error;
mod escape;
mod figures;
mod interval;
mod page;
mod paper;
pub mod run;
#[cfg(test)]
#[path = "../sample/mod.rs"]
mod sample;
mod sentences;
mod setting;
mod shown;
mod table;
pub mod terminal;
mod words;

pub use error::ReportError;

// The invented run is shared with an example, to which this crate is another one.
#[cfg(test)]
extern crate self as onejump_report;

use run::Run;

/// Writes the figures, the tables and the page of `run` into its folder; returns the files, the page last.
///
/// # Errors
/// [`ReportError`] if a file cannot be written.
pub fn report(run: &Run, folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let layout = RunLayout::new(folder);
    let _locks = (lock::file(&layout.report())?, lock::folder(&layout.figures())?);
    let drawn = figures::figures(run);
    let sections = beyond::sections(run);
    let page = page::html(run, &sections)?;
    let mut written = Vec::new();
    let further = sections.iter().flat_map(|section| &section.figures).map(|figure| &figure.what);
    for figure in drawn.iter().chain(further) {
        let path = layout.figures().join(format!("{}.svg", figure.stem));
        files::write_bytes(&path, figure.standalone(&run.summary.model).as_bytes())?;
        written.push(path);
    }
    for ending in ["md", "tex"] {
        let tables = page::tables(run, &format!("tables.{ending}"))?;
        files::write_bytes(&layout.tables(ending), tables.as_bytes())?;
        written.push(layout.tables(ending));
    }
    files::write_bytes(&layout.report(), page.as_bytes())?;
    written.push(layout.report());
    Ok(written)
}
