//! The results of one run, read from its folder and checked against each other.

use std::io::ErrorKind;
use std::path::Path;

use onejump_core::drafting::Card;
use onejump_core::files::{self, FileError};
use onejump_core::layout::RunLayout;
use onejump_core::results::{Average, Summary};
use onejump_store::tables::{self, PerLevel};

use crate::analyses::Analyses;
use crate::error::ReportError;

/// What an evaluation found, and under which experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// `results/summary.json`.
    pub summary: Summary,
    /// `results/per_level.parquet`.
    pub levels: Vec<PerLevel>,
    /// The tables of further analyses, where they were run.
    pub analyses: Analyses,
    /// `results/drafting.json`, where it was measured.
    pub drafting: Option<Card>,
    /// The text of `run.toml`, where there is one.
    pub config: Option<String>,
}

impl Run {
    /// Reads the results of the run in the folder `dir`.
    ///
    /// # Errors
    /// [`ReportError`] if the run was not evaluated, or a file is not what it should be.
    pub fn read(dir: &Path) -> Result<Self, ReportError> {
        if !dir.is_dir() {
            return Err(ReportError::NoRun(dir.to_owned()));
        }
        let layout = RunLayout::new(dir);
        for path in [layout.summary(), layout.per_level()] {
            if !path.exists() {
                return Err(ReportError::NotEvaluated(path));
            }
        }
        let summary: Summary = files::read_json(&layout.summary())?;
        let run = Self {
            drafting: read_drafting(&layout, &summary)?,
            summary,
            levels: tables::read_per_level(&layout.per_level())?,
            analyses: Analyses::read(&layout.results())?,
            config: read_optional(&layout.config())?,
        };
        match run.contradiction() {
            Some(reason) => Err(ReportError::Content { path: layout.per_level(), reason }),
            None => Ok(run),
        }
    }

    /// The first way in which the table and the summary do not fit together.
    fn contradiction(&self) -> Option<String> {
        let blocks = self.summary.blocks;
        if let Some(row) = self.levels.iter().find(|row| row.level >= blocks) {
            let (level, last) = (row.level, blocks.saturating_sub(1));
            return Some(format!(
                "has level {level}, but the model of summary.json has the exit levels 0 to {last}"
            ));
        }
        let has_row = |average: &&Average| self.levels.iter().any(|row| row.method == average.method);
        let absent = self.summary.averages.iter().find(|average| !has_row(average))?;
        let method = &absent.method;
        let rank = method.rank.map(|rank| format!(" of rank {rank}")).unwrap_or_default();
        Some(format!("has no row of {}{rank}, which summary.json averages", method.name))
    }
}

/// What was measured of drafts, where it was: of the model that was evaluated.
fn read_drafting(layout: &RunLayout, summary: &Summary) -> Result<Option<Card>, ReportError> {
    let path = layout.drafting();
    if !path.exists() {
        return Ok(None);
    }
    let card = Card::read(&path)?;
    // Older results have no checksum; their levels say something.
    let other = summary.model_sha256.as_ref().is_some_and(|sha256| *sha256 != card.model_sha256);
    if other || card.readings.iter().any(|reading| reading.level >= summary.blocks) {
        return Err(ReportError::OtherDrafting(path));
    }
    Ok(Some(card))
}

fn read_optional(path: &Path) -> Result<Option<String>, ReportError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::reading(path)(error).into()),
    }
}

#[cfg(test)]
mod tests {
    use onejump_core::shortcut::ShortcutKind;

    use super::*;
    use crate::sample;

    #[test]
    fn a_run_that_was_not_evaluated_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let error = Run::read(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("first") && error.contains("results/summary.json is missing"), "{error}");
        let error = Run::read(&folder.path().join("nowhere")).unwrap_err().to_string();
        assert!(error.contains("is no folder"), "{error}");
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        sample::write(folder.path(), 12, &[5]).unwrap();
        let (read, written) = (Run::read(folder.path()).unwrap(), sample::analyses(12, &[5]));
        assert_eq!((read.levels, read.analyses.exit), (sample::run(12, &[5]).levels, written.exit));
    }

    #[test]
    fn drafts_of_another_model_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        sample::write(folder.path(), 12, &[5]).unwrap();
        let read = Run::read(folder.path()).unwrap().drafting.map(|card| card.readings.len());
        assert_eq!(read, Some(sample::drafting(12).readings.len()));
        let other = Card { model_sha256: "1".repeat(64), ..sample::drafting(12) };
        for other in [sample::drafting(30), other] {
            other.write(&RunLayout::new(folder.path()).drafting()).unwrap();
            let error = Run::read(folder.path()).unwrap_err().to_string();
            assert!(error.contains("drafting.json was measured of another model"), "{error}");
        }
    }

    #[test]
    fn a_wrong_table_names_the_column() {
        let folder = tempfile::tempdir().unwrap();
        let layout = RunLayout::new(folder.path());
        files::write_json(&layout.summary(), &sample::run(12, &[5]).summary).unwrap();
        tables::write_scores(&layout.per_level(), &[]).unwrap();
        let error = Run::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("'method'"), "{error}");
    }

    #[test]
    fn results_of_two_evaluations_do_not_mix() {
        let mut run = sample::run(12, &[5]);
        assert_eq!(run.contradiction(), None);
        run.levels.retain(|row| !row.method.is(ShortcutKind::Ojfa));
        assert!(run.contradiction().unwrap().contains("no row of ojfa of rank 5"));
        run.summary.blocks = 6;
        assert!(run.contradiction().unwrap().contains("has level 6"));
    }
}
