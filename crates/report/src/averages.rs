//! The averages of all methods, in the order of tables: those without a rank first, then by setting.

use onejump_core::results::Metrics;
use onejump_core::shortcut::ShortcutKind;

use crate::run::Run;
use crate::setting::{Curve, Metric, SampleSet, Setting};
use crate::table::{Cell, Group, Look, Table};
use crate::words::{self, NONE, count, number, percent, thousands};

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

/// All methods with all metrics; none if there are no such samples.
pub fn table(run: &Run, samples: SampleSet) -> Option<Table> {
    let blocks = blocks(run);
    let mut curves = blocks.iter().flat_map(|block| &block.rows).map(|(_, curve)| curve);
    let constant = curves.find(|curve| curve.is_constant());
    let row = |(label, curve): &(String, Curve)| {
        let mean = curve.mean(samples)?;
        let above = constant.filter(|_| !curve.is_constant()).map_or(NONE.to_owned(), |constant| {
            let ahead = curve.ahead_of(constant, samples, Metric::Precision);
            format!("{} of {}", ahead.levels.len(), ahead.of)
        });
        let name = [label.clone().into(), thousands(curve.average.method.parameters).into()];
        let metrics = COLUMNS.iter().map(|(_, cell)| cell(&mean).into());
        Some(name.into_iter().chain(metrics).chain([above.into()]).collect())
    };
    let group = |block: &Block| Group {
        name: Some(block.name.clone()),
        rows: block.rows.iter().filter_map(row).collect(),
    };
    let summary = &run.summary;
    let samples_counted = match samples {
        SampleSet::All => format!("all {}", count(summary.test_samples, "test sample")),
        SampleSet::Without0 => {
            let others = summary.test_samples.saturating_sub(summary.test_samples_at_0);
            format!("the {} not at position 0", count(others, "test sample"))
        }
    };
    let metrics = COLUMNS.iter().map(|(heading, _)| *heading);
    let head = ["method", "parameters"].into_iter().chain(metrics).chain(["levels above constant"]);
    let mut groups: Vec<Group> = blocks.iter().map(group).collect();
    groups.retain(|group| !group.rows.is_empty());
    let caption = format!("Averages over the exit levels, {samples_counted}");
    (!groups.is_empty()).then(|| Table { caption, head: head.map(str::to_owned).collect(), groups })
}

/// The methods of one setting in the paper's two measures, the most precise first.
pub fn beside(setting: &Setting, samples: SampleSet) -> Option<Table> {
    let mut rows: Vec<(&Curve, Metrics)> =
        setting.curves().filter_map(|curve| Some((curve, curve.mean(samples)?))).collect();
    rows.sort_by(|a, b| b.1.precision_1.total_cmp(&a.1.precision_1));
    let line = |(curve, mean): &(&Curve, Metrics)| {
        let look = if curve.is(ShortcutKind::Ojfa) { Look::Chosen } else { Look::Plain };
        let parameters = curve.average.method.parameters;
        let cells = [
            curve.label(),
            percent(mean.precision_1),
            number(mean.surprisal, 2, ""),
            if parameters == 0 { NONE.to_owned() } else { thousands(parameters) },
        ];
        cells.map(|text| Cell::new(text, look)).into()
    };
    let head = ["method", "precision@1 ↑", "surprisal ↓", "parameters"].map(str::to_owned).into();
    let caption = format!("Averages over the exit levels ({}, {})", setting.name(), samples.name());
    (!rows.is_empty()).then(|| Table::of_rows(caption, head, rows.iter().map(line).collect()))
}

/// One metric of every method of a setting, a row for each exit level.
pub fn by_level(setting: &Setting, samples: SampleSet, metric: Metric) -> Option<Table> {
    setting.ojfa()?.mean(samples)?;
    let row = |level: usize| {
        let value = |curve: &Curve| match (curve.at(level, samples), metric) {
            (None, _) => NONE.to_owned(),
            (Some(metrics), Metric::Precision) => percent(metrics.precision_1),
            (Some(metrics), Metric::Surprisal) => number(metrics.surprisal, 2, ""),
        };
        std::iter::once(level.to_string()).chain(setting.curves().map(value)).map(Cell::from).collect()
    };
    let head = std::iter::once("level".to_owned()).chain(setting.curves().map(Curve::label)).collect();
    let caption = format!("{} at every exit level ({}, {})", metric.name(), setting.name(), samples.name());
    Some(Table::of_rows(caption, head, (0..setting.blocks).map(row).collect()))
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
        assert!(constant.is_constant());
        let table = table(&run, SampleSet::All).unwrap();
        assert!(table.rows().all(|row| row.len() == table.head.len()));
        assert_eq!(table.groups[0].rows[0].last().unwrap().text, NONE);
        assert_eq!(table.rows().count(), blocks.iter().map(|block| block.rows.len()).sum::<usize>());
    }
}
