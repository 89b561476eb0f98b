//! The report of a run: the paper's Figures 2 to 4 for your model, whether the paper's claims hold for
//! it, and the tables behind them.
//!
//! | task | where |
//! |---|---|
//! | write `figures/*.svg` and `report.html` of a run's folder | [`report()`] |
//! | read the results of a run | [`run::Run`] |
//! | sort the methods by solver and rank | [`setting::Setting`] |
//! | judge a claim of the paper | [`claims::Claim`] |
//! | say in words what the numbers show | [`findings`] |
//! | what comes after the paper | [`beyond::sections()`] |
//! | draw a figure | [`mod@figures`] |
//! | make the page, or the table for a terminal | [`html`], [`terminal`] |
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
pub mod averages;
pub mod beyond;
pub mod claims;
mod error;
pub mod figures;
pub mod findings;
pub mod headlines;
pub mod html;
pub mod interval;
pub mod page;
mod paper;
pub mod run;
#[cfg(test)]
#[path = "../sample/mod.rs"]
mod sample;
pub mod section;
pub mod setting;
pub mod terminal;
pub mod versus;
pub mod words;

pub use error::ReportError;

// The invented run is shared with an example, to which this crate is another one.
#[cfg(test)]
extern crate self as onejump_report;

use figures::figure::Figure;
use run::Run;
use setting::Setting;

/// The paper's figures of a run, setting by setting.
pub fn figures(run: &Run) -> Vec<Figure> {
    Setting::all(run).iter().flat_map(figures::figures).collect()
}

/// Writes the figures and the page of `run` into its folder; returns the files, the page last.
///
/// # Errors
/// [`ReportError`] if a file cannot be written.
pub fn report(run: &Run, folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let layout = RunLayout::new(folder);
    let _locks = (lock::file(&layout.report())?, lock::folder(&layout.figures())?);
    let drawn = figures(run);
    let sections = beyond::sections(run);
    let page = html::html(run, &drawn, &sections)?;
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
