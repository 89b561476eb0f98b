//! Every jump at every level, and whether the paper's score chooses well.

use onejump_store::analyses::{Criterion, Jump, Measure, Regret};

use crate::analyses::{Analyses, JumpSet};
use crate::figures::transfer::figure;
use crate::interval::{Interval, Measured};
use crate::section::{Section, Table};
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
pub fn section(analyses: &Analyses) -> Option<Section> {
    let mut section = Section {
        id: "transfer",
        title: "Does one jump transfer, and does D choose it well?",
        paragraphs: vec![format!(
            "Every jump was applied at every exit level. The criteria are over the first {} training samples, the \
             same for all; regret is how much worse the chosen jump is on the test samples than the one that is \
             best there.",
            words::thousands(u64::from(analyses.jumps.first()?.train_samples))
        )],
        figures: Vec::new(),
        tables: Vec::new(),
    };
    for (index, set) in analyses.sets().into_iter().enumerate() {
        let choices = Choices::of(set, analyses);
        section.paragraphs.extend(choices.sentences());
        section.tables.extend([choices.regret_table(), choices.jump_table()]);
        section.figures.extend(figure(&set.rows(&analyses.transfer), &set.suffix(index == 0), &choices.name));
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

    fn sentences(&self) -> Vec<String> {
        let name = &self.name;
        let by_d_and_kl = self.chosen_by(Criterion::SignedSquare).zip(self.chosen_by(Criterion::Kl));
        let chosen = by_d_and_kl
            .map(|(d, kl)| format!("At {name}, D chose {d}. The lowest KL on training samples chose {kl}."));
        let column =
            |value: fn(&Jump) -> f64| -> Vec<f64> { self.jumps.iter().map(|jump| value(jump)).collect() };
        let correlations = CRITERIA.map(|(_, criterion, score)| {
            let with = |measure| number(rank_correlation(&column(score), &column(measure)), 2, "");
            format!("{criterion} {} and {}", with(|jump| jump.precision_1), with(|jump| -jump.surprisal))
        });
        let ordered = format!(
            "How well a criterion orders all {} jumps, as rank correlations with their precision and with their low \
             surprisal on the test samples: {}. {}",
            self.jumps.len(),
            words::list(&correlations),
            self.verdict().unwrap_or_default()
        );
        chosen.into_iter().chain([ordered]).collect()
    }

    /// "jump 16, which is the best in precision, 0.01 nats behind jump 17 in surprisal, and …".
    fn chosen_by(&self, criterion: Criterion) -> Option<String> {
        let part = |(measure, what): (Measure, &str)| {
            let row = self.regret(criterion, measure)?;
            let size = if measure == Measure::Precision1 { points(row.regret) } else { nats(row.regret) };
            let chance = if row.regret_low <= 0.0 { " (perhaps by chance)" } else { "" };
            Some(match row.best_jump {
                best if best == row.jump => format!("the best in {what}"),
                best => format!("{size} behind jump {best} in {what}{chance}"),
            })
        };
        let [precision, surprisal, kl] = MEASURES.map(part);
        let jump = self.regret(criterion, Measure::Precision1)?.jump;
        Some(format!("jump {jump}, which is {}, {}, and {}", precision?, surprisal?, kl?))
    }

    /// Whether D is a good criterion, by its regret in the paper's two measures, beside that of the KL
    /// divergence.
    fn verdict(&self) -> Option<String> {
        let precision = self.regret(Criterion::SignedSquare, Measure::Precision1)?;
        let surprisal = self.regret(Criterion::SignedSquare, Measure::Surprisal)?;
        let kl_precision = self.regret(Criterion::Kl, Measure::Precision1)?;
        let kl_surprisal = self.regret(Criterion::Kl, Measure::Surprisal)?;
        let quality = match [precision, surprisal].iter().filter(|row| row.regret_low > 0.0).count() {
            0 => "good criterion here: no jump is certainly better than its choice in precision or surprisal",
            1 => "fair criterion here: some jump is certainly better than its choice in one of the two",
            _ => "poor criterion here: other jumps are certainly better in precision and in surprisal",
        };
        let behind = |d: &Regret, kl: &Regret| d.regret > kl.regret;
        let beside = match (behind(precision, kl_precision), behind(surprisal, kl_surprisal)) {
            _ if precision.jump == kl_precision.jump => "chooses the same jump",
            (true, true) => "chooses better by both",
            (false, false) => "does not choose better by either",
            (true, false) => "chooses better by precision alone",
            (false, true) => "chooses better by surprisal alone",
        };
        let squares = match self.regret(Criterion::Cosine, Measure::Precision1) {
            Some(cosine) if cosine.jump == precision.jump => {
                " The plain cosine chooses the same jump as D.".to_owned()
            }
            Some(cosine) => format!(" The plain cosine chooses jump {}.", cosine.jump),
            None => String::new(),
        };
        Some(format!("D is a {quality}; the KL divergence, which needs the head, {beside}.{squares}"))
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
            format!("The choice of the one jump ({}); regret with 95% intervals", self.name),
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
            ],
        )
    }

    fn jump_table(&self) -> Table {
        let table = Table::new(
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
        );
        Table { folded: true, ..table }
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
