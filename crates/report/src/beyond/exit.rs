//! Dynamic exit: what looking costs, and what it saves.

use onejump_store::analyses::{Exit, ExitRule, LookSchedule};

use crate::figures::exit::figure;
use crate::interval::Interval;
use crate::shown::{Section, Shown};
use crate::table::Table;
use crate::words::{self, number, percent};

/// The agreements that the table shows.
const WANTED: [f64; 3] = [0.9, 0.95, 0.99];

/// The curve, and a table; `constant` is the baseline's precision.
pub fn section(rows: &[Exit], constant: Option<f64>) -> Option<Section> {
    let figure = figure(rows, constant)?;
    let calibrated: Vec<&Exit> =
        rows.iter().filter(|row| row.schedule == LookSchedule::Best && row.exited > 0.0).collect();
    let beside_chance = constant.and_then(|constant| beside_chance(&calibrated, constant));
    Some(Section {
        id: "exit",
        open: false,
        title: "What does early exit save?",
        paragraphs: beside_chance.into_iter().map(Shown::always).collect(),
        figures: vec![Shown::always(figure)],
        tables: vec![Shown::always(table(rows))],
    })
}

fn name(row: &Exit) -> String {
    match (row.jump, row.rank) {
        (Some(jump), Some(rank)) => format!("{} (jump {jump}), rank {rank}", row.method),
        (None, Some(rank)) => format!("{}, rank {rank}", row.method),
        _ => row.method.to_string(),
    }
}

/// An agreement can be bought without looking at anything: some tokens, drawn by lot, get the most frequent
/// one before the first block, and all others run through. What is saved must be more than that.
fn beside_chance(calibrated: &[&Exit], constant: f64) -> Option<String> {
    let more = |row: &Exit| chance(row.agreement, constant) - row.operations;
    let better = calibrated
        .iter()
        .filter(|row| more(row) > 0.0 && chance(row.agreement_low, constant) > row.operations_high);
    let (better, all) = (better.count(), calibrated.len());
    let top = calibrated.iter().copied().max_by(|a, b| more(a).total_cmp(&more(b)))?;
    let gain = more(top);
    let most = if gain > 0.0 {
        format!(
            "at the most {} of the full model’s operations are saved beyond chance, by {} at {} agreement",
            percent(gain),
            name(top),
            percent(top.agreement)
        )
    } else {
        "none saves more than chance does".to_owned()
    };
    Some(format!(
        "Tokens drawn by lot that get the most frequent token before the first block save {} at 90% agreement too. \
         Of the {all} calibrated plans {better} are certainly better than such a lot; {most}.",
        percent(1.0 - chance(0.9, constant))
    ))
}

/// Operations of an exit by lot, at an agreement.
fn chance(agreement: f64, constant: f64) -> f64 {
    1.0 - (1.0 - agreement) / (1.0 - constant)
}

fn table(rows: &[Exit]) -> Table {
    let shown = |row: &&Exit| {
        WANTED.iter().any(|wanted| (row.wanted - wanted).abs() < 1e-9)
            && (row.rule == ExitRule::Probability || row.schedule == LookSchedule::Best)
    };
    Table::new(
        "Every plan for 90%, 95% and 99% agreement on training samples",
        rows.iter().filter(shown),
        &[
            ("shortcut", &|row: &&Exit| name(row)),
            ("wanted", &|row| percent(row.wanted)),
            ("rule", &|row| row.rule.to_string()),
            ("head", &|row| row.head.to_string()),
            ("looks", &|row| looks(row)),
            ("agreement ↑", &|row| {
                Interval::new(row.agreement, row.agreement_low, row.agreement_high).percent()
            }),
            ("precision of exits", &|row| row.precision.map_or(words::NONE.to_owned(), percent)),
            ("exit early", &|row| percent(row.exited)),
            ("blocks ↓", &|row| number(row.blocks, 1, "")),
            ("looking", &|row| percent(row.looking)),
            ("saved ↑", &|row| {
                Interval::new(1.0 - row.operations, 1.0 - row.operations_high, 1.0 - row.operations_low)
                    .percent()
            }),
        ],
    )
}

/// Which levels are looked at.
fn looks(row: &Exit) -> String {
    match row.schedule {
        LookSchedule::Every => "every level".to_owned(),
        LookSchedule::Best if row.exited > 0.0 => format!("from {}, every {}", row.from, row.every),
        LookSchedule::Best => "none".to_owned(),
    }
}
