//! The methods in the order of tables: those without a rank first, then by setting.

use onejump_core::results::Metrics;
use onejump_core::shortcut::Solver;

use crate::run::Run;
use crate::setting::{Curve, SampleSet, Setting};
use crate::versus::{levels_won, more_precise};
use crate::words;

/// The methods that share a heading in a table.
#[derive(Debug)]
pub struct Block<'a> {
    /// The heading.
    pub name: String,
    /// The methods, with their names and with the solver where the heading does not say it.
    pub rows: Vec<(String, Curve<'a>)>,
}

/// All methods of a run.
pub fn blocks<'a>(run: &'a Run) -> Vec<Block<'a>> {
    let settings = Setting::all(run);
    let mut unranked: Vec<(String, Curve)> = Vec::new();
    let curves = run.summary.averages.iter().filter(|average| average.method.rank.is_none());
    for curve in curves.map(|average| Curve::new(run, average)) {
        let label = match curve.average.method.solver {
            Some(solver) => format!("{}, {}", curve.label(), words::solver(solver)),
            None => curve.label(),
        };
        unranked.push((label, curve));
    }
    // Baselines before what was trained, closed form before Adam.
    unranked.sort_by_key(|(_, curve)| curve.average.method.solver.map_or(0, |solver| 1 + order(solver)));
    let first = Block { name: "baselines and full matrices".to_owned(), rows: unranked };
    let ranked = settings.into_iter().map(|setting| Block {
        name: setting.name(),
        rows: setting.trained().map(|curve| (curve.label(), curve.clone())).collect(),
    });
    std::iter::once(first).chain(ranked).filter(|block| !block.rows.is_empty()).collect()
}

fn order(solver: Solver) -> u8 {
    match solver {
        Solver::ClosedForm => 0,
        Solver::Adam => 1,
    }
}

/// The cells of a row of averages, in the order of [`HEADINGS`]; `constant` is the baseline.
pub fn cells(curve: &Curve, constant: Option<&Curve>, samples: SampleSet) -> Option<Vec<String>> {
    let Metrics { precision_1, precision_5, precision_10, surprisal, mat_surprisal, cosine, relative_mse } =
        curve.mean(samples)?;
    let plain = |value: f64, decimals| words::number(value, decimals, "");
    let optional = |value: Option<f64>| value.map_or(words::NONE.to_owned(), |value| plain(value, 3));
    let above = constant.filter(|constant| constant.average.method != curve.average.method).map_or(
        words::NONE.to_owned(),
        |constant| {
            let (won, all) = levels_won(curve, constant, samples, more_precise);
            format!("{} of {all}", won.len())
        },
    );
    Some(vec![
        words::percent(precision_1),
        words::percent(precision_5),
        words::percent(precision_10),
        plain(surprisal, 2),
        plain(mat_surprisal, 2),
        optional(cosine),
        optional(relative_mse),
        above,
    ])
}

/// What stands over [`cells`].
pub const HEADINGS: [&str; 8] = [
    "precision@1 ↑",
    "precision@5 ↑",
    "precision@10 ↑",
    "surprisal ↓ (nats)",
    "mat_surprisal ↓ (nats)",
    "cosine ↑",
    "relative MSE ↓",
    "levels above constant",
];

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
        assert_eq!(row.len(), HEADINGS.len());
        assert_eq!(row[7], words::NONE);
    }
}
