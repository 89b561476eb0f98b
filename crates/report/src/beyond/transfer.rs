//! Every jump at every level, and whether the paper's score chooses well.

use onejump_store::analyses::{Criterion, Jump, Measure, Regret};

use super::sets::Sets;
use crate::analyses::{Analyses, JumpSet};
use crate::figures::transfer::figure;
use crate::interval::{Interval, Measured};
use crate::section::Section;
use crate::table::Table;
use crate::words::{self, nats, number, percent, points};

/// A criterion, its name, and its value of a jump, where more is better.
type NamedCriterion = (Criterion, &'static str, fn(&Jump) -> f64);

/// The criteria in the order of the table.
const CRITERIA: [NamedCriterion; 4] = [
    (Criterion::SignedSquare, "D, the signed square", |jump| jump.train_signed_square),
    (Criterion::Cosine, "the plain cosine", |jump| jump.train_cosine),
    (Criterion::Mse, "the MSE", |jump| -jump.train_mse),
    (Criterion::Kl, "the KL divergence", |jump| -jump.train_kl),
];

/// The measures in the order of the table, with their names.
const MEASURES: [(Measure, &str); 3] =
    [(Measure::Precision1, "precision"), (Measure::Surprisal, "surprisal"), (Measure::Kl, "KL")];

/// The heat maps, the regret of each criterion, and what they say.
pub fn section(analyses: &Analyses, sets: &Sets) -> Option<Section> {
    analyses.jumps.first()?;
    let mut section = Section {
        id: "transfer",
        open: false,
        title: "Does one jump transfer, and does D choose it well?",
        paragraphs: Vec::new(),
        figures: Vec::new(),
        tables: Vec::new(),
    };
    for (index, &set) in sets.sets.iter().enumerate() {
        let choices = Choices::of(set, analyses);
        section.paragraphs.extend(choices.sentence().map(|text| sets.shown(set, text)));
        section.tables.push(sets.shown(set, choices.regret_table()));
        section.tables.push(sets.shown(set, choices.jump_table()));
        let figure = figure(&set.rows(&analyses.transfer), &set.suffix(index == 0), &choices.name);
        section.figures.extend(figure.map(|figure| sets.shown(set, figure)));
    }
    Some(section)
}

/// What the criteria chose among one set of jumps.
struct Choices<'a> {
    /// The set's name.
    name: String,
    jumps: Vec<&'a Jump>,
    regret: Vec<&'a Regret>,
}

impl<'a> Choices<'a> {
    fn of(set: JumpSet, analyses: &'a Analyses) -> Self {
        Self { name: set.name(), jumps: set.rows(&analyses.jumps), regret: set.rows(&analyses.regret) }
    }

