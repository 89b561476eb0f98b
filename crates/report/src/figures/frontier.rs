//! Average quality over shortcut parameters: all methods and sizes on one figure.

use std::collections::BTreeMap;

use onejump_store::analyses::{FileAverage, Subset};

use super::Figure;
use super::frame::{Axes, widen};
use super::panel::{Content, Panel, Points};
use super::style::{self, Marker, Style};
use crate::words::{nats, percent};

/// The numbers of jumps that are drawn: more would hide each other's intervals.
const SIZES: [u32; 10] = [1, 2, 3, 4, 6, 9, 14, 20, 30, 45];

/// A value with its interval.
type Measured = (f64, f64, f64);

/// All files without a label, in closed form where there is one, and the sets of several jumps.
pub fn figure(averages: &[FileAverage], subsets: &[Subset]) -> Option<Figure> {
    // Of what both solvers found, the closed form; some kinds have gradient descent alone.
    let exact = |row: &FileAverage| row.solver.as_deref() != Some("adam");
    let only = |row: &FileAverage| !averages.iter().any(|other| other.method == row.method && exact(other));
    let kept: Vec<&FileAverage> = averages
        .iter()
        .filter(|row| row.label.is_none() && row.parameters > 0 && (exact(row) || only(row)))
        .collect();
    let x = range(kept.iter().map(|row| row.parameters).chain(subsets.iter().map(|row| row.parameters)))?;
    let precision = curves(
        averages,
        &kept,
        subsets,
        x,
        |row| (row.precision_1, row.precision_1_low, row.precision_1_high),
        |row| (row.precision_1, row.precision_1_low, row.precision_1_high),
    );
    let surprisal = curves(
        averages,
        &kept,
        subsets,
        x,
        |row| (row.surprisal, row.surprisal_low, row.surprisal_high),
        |row| (row.surprisal, row.surprisal_low, row.surprisal_high),
    );
    let legend: Vec<(Style, String)> =
        precision.iter().map(|curve| (curve.style, curve.label.clone())).collect();
    let limits = |curves: &[Points]| {
        let values = || curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.1));
        (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max))
    };
    // The identity's surprisal would flatten the others.
    let trained: Vec<Points> =
        surprisal.iter().filter(|curve| curve.style.class != "identity").cloned().collect();
    let ticks: Vec<(f64, String)> = (x.0.ceil() as i32..=x.1.floor() as i32)
        .map(|power| (f64::from(power), power_of_ten(power)))
        .collect();
    let alt = |what: &str, curves: &[Points], value: fn(f64) -> String| {
        let ends = curves.iter().filter_map(|curve| {
            let (first, last) = (curve.points.first()?, curve.points.last()?);
            Some(format!("{}: {} to {}", curve.label, value(first.1), value(last.1)))
        });
        format!("{what} from the fewest to the most parameters. {}.", ends.collect::<Vec<_>>().join("; "))
    };
    let panels = vec![
        Panel {
            axes: Axes {
                title: "Average precision@1",
                unit: "share of samples · ↑ higher is better",
                x: "shortcut parameters",
                tick: |value, step| super::number_tick(100.0 * value, 100.0 * step, "%"),
            },
            y: widen((0.0, limits(&precision).1)),
            alt: alt("Precision", &precision, percent),
            content: Content::Curves { curves: precision, x, ticks: ticks.clone() },
        },
        Panel {
            axes: Axes {
                title: "Average surprisal",
                unit: "nats · ↓ lower is better",
                x: "shortcut parameters",
                tick: |value, step| super::number_tick(value, step, ""),
            },
            y: widen(limits(&trained)),
            alt: alt("Surprisal", &surprisal, nats),
            content: Content::Curves { curves: surprisal, x, ticks },
        },
    ];
    let caption = "Closed form where there is one, averages over the exit levels; along a line the rank grows, along a line of \
                   several jumps their number. Bars are 95% intervals of a bootstrap over the test sentences.";
    let title = "What the parameters buy".to_owned();
    Some(Figure::with_legend("frontier".into(), title, caption.into(), legend, panels))
}

/// The horizontal range in powers of ten, a little wider than the values.
fn range(parameters: impl Iterator<Item = u64>) -> Option<(f64, f64)> {
    let logs: Vec<f64> = parameters.map(|count| (count as f64).log10()).collect();
    let least = logs.iter().copied().reduce(f64::min)?;
    let most = logs.iter().copied().reduce(f64::max)?;
    Some((least - 0.1, most + 0.1))
}

fn curves(
    averages: &[FileAverage],
    kept: &[&FileAverage],
    subsets: &[Subset],
    x: (f64, f64),
    of: impl Fn(&FileAverage) -> Measured,
    of_set: impl Fn(&Subset) -> Measured,
) -> Vec<Points> {
    let mut curves = Vec::new();
    if let Some(identity) = averages.iter().find(|row| row.method == "identity") {
        let value = of(identity).0;
        let style = Style { marker: Marker::None, ..style::IDENTITY };
        let points = vec![(x.0, value, None), (x.1, value, None)];
        curves.push(Points { label: "identity (no parameters)".into(), style, points });
    }
    let point = |parameters: u64, (value, low, high): Measured| {
        ((parameters as f64).log10(), value, Some((low, high)))
    };
    let mut methods: BTreeMap<&str, Vec<&FileAverage>> = BTreeMap::new();
    for row in kept {
        methods.entry(&row.method).or_default().push(row);
    }
    for (index, (name, mut rows)) in methods.into_iter().enumerate() {
        rows.sort_by_key(|row| row.parameters);
        let points = rows.iter().map(|row| point(row.parameters, of(row))).collect();
        curves.push(Points { label: name.to_owned(), style: style::of_method(name, index), points });
    }
    let mut ranks: Vec<u32> = subsets.iter().map(|row| row.rank).collect();
    ranks.sort_unstable();
    ranks.dedup();
    for (index, rank) in ranks.into_iter().enumerate() {
        let rows = subsets.iter().filter(|row| row.rank == rank && row.criterion == "signed-square");
        let rows = rows.filter(|row| SIZES.contains(&row.size));
        let points: Vec<_> = rows.map(|row| point(row.parameters, of_set(row))).collect();
        let dash = ["3 2", "7 2", "1 3", "9 4"][index % 4];
        let style = Style { dash, ..style::SUBSETS };
        if !points.is_empty() {
            curves.push(Points { label: format!("1, 2, 3 … jumps of rank {rank}"), style, points });
        }
    }
    curves
}

/// "1,000", "10,000", "1 million".
fn power_of_ten(power: i32) -> String {
    match power {
        6.. => format!("{} million", crate::words::thousands(10u64.pow(power as u32 - 6))),
        0.. => crate::words::thousands(10u64.pow(power as u32)),
        _ => String::new(),
    }
}
