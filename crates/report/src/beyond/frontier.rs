//! Which shortcut to take: what the parameters buy, which differences are certain, how many jumps.

use onejump_core::shortcut::Solver;
use onejump_store::analyses::{Criterion, Difference, FileAverage, Subset};

use super::sets::Sets;
use crate::analyses::Analyses;
use crate::figures::frontier::figure;
use crate::interval::{Interval, Measured};
use crate::shown::{Section, Shown};
use crate::table::{Column, Table};
use crate::words;

/// Sizes of sets of jumps that the table shows beside the whole set.
const SIZES: [u32; 7] = [1, 2, 3, 4, 5, 10, 20];

/// The frontier, the shortcuts that nothing cheaper is better than, all of them, and the sets of several jumps.
pub fn section(analyses: &Analyses, sets: &Sets) -> Option<Section> {
    let figure = figure(&analyses.averages, &analyses.subsets)?;
    let all: Vec<&FileAverage> = analyses.averages.iter().filter(|row| row.label.is_none()).collect();
    let best = "More precise than everything that has fewer parameters (closed form, unless Adam is named)";
    let whole =
        "All averages over the exit levels, with 95% intervals of 1,000 resamples of the test sentences";
    let mut tables = vec![
        Shown::always(average_table(best, undominated(all.clone()), 4)),
        Shown::always(average_table(whole, all, 5)),
        Shown::always(difference_table(&analyses.differences)),
    ];
    for &set in &sets.sets {
        let mut rows = set.rows(&analyses.subsets);
        rows.retain(|row| row.criterion == Criterion::SignedSquare);
        tables.push(sets.shown(set, subset_table(&set.name(), &rows)));
    }
    Some(Section {
        id: "frontier",
        open: true,
        title: "Which shortcut should I take?",
        paragraphs: Vec::new(),
        figures: vec![Shown::always(figure)],
        tables,
    })
}

/// The files that are more precise than all that have fewer parameters.
fn undominated(mut rows: Vec<&FileAverage>) -> Vec<&FileAverage> {
    // Of equal sizes the most precise comes first, and alone can be kept.
    rows.sort_by(|a, b| a.parameters.cmp(&b.parameters).then(b.precision_1.total_cmp(&a.precision_1)));
    let mut best = f64::NEG_INFINITY;
    rows.retain(|row| {
        let better = row.precision_1 > best;
        best = best.max(row.precision_1);
        better
    });
    rows
}

/// "joint, rank 5", "one-jump, rank 5, Adam".
fn name(method: impl ToString, rank: Option<u32>, solver: Option<Solver>) -> String {
    let rank = rank.map_or(String::new(), |rank| format!(", rank {rank}"));
    let solver = if solver == Some(Solver::Adam) { ", Adam" } else { "" };
    method.to_string() + &rank + solver
}

/// The first of these columns; all of them are too wide beside a figure.
fn average_table(caption: &str, rows: Vec<&FileAverage>, columns: usize) -> Table {
    let all: [Column<&FileAverage>; 5] = [
        ("method", &|row: &&FileAverage| name(row.method, row.rank, row.solver)),
        ("parameters", &|row| words::thousands(row.parameters)),
        ("precision@1 ↑", &|row| row.precision().percent()),
        ("surprisal ↓ (nats)", &|row| row.surprisal().plain()),
        ("KL ↓ (nats)", &|row| Interval::new(row.kl, row.kl_low, row.kl_high).plain()),
    ];
    Table::new(caption, rows, &all[..columns])
}

fn difference_table(rows: &[Difference]) -> Table {
    Table::new(
        "Single shortcuts minus other methods, sample by sample; certain where the interval does not contain 0",
        rows,
        &[
            ("difference", &|row: &&Difference| {
                format!("{} minus {}", name(row.method, row.rank, row.solver), row.other)
            }),
            ("precision@1 ↑ (points)", &|row| row.precision().percent()),
            ("surprisal ↓ (nats)", &|row| row.surprisal().plain()),
        ],
    )
}

fn subset_table(name: &str, subsets: &[&Subset]) -> Table {
    let all = |row: &Subset| row.size as usize == subsets.len();
    let jumps = |row: &Subset| row.jumps.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    Table::new(
        format!("Several jumps, chosen by their signed squares on training samples ({name})"),
        subsets.iter().copied().filter(|row| SIZES.contains(&row.size) || all(row)),
        &[
            ("jumps", &|row: &&Subset| format!("{}{}", row.size, if row.exact { "" } else { " (greedy)" })),
            ("which", &|row| if all(row) { "all".to_owned() } else { jumps(row) }),
            ("parameters", &|row| words::thousands(row.parameters)),
            ("precision@1 ↑", &|row| row.precision().percent()),
            ("surprisal ↓ (nats)", &|row| row.surprisal().plain()),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn only_what_nothing_cheaper_beats_is_recommended() {
        let mut rows = sample::analyses(12, &[5]).averages;
        rows.truncate(4);
        for (row, (parameters, precision)) in rows.iter_mut().zip([(0, 0.1), (50, 0.3), (50, 0.2), (90, 0.3)])
        {
            (row.parameters, row.precision_1) = (parameters, precision);
        }
        let kept = undominated(rows.iter().collect());
        let kept: Vec<(u64, f64)> = kept.iter().map(|row| (row.parameters, row.precision_1)).collect();
        assert_eq!(kept, [(0, 0.1), (50, 0.3)]);
    }
}
