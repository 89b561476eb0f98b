//! The report of a run: the paper's Figures 2 to 4 for your model, whether the paper's claims hold for
//! it, and the tables behind them.
//!
//! | task | where |
//! |---|---|
//! | write `figures/*.svg` and `report.html` of a run's folder | [`report()`] |
//! | read the results of a run | [`run::Run`] |
//! | the short table on a terminal | [`terminal`] |
//! | sort the methods by solver and rank | `setting.rs` |
//! | judge a claim of the paper | `claims.rs` |
//! | say in words what the numbers show | `headlines.rs`, `findings.rs` |
//! | what comes after the paper | `beyond/` |
//! | draw a figure | `figures/` |
//! | make the page | `page.rs`, `templates/report.html` |
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
mod claims;
mod error;
mod figures;
mod findings;
mod headlines;
mod interval;
mod page;
mod paper;
pub mod run;
#[cfg(test)]
#[path = "../sample/mod.rs"]
mod sample;
mod section;
mod setting;
pub mod terminal;
mod versus;
mod words;

pub use error::ReportError;

// The invented run is shared with an example, to which this crate is another one.
#[cfg(test)]
extern crate self as onejump_report;

use run::Run;

/// Writes the figures and the page of `run` into its folder; returns the files, the page last.
///
/// # Errors
/// [`ReportError`] if a file cannot be written.
pub fn report(run: &Run, folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let layout = RunLayout::new(folder);
    let _locks = (lock::file(&layout.report())?, lock::folder(&layout.figures())?);
    let drawn = figures::figures(run);
    let sections = beyond::sections(run);
    let page = page::html(run, &drawn, &sections)?;
    let mut written = Vec::new();
    for figure in drawn.iter().chain(sections.iter().flat_map(|section| &section.figures)) {
        let path = layout.figures().join(format!("{}.svg", figure.stem));
        files::write_bytes(&path, figure.standalone(&run.summary.model).as_bytes())?;
        written.push(path);
    }
    files::write_bytes(&layout.report(), page.as_bytes())?;
    written.push(layout.report());
    Ok(written)
}
