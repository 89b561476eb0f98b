//! How many jumps, of which rank: what the parameters buy.

use onejump_store::analyses::{Criterion, Subset};

use crate::analyses::Analyses;
use crate::figures::frontier::figure;
use crate::interval::Measured;
use crate::section::{Section, Table};
use crate::words::{self, list, percent, points};

/// Sizes that the table shows beside the whole set.
const SIZES: [u32; 7] = [1, 2, 3, 4, 5, 10, 20];

/// The share of the whole set's gain over one jump that is called most of it.
const MOST: f64 = 0.9;

/// The frontier, and the sets of several jumps.
pub fn section(analyses: &Analyses) -> Option<Section> {
    let figure = figure(&analyses.averages, &analyses.subsets)?;
    let mut paragraphs = Vec::new();
    let mut tables = Vec::new();
    for set in analyses.sets() {
        let rows = set.rows(&analyses.subsets);
        let by = |criterion: Criterion| -> Vec<&Subset> {
            rows.iter().copied().filter(|row| row.criterion == criterion).collect()
        };
        let by_d = by(Criterion::SignedSquare);
        paragraphs.extend(sentence(&set.name(), &by_d, &by(Criterion::Kl)));
        tables.push(table(&set.name(), &by_d));
    }
    Some(Section {
        id: "frontier",
        title: "How many jumps, and of which rank?",
        paragraphs,
        figures: vec![figure],
        tables,
    })
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

fn sentence(name: &str, by_d: &[&Subset], by_kl: &[&Subset]) -> Option<String> {
    let (one, two, all) = (by_d.first()?, by_d.get(1)?, by_d.last()?);
    let gain = all.precision_1 - one.precision_1;
    let most = by_d.iter().find(|row| row.precision_1 >= one.precision_1 + MOST * gain)?;
    let kl = by_kl.get(1).map_or(String::new(), |row| {
        format!(" (by KL {}, with {})", list(&jumps(row)), percent(row.precision_1))
    });
    Some(format!(
        "At {name}, one jump has {} precision, the best two, {}, have {}{kl}, and all {} have {}: {} give {:.0}% of \
         the {} between one jump and all.",
        percent(one.precision_1),
        list(&jumps(two)),
        percent(two.precision_1),
        all.size,
        percent(all.precision_1),
        words::count(most.size as usize, "jump"),
        100.0 * MOST,
        points(gain),
    ))
}
