//! What comes after the paper's own comparisons: intervals, transfer between levels, more ranks and more
//! jumps, dynamic exit, sensitivity. One section each, of those that the run has tables for.

mod certainty;
mod exit;
mod jumps;
mod sensitivity;
mod transfer;

use std::path::Path;

use onejump_store::StoreError;
use onejump_store::analyses::{Difference, Exit, FileAverage, Jump, Regret, Subset, Transfer, read_rows};
use serde::Serialize;

use crate::figures::Figure;
use crate::words::{number, percent};

/// The tables of `onejump-evaluate --analyses`; empty where an analysis was not run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Beyond {
    /// `averages.parquet`.
    pub averages: Vec<FileAverage>,
    /// `differences.parquet`.
    pub differences: Vec<Difference>,
    /// `transfer.parquet`.
    pub transfer: Vec<Transfer>,
    /// `jumps.parquet`.
    pub jumps: Vec<Jump>,
    /// `regret.parquet`.
    pub regret: Vec<Regret>,
    /// `subsets.parquet`.
    pub subsets: Vec<Subset>,
    /// `exit.parquet`.
    pub exit: Vec<Exit>,
}

impl Beyond {
    /// Reads the tables that are in the folder of the results.
    ///
    /// # Errors
    /// [`StoreError`] if a file is there but not such a table.
    pub fn read(results: &Path) -> Result<Self, StoreError> {
        let path = |name: &str| results.join(format!("{name}.parquet"));
        Ok(Self {
            averages: read_rows(&path("averages"))?.unwrap_or_default(),
            differences: read_rows(&path("differences"))?.unwrap_or_default(),
            transfer: read_rows(&path("transfer"))?.unwrap_or_default(),
            jumps: read_rows(&path("jumps"))?.unwrap_or_default(),
            regret: read_rows(&path("regret"))?.unwrap_or_default(),
            subsets: read_rows(&path("subsets"))?.unwrap_or_default(),
            exit: read_rows(&path("exit"))?.unwrap_or_default(),
        })
    }

    /// The sections, in the order in which a reader asks; `constant` is the baseline's precision.
    pub fn sections(&self, constant: Option<f64>) -> Vec<Section> {
        [
            certainty::section(self),
            transfer::section(self),
            jumps::section(self),
            exit::section(self, constant),
            sensitivity::section(self),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Solver and rank of the sets of jumps, by rank.
    fn sets(&self) -> Vec<(&str, u32)> {
        let mut sets: Vec<(&str, u32)> = Vec::new();
        for row in &self.jumps {
            let set = (row.solver.as_str(), row.rank);
            if !sets.contains(&set) {
                sets.push(set);
            }
        }
        sets.sort_by_key(|&(_, rank)| rank);
        sets
    }
}

/// A section of the page.
#[derive(Debug)]
pub struct Section {
    /// Its anchor.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What the numbers say.
    pub paragraphs: Vec<String>,
    /// Its figures.
    pub figures: Vec<Figure>,
    /// Its tables.
    pub tables: Vec<Table>,
}

/// A table; the first cell of a row is its heading.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// What it shows.
    pub caption: String,
    /// The headings of its columns.
    pub head: Vec<String>,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
    /// Whether it is folded away at first.
    pub folded: bool,
}

impl Table {
    fn new(caption: impl Into<String>, head: &[&str], rows: Vec<Vec<String>>) -> Self {
        let head = head.iter().map(|heading| (*heading).to_owned()).collect();
        Self { caption: caption.into(), head, rows, folded: false }
    }
}

/// "20.6% (19.8–21.4)".
fn share(value: f64, low: f64, high: f64) -> String {
    let end = |value: f64| number(100.0 * value, 1, "");
    format!("{} ({} to {})", percent(value), end(low), end(high))
}

/// "5.44 (5.36 to 5.52)".
fn plain(value: f64, low: f64, high: f64) -> String {
    format!("{} ({} to {})", number(value, 2, ""), number(low, 2, ""), number(high, 2, ""))
}

/// "rank 5, closed form".
fn setting(solver: &str, rank: u32) -> String {
    let solver = solver.parse().map_or(solver.to_owned(), |solver| crate::words::solver(solver).to_owned());
    format!("rank {rank}, {solver}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_read_well() {
        assert_eq!(share(0.206, 0.198, 0.2141), "20.6% (19.8 to 21.4)");
        assert_eq!(plain(-0.5, -0.7, 0.1), "−0.50 (−0.70 to 0.10)");
        assert_eq!(setting("closed-form", 5), "rank 5, closed form");
    }

    #[test]
    fn a_run_without_analyses_has_no_further_sections() {
        assert!(Beyond::default().sections(Some(0.1)).is_empty());
    }
}
