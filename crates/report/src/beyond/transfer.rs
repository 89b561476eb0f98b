//! Every jump at every level, and whether the paper's score chooses well.

use onejump_store::analyses::{Criterion, Jump, Measure, Regret};

use super::sets::Sets;
use crate::analyses::{Analyses, JumpSet};
use crate::figures::transfer::figure;
use crate::interval::{Interval, Measured};
use crate::shown::Section;
use crate::table::Table;
use crate::words::{self, nats, number, points};

/// The criteria in the order of the table, with their names.
const CRITERIA: [(Criterion, &str); 6] = [
    (Criterion::SignedSquare, "D, the signed square"),
    (Criterion::SignedSquareByTokens, "D, each token alike"),
    (Criterion::Cosine, "the plain cosine"),
    (Criterion::Mse, "the MSE"),
    (Criterion::Kl, "the KL divergence"),
    (Criterion::Precision1, "precision"),
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
             needs the head, would choose jump {}, the highest precision jump {}, and D with each token alike jump {}.",
            self.jumps.len(),
            self.name,
            chosen(Criterion::SignedSquare)?,
            precision?,
            surprisal?,
            kl?,
            chosen(Criterion::Kl)?,
            chosen(Criterion::Precision1)?,
            chosen(Criterion::SignedSquareByTokens)?
        ))
    }

    /// A line for each criterion: what it chose, and how much better which jump would have been.
    fn regret_table(&self) -> Table {
        let regret = |criterion: Criterion, measure: Measure, show: fn(Interval) -> String| {
            self.regret(criterion, measure).map_or(words::NONE.to_owned(), |row| {
                let regret = Interval::new(row.regret, row.regret_low, row.regret_high);
                format!("jump {}, by {}", row.best_jump, show(regret))
            })
        };
        let chosen = |criterion| self.regret(criterion, Measure::Precision1).map(|row| row.jump);
        Table::new(
            format!(
                "What each criterion chooses, and which jump is better on the test samples ({})",
                self.name
            ),
            CRITERIA,
            &[
                ("criterion on training samples", &|(_, name)| (*name).to_owned()),
                ("chooses", &|(by, _)| {
                    chosen(*by).map_or(words::NONE.to_owned(), |jump| format!("jump {jump}"))
                }),
                ("best in precision", &|(by, _)| regret(*by, Measure::Precision1, Interval::percent)),
                ("best in surprisal", &|(by, _)| regret(*by, Measure::Surprisal, Interval::plain)),
                ("best in KL", &|(by, _)| regret(*by, Measure::Kl, Interval::plain)),
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
