//! The methods in the order of tables: those without a rank first, then by setting.

use onejump_core::results::Metrics;

use crate::run::Run;
use crate::setting::{Curve, SampleSet, Setting};
use crate::versus::{levels_won, more_precise};
use crate::words::{self, NONE, number, percent};

/// The methods that share a heading in a table.
#[derive(Debug)]
pub struct Block<'a> {
    pub name: String,
    /// The methods, with their names and with the solver where the heading does not say it.
    pub rows: Vec<(String, Curve<'a>)>,
}

/// All methods of a run.
pub fn blocks(run: &Run) -> Vec<Block<'_>> {
    let unranked = run.summary.averages.iter().filter(|average| average.method.rank.is_none());
    let mut unranked: Vec<(String, Curve)> = unranked
        .map(|average| {
            let curve = Curve::new(run, average);
            let solver = average.method.solver.map(|solver| format!(", {}", words::solver(solver)));
            (curve.label() + &solver.unwrap_or_default(), curve)
        })
        .collect();
    // Baselines before what was trained, closed form before Adam.
    unranked.sort_by_key(|(_, curve)| curve.average.method.solver);
    let first = Block { name: "baselines and full matrices".to_owned(), rows: unranked };
    let ranked = Setting::all(run).into_iter().map(|setting| Block {
        name: setting.name(),
        rows: setting.trained.into_iter().map(|curve| (curve.label(), curve)).collect(),
    });
    std::iter::once(first).chain(ranked).filter(|block| !block.rows.is_empty()).collect()
}

/// A column's heading, and its cell.
type Column = (&'static str, fn(&Metrics) -> String);

/// The metrics of a table of averages.
const COLUMNS: [Column; 7] = [
    ("precision@1 ↑", |mean| percent(mean.precision_1)),
    ("precision@5 ↑", |mean| percent(mean.precision_5)),
    ("precision@10 ↑", |mean| percent(mean.precision_10)),
    ("surprisal ↓ (nats)", |mean| number(mean.surprisal, 2, "")),
    ("mat_surprisal ↓ (nats)", |mean| number(mean.mat_surprisal, 2, "")),
    ("cosine ↑", |mean| optional(mean.cosine)),
    ("relative MSE ↓", |mean| optional(mean.relative_mse)),
];

fn optional(value: Option<f64>) -> String {
    value.map_or(NONE.to_owned(), |value| number(value, 3, ""))
}

/// What stands over [`cells`].
pub fn headings() -> impl Iterator<Item = &'static str> {
    COLUMNS.iter().map(|(heading, _)| *heading).chain(["levels above constant"])
}

/// The cells of a row of averages; `constant` is the baseline.
pub fn cells(curve: &Curve, constant: Option<&Curve>, samples: SampleSet) -> Option<Vec<String>> {
    let mean = curve.mean(samples)?;
    let above = constant.filter(|_| !curve.is_constant()).map(|constant| {
        let (won, all) = levels_won(curve, constant, samples, more_precise);
        format!("{} of {all}", won.len())
    });
    let metrics = COLUMNS.iter().map(|(_, cell)| cell(&mean));
    Some(metrics.chain([above.unwrap_or(NONE.to_owned())]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn tables_begin_with_what_has_no_rank() {
        let run = sample::run(12, &[57, 5]);
        let blocks = blocks(&run);
        let names: Vec<&str> = blocks.iter().map(|block| block.name.as_str()).collect();
        assert_eq!(
            names[1..],
            ["rank 5, closed form", "rank 5, Adam", "rank 57, closed form", "rank 57, Adam"]
        );
        let first: Vec<&str> = blocks[0].rows.iter().map(|(label, _)| label.as_str()).collect();
        assert_eq!(first, ["constant", "identity", "jtc, closed form", "jtc, Adam"]);
        let (_, constant) = &blocks[0].rows[0];
        let row = cells(constant, Some(constant), SampleSet::All).unwrap();
        assert_eq!(row.len(), headings().count());
        assert_eq!(row[7], NONE);
    }
}