    fn regret(&self, criterion: Criterion, measure: Measure) -> Option<&'a Regret> {
        self.regret.iter().copied().find(|row| (row.criterion, row.metric) == (criterion, measure))
    }

    fn jump(&self, jump: u32) -> Option<&'a Jump> {
        self.jumps.iter().copied().find(|row| row.jump == jump)
    }

    /// How far the choice of D is behind the jumps that are best on the test samples.
    fn sentence(&self) -> Option<String> {
        let part = |(measure, what): (Measure, &str)| {
            let row = self.regret(Criterion::SignedSquare, measure)?;
            let size = if measure == Measure::Precision1 { points(row.regret) } else { nats(row.regret) };
            let chance = if row.regret_low <= 0.0 { " (perhaps by chance)" } else { "" };
            Some(match row.best_jump {
                best if best == row.jump => format!("the best in {what}"),
                best => format!("{size} behind jump {best} in {what}{chance}"),
            })
        };
        let [precision, surprisal, kl] = MEASURES.map(part);
        let chosen = |criterion| Some(self.regret(criterion, Measure::Precision1)?.jump);
        Some(format!(
            "Of all {} jumps at {}, jump {}, which D chose, is {}, {} and {}. The lowest KL on training samples, which \
             needs the head, would choose jump {}.",
            self.jumps.len(),
            self.name,
            chosen(Criterion::SignedSquare)?,
            precision?,
            surprisal?,
            kl?,
            chosen(Criterion::Kl)?
        ))
    }

    /// How well a criterion orders the jumps by their precision on the test samples.
    fn order(&self, criterion: Criterion) -> String {
        let column =
            |value: fn(&Jump) -> f64| -> Vec<f64> { self.jumps.iter().map(|jump| value(jump)).collect() };
        let found = CRITERIA.into_iter().find(|(found, ..)| *found == criterion);
        found.map_or(words::NONE.to_owned(), |(.., score)| {
            number(rank_correlation(&column(score), &column(|jump| jump.precision_1)), 2, "")
        })
    }

    /// A line for each criterion, and one for the best jump in hindsight by each measure.
    fn regret_table(&self) -> Table {
        /// A jump, how it was found, and the criterion by which.
        struct Line<'a> {
            found: String,
            jump: &'a Jump,
            criterion: Option<Criterion>,
        }
        let chosen = CRITERIA.into_iter().filter_map(|(criterion, name, _)| {
            let jump = self.jump(self.regret(criterion, Measure::Precision1)?.jump)?;
            Some(Line { found: name.to_owned(), jump, criterion: Some(criterion) })
        });
        let best = MEASURES.into_iter().filter_map(|(measure, name)| {
            let jump = self.regret(Criterion::SignedSquare, measure).map_or(0, |row| row.best_jump);
            Some(Line {
                found: format!("best in hindsight by {name}"),
                jump: self.jump(jump)?,
                criterion: None,
            })
        });
        let regret = |line: &Line, measure: Measure, show: fn(Interval) -> String| {
            let row = line.criterion.and_then(|criterion| self.regret(criterion, measure));
            row.map_or(words::NONE.to_owned(), |row| {
                show(Interval::new(row.regret, row.regret_low, row.regret_high))
            })
        };
        Table::new(
            format!(
                "The choice of the one jump ({}): how much worse it is than the best one in hindsight, with 95% \
                 intervals, and the rank correlation of each criterion with precision over all jumps",
                self.name
            ),
            chosen.chain(best),
            &[
                ("criterion on training samples", &|line: &Line| line.found.clone()),
                ("chooses", &|line| format!("jump {}", line.jump.jump)),
                ("precision@1 ↑", &|line| percent(line.jump.precision_1)),
                ("regret", &|line| regret(line, Measure::Precision1, Interval::percent)),
                ("surprisal ↓", &|line| number(line.jump.surprisal, 2, "")),
                ("regret", &|line| regret(line, Measure::Surprisal, Interval::plain)),
                ("KL ↓", &|line| number(line.jump.kl, 2, "")),
                ("regret", &|line| regret(line, Measure::Kl, Interval::plain)),
                ("rank correlation", &|line| {
                    line.criterion.map_or(words::NONE.to_owned(), |by| self.order(by))
                }),
            ],
        )
    }

    fn jump_table(&self) -> Table {
        Table::new(
            format!("Every jump as the one jump ({})", self.name),
            self.jumps.iter().copied(),
            &[
                ("jump", &|row: &&Jump| row.jump.to_string()),
                ("D", &|row| number(row.train_signed_square, 4, "")),
                ("cosine", &|row| number(row.train_cosine, 4, "")),
                ("MSE", &|row| format!("{:.3e}", row.train_mse)),
                ("KL (training)", &|row| number(row.train_kl, 3, "")),
                ("precision@1 ↑", &|row| row.precision().percent()),
                ("surprisal ↓", &|row| row.surprisal().plain()),
                ("KL ↓", &|row| Interval::new(row.kl, row.kl_low, row.kl_high).plain()),
            ],
        )
    }
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
