//! Which differences between methods are certain.

use onejump_store::analyses::{Difference, FileAverage};

use super::{Beyond, Section, Table, plain, setting, share};
use crate::words::{self, list, nats, points};

/// Averages with intervals, and the paired differences of the single shortcuts from the others.
pub fn section(beyond: &Beyond) -> Option<Section> {
    // The sweep's ranks are in the figure of the frontier.
    let ranks: Vec<u32> = beyond.regret.iter().map(|row| row.rank).collect();
    let shown = |rank: Option<u32>| rank.is_none_or(|rank| ranks.is_empty() || ranks.contains(&rank));
    let rows: Vec<&FileAverage> =
        beyond.averages.iter().filter(|row| row.label.is_none() && shown(row.rank)).collect();
    let differences: Vec<&Difference> = beyond.differences.iter().filter(|row| shown(row.rank)).collect();
    if rows.is_empty() {
        return None;
    }
    let name = |method: &str, solver: &Option<String>, rank: Option<u32>| match (solver, rank) {
        (Some(solver), Some(rank)) => format!("{method}, {}", setting(solver, rank)),
        _ => method.to_owned(),
    };
    let averages = rows
        .iter()
        .map(|row| {
            vec![
                name(&row.method, &row.solver, row.rank),
                words::thousands(row.parameters),
                share(row.precision_1, row.precision_1_low, row.precision_1_high),
                plain(row.surprisal, row.surprisal_low, row.surprisal_high),
                plain(row.kl, row.kl_low, row.kl_high),
            ]
        })
        .collect();
    let paired = differences
        .iter()
        .map(|row| {
            vec![
                format!("{} minus {}", name(&row.method, &row.solver, row.rank), row.other),
                share(row.precision_1, row.precision_1_low, row.precision_1_high),
                plain(row.surprisal, row.surprisal_low, row.surprisal_high),
            ]
        })
        .collect();
    let mut folded = Table::new(
        "Single shortcuts minus other methods, sample by sample; averages over the exit levels",
        &["difference", "precision@1 ↑ (points)", "surprisal ↓ (nats)"],
        paired,
    );
    folded.folded = true;
    Some(Section {
        id: "certainty",
        title: "Which differences are certain?",
        paragraphs: sentences(&differences),
        figures: Vec::new(),
        tables: vec![
            Table::new(
                "Averages over the exit levels with 95% intervals, all test samples",
                &["method", "parameters", "precision@1 ↑", "surprisal ↓ (nats)", "KL ↓ (nats)"],
                averages,
            ),
            folded,
        ],
    })
}

/// For every single shortcut, what it is certainly better and worse than.
fn sentences(differences: &[&Difference]) -> Vec<String> {
    let mut paragraphs = vec![
        "An interval covers 95% of 1,000 resamples of the test sentences (a bootstrap). A difference is certain \
         here if its interval, of the same samples under both methods, does not contain 0."
            .to_owned(),
    ];
    let groups = differences
        .chunk_by(|a, b| (&a.method, &a.solver, a.rank) == (&b.method, &b.solver, b.rank))
        .filter(|group| group[0].solver.as_deref() == Some("closed-form") || group[0].method == "one-jump");
    for group in groups {
        let Some((solver, rank)) = group[0].solver.as_deref().zip(group[0].rank) else { continue };
        let others = |keep: &dyn Fn(&Difference) -> Option<String>| -> Vec<String> {
            group.iter().filter_map(|row| keep(row).map(|by| format!("{} ({by})", row.other))).collect()
        };
        let by = |row: &Difference| {
            let surprisal = nats(row.surprisal.abs());
            format!("by {} and {surprisal}", points(row.precision_1))
        };
        let better = others(&|row| (row.precision_1_low > 0.0 && row.surprisal_high < 0.0).then(|| by(row)));
        let worse = others(&|row| (row.precision_1_high < 0.0 && row.surprisal_low > 0.0).then(|| by(row)));
        let mut text = format!("At {}, {} is", setting(solver, rank), group[0].method);
        match (better.is_empty(), worse.is_empty()) {
            (true, true) => {
                text.push_str(" neither certainly better nor certainly worse than any other method")
            }
            (false, true) => text.push_str(&format!(" certainly better than {}", list(&better))),
            (true, false) => text.push_str(&format!(" certainly worse than {}", list(&worse))),
            (false, false) => text.push_str(&format!(
                " certainly better than {}, and certainly worse than {}",
                list(&better),
                list(&worse)
            )),
        }
        text.push_str(" in both precision and surprisal.");
        let traded = others(&|row| {
            let (precise, surprised) = (
                certain(row.precision_1_low, row.precision_1_high)?,
                certain(row.surprisal_low, row.surprisal_high)?,
            );
            let words = |more: bool, what: &str| format!("{} {what}", if more { "more" } else { "less" });
            // More of both, or less of both: better in one measure, worse in the other.
            (precise == surprised).then(|| {
                format!(
                    "{} by {}, {} by {}",
                    words(precise, "precise"),
                    points(row.precision_1),
                    words(surprised, "surprised"),
                    nats(row.surprisal.abs())
                )
            })
        });
        if !traded.is_empty() {
            text.push_str(&format!(" It is better in one and worse in the other than {}.", list(&traded)));
        }
        paragraphs.push(text);
    }
    paragraphs
}

/// Whether a difference is certainly above 0, or certainly below; none if it is neither.
fn certain(low: f64, high: f64) -> Option<bool> {
    match (low > 0.0, high < 0.0) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}
