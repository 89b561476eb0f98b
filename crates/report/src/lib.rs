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
//! | what comes after the paper | [`beyond::Beyond`] |
//! | draw a figure | [`mod@figures`] |
//! | make the page, or the table for a terminal | [`html`], [`terminal`] |
//! | try any of it without a model | [`sample`] |
//!
//! ```
//! use onejump_report::claims::{Claim, Verdict};
//! use onejump_report::sample;
//! use onejump_report::setting::{Samples, Setting};
//!
//! let run = sample::run(30, &[5]); // K = 30 blocks, rank 5; yours comes from `Run::read`.
//! let settings = Setting::all(&run);
//! assert_eq!(settings[0].name(), "rank 5, closed form");
//! // One jump in place of 30 is 30 times fewer parameters, not over 30 times.
//! let verdict = Claim::FewerParameters.verdict(&settings[0], Samples::All, 576, 30);
//! assert_eq!(verdict, Verdict::Fails);
//! ```
//!
//! This crate knows nothing of torch, of hidden states, or of any model; it reads results and nothing
//! else, and the same results give the same bytes.

use std::path::{Path, PathBuf};

use onejump_core::layout::RunLayout;
use onejump_core::{files, lock};

pub mod averages;
pub mod beyond;
pub mod claims;
mod error;
pub mod figures;
pub mod findings;
pub mod headlines;
pub mod html;
pub mod page;
mod paper;
pub mod run;
pub mod sample;
pub mod setting;
pub mod terminal;
pub mod versus;
pub mod words;

pub use error::ReportError;

use figures::Figure;
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
    let sections = run.sections();
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
