//! Which differences between methods are certain.

use onejump_core::shortcut::{ShortcutKind, Solver};
use onejump_store::analyses::{Difference, FileAverage};

use crate::analyses::Analyses;
use crate::interval::{Interval, Measured};
use crate::section::Section;
use crate::shown::Shown;
use crate::table::Table;
use crate::words::{self, setting};

const EXPLAINED: &str = "An interval covers 95% of 1,000 resamples of the test sentences (a bootstrap). A difference is \
                         certain if its interval does not contain 0.";

/// Averages with intervals, and the paired differences of the single shortcuts from the others.
pub fn section(analyses: &Analyses) -> Option<Section> {
    // The sweep's ranks are in the figure of the frontier.
    let ranks: Vec<u32> = analyses.regret.iter().map(|row| row.rank).collect();
    let shown = |rank: Option<u32>| rank.is_none_or(|rank| ranks.is_empty() || ranks.contains(&rank));
    let averages: Vec<&FileAverage> =
        analyses.averages.iter().filter(|row| row.label.is_none() && shown(row.rank)).collect();
    let differences: Vec<&Difference> = analyses.differences.iter().filter(|row| shown(row.rank)).collect();
    if averages.is_empty() {
        return None;
    }
    Some(Section {
        id: "certainty",
        open: false,
        title: "Which differences are certain?",
        paragraphs: vec![Shown::always(EXPLAINED.to_owned())],
        figures: Vec::new(),
        tables: vec![Shown::always(average_table(averages)), Shown::always(difference_table(differences))],
    })
}

fn average_table(rows: Vec<&FileAverage>) -> Table {
    Table::new(
        "Averages over the exit levels with 95% intervals, all test samples",
        rows,
        &[
            ("method", &|row: &&FileAverage| name(row.method, row.solver, row.rank)),
            ("parameters", &|row| words::thousands(row.parameters)),
            ("precision@1 ↑", &|row| row.precision().percent()),
            ("surprisal ↓ (nats)", &|row| row.surprisal().plain()),
            ("KL ↓ (nats)", &|row| Interval::new(row.kl, row.kl_low, row.kl_high).plain()),
        ],
    )
}

fn difference_table(rows: Vec<&Difference>) -> Table {
    Table::new(
        "Single shortcuts minus other methods, sample by sample; averages over the exit levels",
        rows,
        &[
            ("difference", &|row: &&Difference| {
                format!("{} minus {}", name(row.method, row.solver, row.rank), row.other)
            }),
            ("precision@1 ↑ (points)", &|row| row.precision().percent()),
            ("surprisal ↓ (nats)", &|row| row.surprisal().plain()),
        ],
    )
}

/// "ojfa, rank 5, closed form".
pub fn name(method: ShortcutKind, solver: Option<Solver>, rank: Option<u32>) -> String {
    match solver.zip(rank) {
        Some((solver, rank)) => format!("{method}, {}", setting(solver, rank as usize)),
        None => method.to_string(),
    }
}
