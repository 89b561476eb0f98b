//! Every jump at every level, and whether the paper's score chooses well.

use onejump_store::analyses::{Jump, Regret};

use super::{Beyond, Section, Table, plain, setting, share};
use crate::figures::transfer::figure;
use crate::words::{self, nats, number, percent, points};

/// A criterion: its name in the tables, in words, and its value of a jump, where more is better.
type Criterion = (&'static str, &'static str, fn(&Jump) -> f64);

const CRITERIA: [Criterion; 4] = [
    ("signed-square", "D, the signed square", |jump| jump.train_signed_square),
    ("cosine", "the plain cosine", |jump| jump.train_cosine),
    ("mse", "the MSE", |jump| -jump.train_mse),
    ("kl", "the KL divergence", |jump| -jump.train_kl),
];

/// The heat maps, the regret of each criterion, and what they say.
pub fn section(beyond: &Beyond) -> Option<Section> {
    let sets = beyond.sets();
    let mut section = Section {
        id: "transfer",
        title: "Does one jump transfer, and does D choose it well?",
        paragraphs: vec![format!(
            "Every jump was applied at every exit level. The criteria are over the first {} training samples, the \
             same for all; regret is how much worse the chosen jump is on the test samples than the one that is \
             best there.",
            words::thousands(u64::from(beyond.jumps.first()?.train_samples))
        )],
        figures: Vec::new(),
        tables: Vec::new(),
    };
    for (index, &(solver, rank)) in sets.iter().enumerate() {
        let name = setting(solver, rank);
        let jumps: Vec<&Jump> =
            beyond.jumps.iter().filter(|row| (row.solver.as_str(), row.rank) == (solver, rank)).collect();
        let regret: Vec<&Regret> =
            beyond.regret.iter().filter(|row| (row.solver.as_str(), row.rank) == (solver, rank)).collect();
        section.paragraphs.extend(sentences(&name, &jumps, &regret));
        section.tables.push(regret_table(&name, &jumps, &regret));
        section.tables.push(jump_table(&name, &jumps));
        let rows: Vec<_> = beyond
            .transfer
            .iter()
            .filter(|row| (row.solver.as_str(), row.rank) == (solver, rank))
            .cloned()
            .collect();
        let suffix = if index == 0 { String::new() } else { format!("-r{rank}") };
        section.figures.extend(figure(&rows, &suffix, &name));
    }
    Some(section)
}

fn sentences(name: &str, jumps: &[&Jump], regret: &[&Regret]) -> Vec<String> {
    let of = |criterion: &str, metric: &str| {
        regret.iter().copied().find(|row| row.criterion == criterion && row.metric == metric)
    };
    let said = |criterion: &str| -> Option<String> {
        let (precision, surprisal, kl) =
            (of(criterion, "precision_1")?, of(criterion, "surprisal")?, of(criterion, "kl")?);
        let part = |row: &Regret, what: &str, size: String| {
            if row.jump == row.best_jump {
                format!("the best in {what}")
            } else if row.regret_low <= 0.0 {
                format!("{size} behind jump {} in {what} (perhaps by chance)", row.best_jump)
            } else {
                format!("{size} behind jump {} in {what}", row.best_jump)
            }
        };
        Some(format!(
            "jump {}, which is {}, {}, and {}",
            precision.jump,
            part(precision, "precision", points(precision.regret)),
            part(surprisal, "surprisal", nats(surprisal.regret)),
            part(kl, "KL", nats(kl.regret)),
        ))
    };
    let mut paragraphs = Vec::new();
    if let (Some(d), Some(kl)) = (said("signed-square"), said("kl")) {
        paragraphs.push(format!("At {name}, D chose {d}. The lowest KL on training samples chose {kl}."));
    }
    let correlations: Vec<String> = CRITERIA
        .iter()
        .map(|(_, words, value)| {
            let scores: Vec<f64> = jumps.iter().map(|jump| value(jump)).collect();
            let precision: Vec<f64> = jumps.iter().map(|jump| jump.precision_1).collect();
            let surprisal: Vec<f64> = jumps.iter().map(|jump| -jump.surprisal).collect();
            let (a, b) = (rank_correlation(&scores, &precision), rank_correlation(&scores, &surprisal));
            format!("{words} {} and {}", number(a, 2, ""), number(b, 2, ""))
        })
        .collect();
    paragraphs.push(format!(
        "How well a criterion orders all {} jumps, as rank correlations with their precision and with their low \
         surprisal on the test samples: {}. {}",
        jumps.len(),
        words::list(&correlations),
        verdict(&of)
    ));
    paragraphs
}

