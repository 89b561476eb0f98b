//! How many jumps, of which rank: what the parameters buy.

use onejump_store::analyses::Subset;

use super::{Beyond, Section, Table, plain, setting, share};
use crate::figures::frontier::figure;
use crate::words::{self, list, percent, points};

/// Sizes that the table shows beside the whole set.
const SIZES: [u32; 7] = [1, 2, 3, 4, 5, 10, 20];

/// The share of the whole set's gain over one jump that is called most of it.
const MOST: f64 = 0.9;

/// The frontier, and the sets of several jumps.
pub fn section(beyond: &Beyond) -> Option<Section> {
    let figure = figure(&beyond.averages, &beyond.subsets)?;
    let mut paragraphs = Vec::new();
    let mut tables = Vec::new();
    for (solver, rank) in beyond.sets() {
        let of = |criterion: &str| -> Vec<&Subset> {
            let same = |row: &&Subset| {
                (row.solver.as_str(), row.rank, row.criterion.as_str()) == (solver, rank, criterion)
            };
            beyond.subsets.iter().filter(same).collect()
        };
        let (by_kl, by_d) = (of("kl"), of("signed-square"));
        let name = setting(solver, rank);
        paragraphs.extend(sentence(&name, &by_d, &by_kl));
        let all = by_d.len();
        let rows = by_d.iter().filter(|row| SIZES.contains(&row.size) || row.size as usize == all);
        let cells = |row: &&&Subset| {
            let jumps: Vec<String> = row.jumps.iter().map(u32::to_string).collect();
            let all = row.size as usize == all;
            vec![
                format!("{}{}", row.size, if row.exact { "" } else { " (greedy)" }),
                if all { "all".to_owned() } else { jumps.join(", ") },
                words::thousands(row.parameters),
                share(row.precision_1, row.precision_1_low, row.precision_1_high),
                plain(row.surprisal, row.surprisal_low, row.surprisal_high),
            ]
        };
        let head = ["jumps", "which", "parameters", "precision@1 ↑", "surprisal ↓ (nats)"];
        let caption = format!("Several jumps, chosen by their signed squares on training samples ({name})");
        tables.push(Table::new(caption, &head, rows.map(|row| cells(&row)).collect()));
    }
    Some(Section {
        id: "frontier",
        title: "How many jumps, and of which rank?",
        paragraphs,
        figures: vec![figure],
        tables,
    })
}

fn sentence(name: &str, by_d: &[&Subset], by_kl: &[&Subset]) -> Option<String> {
    let (one, two, all) = (by_d.first()?, by_d.get(1)?, by_d.last()?);
    let gain = all.precision_1 - one.precision_1;
    let most = by_d.iter().find(|row| row.precision_1 >= one.precision_1 + MOST * gain)?;
    let jumps: Vec<String> = two.jumps.iter().map(u32::to_string).collect();
    let kl = by_kl.get(1).map_or(String::new(), |row| {
        let jumps: Vec<String> = row.jumps.iter().map(u32::to_string).collect();
        format!(" (by KL {}, with {})", list(&jumps), percent(row.precision_1))
    });
    let size = |row: &Subset| words::count(row.size as usize, "jump");
    Some(format!(
        "At {name}, one jump has {} precision, the best two, {}, have {}{kl}, and all {} have {}: {} give {:.0}% of \
         the {} between one jump and all.",
        percent(one.precision_1),
        list(&jumps),
        percent(two.precision_1),
        all.size,
        percent(all.precision_1),
        size(most),
        100.0 * MOST,
        points(gain),
    ))
}
