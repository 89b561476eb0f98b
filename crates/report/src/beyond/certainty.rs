//! Which differences between methods are certain.

use onejump_core::shortcut::{ShortcutKind, Solver};
use onejump_store::analyses::{Difference, FileAverage};

use crate::analyses::Analyses;
use crate::interval::{Interval, Measured};
use crate::section::{Section, Table};
use crate::words::{self, list, nats, points, setting};

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
        title: "Which differences are certain?",
        paragraphs: sentences(&differences),
        figures: Vec::new(),
        tables: vec![average_table(averages), difference_table(differences)],
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
    let table = Table::new(
        "Single shortcuts minus other methods, sample by sample; averages over the exit levels",
        rows,
        &[
            ("difference", &|row: &&Difference| {
                format!("{} minus {}", name(row.method, row.solver, row.rank), row.other)
            }),
            ("precision@1 ↑ (points)", &|row| row.precision().percent()),
            ("surprisal ↓ (nats)", &|row| row.surprisal().plain()),
        ],
    );
    Table { folded: true, ..table }
}

/// "ojfa, rank 5, closed form".
fn name(method: ShortcutKind, solver: Option<Solver>, rank: Option<u32>) -> String {
    match solver.zip(rank) {
        Some((solver, rank)) => format!("{method}, {}", setting(solver, rank as usize)),
        None => method.to_string(),
    }
}

/// For every single shortcut, what it is certainly better and worse than.
fn sentences(differences: &[&Difference]) -> Vec<String> {
    let explained = "An interval covers 95% of 1,000 resamples of the test sentences (a bootstrap). A difference \
                     is certain here if its interval, of the same samples under both methods, does not contain 0.";
    // The one jump has gradient descent alone; of the others the closed form is enough to read.
    let groups =
        differences.chunk_by(|a, b| (a.method, a.solver, a.rank) == (b.method, b.solver, b.rank)).filter(
            |group| group[0].solver == Some(Solver::ClosedForm) || group[0].method == ShortcutKind::OneJump,
        );
    std::iter::once(explained.to_owned()).chain(groups.filter_map(sentence)).collect()
}

/// What is certain of one single shortcut.
fn sentence(group: &[&Difference]) -> Option<String> {
    let (solver, rank) = group[0].solver.zip(group[0].rank)?;
    let others = |by: &dyn Fn(&Difference) -> Option<String>| -> Vec<String> {
        group.iter().filter_map(|row| by(row).map(|by| format!("{} ({by})", row.other))).collect()
    };
    // By how much, if both measures certainly have these signs.
    let both = |precise: bool, surprised: bool| {
        others(&|row| {
            let signs = (row.precision().certain_sign(), row.surprisal().certain_sign());
            let by = || format!("by {} and {}", points(row.precision_1), nats(row.surprisal.abs()));
            (signs == (Some(precise), Some(surprised))).then(by)
        })
    };
    let (better, worse) = (both(true, false), both(false, true));
    let certain = match (better.is_empty(), worse.is_empty()) {
        (true, true) => "neither certainly better nor certainly worse than any other method".to_owned(),
        (false, true) => format!("certainly better than {}", list(&better)),
        (true, false) => format!("certainly worse than {}", list(&worse)),
        (false, false) => {
            format!("certainly better than {}, and certainly worse than {}", list(&better), list(&worse))
        }
    };
    let traded = match others(&traded).as_slice() {
        [] => String::new(),
        others => format!(" It is better in one and worse in the other than {}.", list(others)),
    };
    Some(format!(
        "At {}, {} is {certain} in both precision and surprisal.{traded}",
        setting(solver, rank as usize),
        group[0].method
    ))
}

/// More of both measures, or less of both: better in one, worse in the other.
fn traded(row: &Difference) -> Option<String> {
    let (precise, surprised) = (row.precision().certain_sign()?, row.surprisal().certain_sign()?);
    let more = if precise { "more" } else { "less" };
    let (points, nats) = (points(row.precision_1), nats(row.surprisal.abs()));
    (precise == surprised).then(|| format!("{more} precise by {points}, {more} surprised by {nats}"))
}
