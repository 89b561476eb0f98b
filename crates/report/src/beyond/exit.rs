//! Dynamic exit: what looking costs, and what it saves.

use onejump_store::analyses::{Exit, ExitRule, LookSchedule, LookingHead};

use crate::figures::exit::figure;
use crate::interval::Interval;
use crate::section::{Section, Table};
use crate::words::{self, number, percent};

/// The agreements that the tables show.
const WANTED: [f64; 3] = [0.9, 0.95, 0.99];

/// The curve, and a table for each wanted agreement; `constant` is the baseline's precision.
pub fn section(rows: &[Exit], constant: Option<f64>) -> Option<Section> {
    let figure = figure(rows, constant)?;
    let explained = "The model stops at the first look that is sure enough. Operations are multiply-adds per token as a \
                     share of the full model’s: a block costs its weights and 2·H for each token of the context, a \
                     look through the full head V·H, through the fused one H·r + r² + r·V. Keys and values of skipped \
                     blocks, which later tokens would need, are not counted.";
    let mut paragraphs = vec![explained.to_owned()];
    paragraphs.extend(WANTED[..2].iter().filter_map(|&wanted| sentence(&select(rows, wanted), wanted)));
    let calibrated: Vec<&Exit> =
        rows.iter().filter(|row| row.schedule == LookSchedule::Best && row.exited > 0.0).collect();
    paragraphs.extend(constant.and_then(|constant| beside_chance(&calibrated, constant)));
    paragraphs.extend(kept(&calibrated));
    Some(Section {
        id: "exit",
        title: "What does early exit save?",
        paragraphs,
        figures: vec![figure],
        tables: WANTED.map(|wanted| table(&select(rows, wanted), wanted)).into(),
    })
}

/// The rows for a wanted agreement.
fn select(rows: &[Exit], wanted: f64) -> Vec<&Exit> {
    rows.iter().filter(|row| (row.wanted - wanted).abs() < 1e-9).collect()
}

fn name(row: &Exit) -> String {
    match (row.jump, row.rank) {
        (Some(jump), Some(rank)) => format!("{} (jump {jump}), rank {rank}", row.method),
        (None, Some(rank)) => format!("{}, rank {rank}", row.method),
        _ => row.method.to_string(),
    }
}

fn cheapest<'a>(rows: impl Iterator<Item = &'a Exit>) -> Option<&'a Exit> {
    rows.min_by(|a, b| a.operations.total_cmp(&b.operations))
}

/// The cheapest plan of all, and what the same shortcut costs through the other head.
fn sentence(rows: &[&Exit], wanted: f64) -> Option<String> {
    let best = |head: LookingHead| {
        let rows = rows.iter().copied();
        cheapest(rows.filter(|row| row.head == head && row.schedule == LookSchedule::Best))
    };
    let (fused, full) = (best(LookingHead::Fused)?, best(LookingHead::Full)?);
    let full = if full.exited > 0.0 {
        format!(
            "The best with the full head is {}, which {} at {}.",
            name(full),
            saved(full),
            percent(full.agreement)
        )
    } else {
        "With the full head no look pays for itself: nothing is saved.".to_owned()
    };
    Some(format!(
        "For {} agreement on training samples, the most is saved by {} with the fused head: it {} at {} agreement \
         on the test samples. {full}{}",
        number(100.0 * wanted, 0, "%"),
        name(fused),
        saved(fused),
        percent(fused.agreement),
        every_level(rows).unwrap_or_default(),
    ))
}

fn saved(row: &Exit) -> String {
    let saved = 1.0 - row.operations;
    if saved >= 0.0 { format!("saves {}", percent(saved)) } else { format!("costs {} more", percent(-saved)) }
}

/// What it costs to look at every level with the cheapest single jump, through either head.
fn every_level(rows: &[&Exit]) -> Option<String> {
    let looks = |head: LookingHead| {
        rows.iter().copied().filter(move |row| {
            (row.rule, row.schedule, row.head) == (ExitRule::Probability, LookSchedule::Every, head)
        })
    };
    let fused = cheapest(looks(LookingHead::Fused).filter(|row| row.jump.is_some()))?;
    let same = |row: &&Exit| (row.method, row.rank, row.jump) == (fused.method, fused.rank, fused.jump);
    let full = looks(LookingHead::Full).find(same)?;
    Some(format!(
        " A look at every level with {} costs {} of the full model through the fused head, {} through the full one.",
        name(fused),
        percent(fused.looking),
        percent(full.looking)
    ))
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
        "Part of what is saved is no merit: to give tokens drawn by lot the most frequent token before the first \
         block, and run the others through, agrees with 90% while it saves {} (the line “by lot” in the figure). \
         {better} of {all} calibrated plans are certainly better than that; {most}.",
        percent(1.0 - chance(0.9, constant))
    ))
}

/// Operations of an exit by lot, at an agreement.
fn chance(agreement: f64, constant: f64) -> f64 {
    1.0 - (1.0 - agreement) / (1.0 - constant)
}

/// Whether thresholds from training samples hold on the test samples.
fn kept(calibrated: &[&Exit]) -> Option<String> {
    let all = calibrated.len();
    if all == 0 {
        return None;
    }
    let below: Vec<&&Exit> = calibrated.iter().filter(|row| row.agreement_high < row.wanted).collect();
    let short = |row: &Exit| row.wanted - row.agreement;
    Some(match below.iter().max_by(|a, b| short(a).total_cmp(&short(b))) {
        None => format!(
            "All {all} calibrated thresholds keep the wanted agreement on the test samples, within the interval."
        ),
        Some(row) => format!(
            "{} of {all} calibrated thresholds fall certainly short of the wanted agreement on the test samples, at \
             the most {} ({} instead of {}): shortcuts are surer of the samples that they were trained on.",
            below.len(),
            name(row),
            percent(row.agreement),
            percent(row.wanted)
        ),
    })
}

fn table(rows: &[&Exit], wanted: f64) -> Table {
    let rows = rows.iter().copied();
    let rows = rows.filter(|row| row.rule == ExitRule::Probability || row.schedule == LookSchedule::Best);
    let table = Table::new(
        format!("Dynamic exit for {} agreement on training samples", number(100.0 * wanted, 0, "%")),
        rows,
        &[
            ("shortcut", &|row: &&Exit| name(row)),
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
    );
    Table { folded: wanted != WANTED[1], ..table }
}

/// Which levels are looked at.
fn looks(row: &Exit) -> String {
    match row.schedule {
        LookSchedule::Every => "every level".to_owned(),
        LookSchedule::Best if row.exited > 0.0 => format!("from {}, every {}", row.from, row.every),
        LookSchedule::Best => "none".to_owned(),
    }
}