/// Whether D is a good criterion, by its regret in the paper's two measures, beside that of the KL
/// divergence.
fn verdict<'a>(of: &impl Fn(&str, &str) -> Option<&'a Regret>) -> String {
    let measures = ["precision_1", "surprisal"];
    let rows = |criterion: &str| measures.map(|metric| of(criterion, metric));
    let ([Some(precision), Some(surprisal)], [Some(kl_precision), Some(kl_surprisal)]) =
        (rows("signed-square"), rows("kl"))
    else {
        return String::new();
    };
    let quality = match [precision, surprisal].iter().filter(|row| row.regret_low > 0.0).count() {
        0 => {
            "D is a good criterion here: no jump is certainly better than its choice in precision or surprisal"
        }
        1 => "D is a fair criterion here: some jump is certainly better than its choice in one of the two",
        _ => "D is a poor criterion here: other jumps are certainly better in precision and in surprisal",
    };
    let behind = |d: &Regret, kl: &Regret| d.regret > kl.regret;
    let beside = if precision.jump == kl_precision.jump {
        "chooses the same jump"
    } else {
        match (behind(precision, kl_precision), behind(surprisal, kl_surprisal)) {
            (true, true) => "chooses better by both",
            (false, false) => "does not choose better by either",
            (true, false) => "chooses better by precision alone",
            (false, true) => "chooses better by surprisal alone",
        }
    };
    let squares = match of("cosine", "precision_1") {
        Some(cosine) if cosine.jump == precision.jump => {
            " The plain cosine chooses the same jump as D.".to_owned()
        }
        Some(cosine) => format!(" The plain cosine chooses jump {}.", cosine.jump),
        None => String::new(),
    };
    format!("{quality}; the KL divergence, which needs the head, {beside}.{squares}")
}

fn regret_table(name: &str, jumps: &[&Jump], regret: &[&Regret]) -> Table {
    let of = |criterion: &str, metric: &str| {
        regret.iter().copied().find(|row| row.criterion == criterion && row.metric == metric)
    };
    let chosen = CRITERIA.iter().filter_map(|(criterion, words, _)| {
        let row = of(criterion, "precision_1")?;
        let cell = |metric: &str, show: fn(f64, f64, f64) -> String| {
            of(criterion, metric)
                .map_or(words::NONE.to_owned(), |row| show(row.regret, row.regret_low, row.regret_high))
        };
        let value = jumps.iter().find(|jump| jump.jump == row.jump)?;
        Some(vec![
            (*words).to_owned(),
            format!("jump {}", row.jump),
            percent(value.precision_1),
            cell("precision_1", share),
            number(value.surprisal, 2, ""),
            cell("surprisal", plain),
            number(value.kl, 2, ""),
            cell("kl", plain),
        ])
    });
    let mut rows: Vec<Vec<String>> = chosen.collect();
    let best = |metric: &str| of("signed-square", metric).map_or(0, |row| row.best_jump);
    for (metric, words) in [("precision_1", "precision"), ("surprisal", "surprisal"), ("kl", "KL")] {
        let jump = best(metric);
        if let Some(value) = jumps.iter().find(|value| value.jump == jump) {
            rows.push(vec![
                format!("best in hindsight by {words}"),
                format!("jump {jump}"),
                percent(value.precision_1),
                words::NONE.to_owned(),
                number(value.surprisal, 2, ""),
                words::NONE.to_owned(),
                number(value.kl, 2, ""),
                words::NONE.to_owned(),
            ]);
        }
    }
    let head = [
        "criterion on training samples",
        "chooses",
        "precision@1 ↑",
        "regret",
        "surprisal ↓",
        "regret",
        "KL ↓",
        "regret",
    ];
    Table::new(format!("The choice of the one jump ({name}); regret with 95% intervals"), &head, rows)
}

fn jump_table(name: &str, jumps: &[&Jump]) -> Table {
    let rows = jumps.iter().map(|jump| {
        vec![
            jump.jump.to_string(),
            number(jump.train_signed_square, 4, ""),
            number(jump.train_cosine, 4, ""),
            format!("{:.3e}", jump.train_mse),
            number(jump.train_kl, 3, ""),
            share(jump.precision_1, jump.precision_1_low, jump.precision_1_high),
            plain(jump.surprisal, jump.surprisal_low, jump.surprisal_high),
            plain(jump.kl, jump.kl_low, jump.kl_high),
        ]
    });
    let head = ["jump", "D", "cosine", "MSE", "KL (training)", "precision@1 ↑", "surprisal ↓", "KL ↓"];
    let mut table = Table::new(format!("Every jump as the one jump ({name})"), &head, rows.collect());
    table.folded = true;
    table
}

/// Spearman's rank correlation; ties share their mean rank.
fn rank_correlation(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
    product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt()
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| *other < value).count() as f64;
        let equal = values.iter().filter(|other| *other == value).count() as f64;
        below + (equal - 1.0) / 2.0
    };
    values.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spearman's ρ of (1, 2, 3, 4) and (1, 3, 2, 4) is 1 − 6·2/(4·15) = 0.8.
    #[test]
    fn the_rank_correlation_is_spearmans() {
        assert!((rank_correlation(&[1.0, 2.0, 3.0, 4.0], &[10.0, 30.0, 20.0, 99.0]) - 0.8).abs() < 1e-12);
        assert!((rank_correlation(&[1.0, 1.0, 2.0], &[5.0, 5.0, 9.0]) - 1.0).abs() < 1e-12);
    }
}
