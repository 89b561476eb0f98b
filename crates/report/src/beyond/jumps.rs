//! How many jumps, of which rank: what the parameters buy.

use onejump_store::analyses::{Criterion, FileAverage, Subset};

use super::sets::Sets;
use crate::analyses::Analyses;
use crate::figures::frontier::figure;
use crate::interval::Measured;
use crate::section::Section;
use crate::shown::Shown;
use crate::table::Table;
use crate::words::{self, list, percent, points};

/// Sizes that the table shows beside the whole set.
const SIZES: [u32; 7] = [1, 2, 3, 4, 5, 10, 20];

/// The share of the whole set's gain over one jump that is called most of it.
const MOST: f64 = 0.9;

/// The frontier, the shortcuts that nothing cheaper is better than, and the sets of several jumps.
pub fn section(analyses: &Analyses, sets: &Sets) -> Option<Section> {
    let figure = figure(&analyses.averages, &analyses.subsets)?;
    let mut section = Section {
        id: "frontier",
        open: true,
        title: "Which shortcut should I take?",
        paragraphs: Vec::new(),
        figures: vec![Shown::always(figure)],
        tables: vec![Shown::always(undominated(&analyses.averages))],
    };
    for &set in &sets.sets {
        let rows = set.rows(&analyses.subsets);
        let by = |criterion: Criterion| -> Vec<&Subset> {
            rows.iter().copied().filter(|row| row.criterion == criterion).collect()
        };
        let by_d = by(Criterion::SignedSquare);
        section.paragraphs.extend(sentence(&set.name(), &by_d).map(|text| sets.shown(set, text)));
        section.tables.push(sets.shown(set, table(&set.name(), &by_d)));
    }
    Some(section)
}

/// The files that are more precise than all that have fewer parameters.
fn undominated(averages: &[FileAverage]) -> Table {
    let mut rows: Vec<&FileAverage> = averages.iter().filter(|row| row.label.is_none()).collect();
    // Of equal sizes the most precise comes first, and alone can be kept.
    rows.sort_by(|a, b| a.parameters.cmp(&b.parameters).then(b.precision_1.total_cmp(&a.precision_1)));
    let mut best = f64::NEG_INFINITY;
    rows.retain(|row| {
        let better = row.precision_1 > best;
        best = best.max(row.precision_1);
        better
    });
    Table::new(
        "More precise than everything that has fewer parameters",
        rows,
        &[
            ("method", &|row: &&FileAverage| super::certainty::name(row.method, row.solver, row.rank)),
            ("parameters", &|row| words::thousands(row.parameters)),
            ("precision@1 ↑", &|row| row.precision().percent()),
            ("surprisal ↓ (nats)", &|row| row.surprisal().plain()),
        ],
    )
}

fn table(name: &str, subsets: &[&Subset]) -> Table {
    let all = |row: &Subset| row.size as usize == subsets.len();
    Table::new(
        format!("Several jumps, chosen by their signed squares on training samples ({name})"),
        subsets.iter().copied().filter(|row| SIZES.contains(&row.size) || all(row)),
        &[
            ("jumps", &|row: &&Subset| format!("{}{}", row.size, if row.exact { "" } else { " (greedy)" })),
            ("which", &|row| if all(row) { "all".to_owned() } else { jumps(row).join(", ") }),
            ("parameters", &|row| words::thousands(row.parameters)),
            ("precision@1 ↑", &|row| row.precision().percent()),
            ("surprisal ↓ (nats)", &|row| row.surprisal().plain()),
        ],
    )
}

fn jumps(row: &Subset) -> Vec<String> {
    row.jumps.iter().map(u32::to_string).collect()
}

fn sentence(name: &str, by_d: &[&Subset]) -> Option<String> {
    let (one, two, all) = (by_d.first()?, by_d.get(1)?, by_d.last()?);
    let gain = all.precision_1 - one.precision_1;
    let most = by_d.iter().find(|row| row.precision_1 >= one.precision_1 + MOST * gain)?;
    Some(format!(
        "Several jumps ({name}): two, {}, have {} precision where one has {}; {} give {:.0}% of the {} between one \
         jump and all {}.",
        list(&jumps(two)),
        percent(two.precision_1),
        percent(one.precision_1),
        words::count(most.size as usize, "jump"),
        100.0 * MOST,
        points(gain),
        all.size,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn only_what_nothing_cheaper_beats_is_recommended() {
        let mut rows = sample::analyses(12, &[5]).averages;
        rows.retain(|row| row.label.is_none());
        rows.truncate(4);
        for (row, (parameters, precision)) in rows.iter_mut().zip([(0, 0.1), (50, 0.3), (50, 0.2), (90, 0.3)])
        {
            (row.parameters, row.precision_1) = (parameters, precision);
        }
        let table = undominated(&rows);
        let kept: Vec<&str> = table.rows().map(|row| row[1].text.as_str()).collect();
        assert_eq!(kept, ["0", "50"]);
        assert!(table.groups[0].rows[1][2].text.starts_with("30.0%"));
    }
}
