//! Dynamic exit: what looking costs, and what it saves.

use onejump_store::analyses::Exit;

use super::{Beyond, Section, Table};
use crate::figures::exit::figure;
use crate::words::{self, number, percent};

/// The agreements that the tables show.
const WANTED: [f64; 3] = [0.9, 0.95, 0.99];

/// The curve, and a table for each wanted agreement.
pub fn section(beyond: &Beyond, constant: Option<f64>) -> Option<Section> {
    let rows = &beyond.exit;
    let figure = figure(rows, constant)?;
    let tables = WANTED.map(|wanted| table(rows, wanted)).into_iter();
    let mut paragraphs = vec![
        "The model stops at the first look that is sure enough. Operations are multiply-adds per token as a share \
         of the full model’s: a block costs its weights and 2·H for each token of the context, a look through \
         the full head V·H, through the fused one H·r + r² + r·V. Keys and values of skipped blocks, which \
         later tokens would need, are not counted."
            .to_owned(),
    ];
    paragraphs.extend(WANTED[..2].iter().filter_map(|&wanted| sentence(rows, wanted)));
    paragraphs.extend(constant.and_then(|constant| beside_chance(rows, constant)));
    paragraphs.extend(kept(rows));
    Some(Section {
        id: "exit",
        title: "What does early exit save?",
        paragraphs,
        figures: vec![figure],
        tables: tables.collect(),
    })
}

fn select(rows: &[Exit], wanted: f64) -> Vec<&Exit> {
    rows.iter().filter(|row| (row.wanted - wanted).abs() < 1e-9).collect()
}

fn name(row: &Exit) -> String {
    match (row.jump, row.rank) {
        (Some(jump), Some(rank)) => format!("{} (jump {jump}), rank {rank}", row.method),
        (None, Some(rank)) => format!("{}, rank {rank}", row.method),
        _ => row.method.clone(),
    }
}

/// The cheapest plan of all, and what the same shortcut costs through the other head.
fn sentence(rows: &[Exit], wanted: f64) -> Option<String> {
    let rows = select(rows, wanted);
    let cheapest = |head: &str| {
        let rows = rows.iter().copied().filter(|row| row.head == head && row.schedule == "best");
        rows.min_by(|a, b| a.operations.total_cmp(&b.operations))
    };
    let saved = |row: &Exit| {
        let saved = 1.0 - row.operations;
        if saved >= 0.0 {
            format!("saves {}", percent(saved))
        } else {
            format!("costs {} more", percent(-saved))
        }
    };
    let (fused, full) = (cheapest("fused")?, cheapest("full")?);
    let single = |row: &&&Exit| row.head == "fused" && row.jump.is_some() && row.rule == "probability";
    let every = rows.iter().filter(single).filter(|row| row.schedule == "every").copied();
    let looks = every.min_by(|a, b| a.operations.total_cmp(&b.operations));
    let beside = looks.and_then(|fused| {
        let same = |row: &&&Exit| {
            (row.rule.as_str(), row.schedule.as_str(), row.head.as_str()) == ("probability", "every", "full")
                && (&row.method, row.rank, row.jump) == (&fused.method, fused.rank, fused.jump)
        };
        let full = rows.iter().find(same)?;
        Some(format!(
            " A look at every level with {} costs {} of the full model through the fused head, {} through the full \
             one.",
            name(fused),
            percent(fused.looking),
            percent(full.looking)
        ))
    });
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
        words::number(100.0 * wanted, 0, "%"),
        name(fused),
        saved(fused),
        percent(fused.agreement),
        beside.unwrap_or_default(),
    ))
}

/// An agreement can be bought without looking at anything: some tokens, drawn by lot, get the most frequent
/// one before the first block, and all others run through. What is saved must be more than that.
fn beside_chance(rows: &[Exit], constant: f64) -> Option<String> {
    let best: Vec<&Exit> = rows.iter().filter(|row| row.schedule == "best" && row.exited > 0.0).collect();
    let more = |row: &Exit| chance(row.agreement, constant) - row.operations;
    let better = best
        .iter()
        .filter(|row| more(row) > 0.0 && chance(row.agreement_low, constant) > row.operations_high);
    let (better, all) = (better.count(), best.len());
    let top = best.iter().copied().max_by(|a, b| more(a).total_cmp(&more(b)))?;
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
fn kept(rows: &[Exit]) -> Option<String> {
    let best: Vec<&Exit> = rows.iter().filter(|row| row.schedule == "best" && row.exited > 0.0).collect();
    let below: Vec<&&Exit> = best.iter().filter(|row| row.agreement_high < row.wanted).collect();
    let worst = below.iter().max_by(|a, b| {
        let short = |row: &Exit| row.wanted - row.agreement;
        short(a).total_cmp(&short(b))
    });
    let all = best.len();
    if all == 0 {
        return None;
    }
    Some(match worst {
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

fn table(rows: &[Exit], wanted: f64) -> Table {
    let rows =
        select(rows, wanted).into_iter().filter(|row| row.rule == "probability" || row.schedule == "best");
    let cells = |row: &Exit| {
        let looks = match (row.schedule.as_str(), row.exited > 0.0) {
            ("every", _) => "every level".to_owned(),
            (_, false) => "none".to_owned(),
            _ => format!("from {}, every {}", row.from, row.every),
        };
        vec![
            name(row),
            row.rule.clone(),
            row.head.clone(),
            looks,
            super::share(row.agreement, row.agreement_low, row.agreement_high),
            row.precision.map_or(words::NONE.to_owned(), percent),
            percent(row.exited),
            number(row.blocks, 1, ""),
            percent(row.looking),
            super::share(1.0 - row.operations, 1.0 - row.operations_high, 1.0 - row.operations_low),
        ]
    };
    let head = [
        "shortcut",
        "rule",
        "head",
        "looks",
        "agreement ↑",
        "precision of exits",
        "exit early",
        "blocks ↓",
        "looking",
        "saved ↑",
    ];
    let mut table = Table::new(
        format!("Dynamic exit for {} agreement on training samples", number(100.0 * wanted, 0, "%")),
        &head,
        rows.map(cells).collect(),
    );
    table.folded = wanted != WANTED[1];
    table
}
