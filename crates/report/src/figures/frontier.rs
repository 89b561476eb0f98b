//! Average quality over shortcut parameters: all methods and sizes on one figure.

use onejump_core::shortcut::{ShortcutKind, Solver};
use onejump_store::analyses::{Criterion, FileAverage, Subset};

use super::figure::Figure;
use super::frame::{Across, Axes, widen};
use super::panel::{Content, Curve, Panel, Point};
use super::style::{self, Marker, Style};
use crate::analyses::distinct;
use crate::interval::{Interval, Measured};
use crate::setting::Metric;
use crate::words;

/// The numbers of jumps that are drawn: more would hide each other's intervals.
const SIZES: [u32; 10] = [1, 2, 3, 4, 6, 9, 14, 20, 30, 45];

/// All files without a label, in closed form where there is one, and the sets of several jumps.
pub fn figure(averages: &[FileAverage], subsets: &[Subset]) -> Option<Figure> {
    let drawn = Drawn::new(averages, subsets)?;
    let precision = drawn.curves(|row| row.precision());
    let surprisal = drawn.curves(|row| row.surprisal());
    let (_, most) = range(precision.iter());
    let surprisal_range = widen(drawn.surprisal_range());
    let legend = precision.iter().map(|curve| (curve.style, curve.label.clone())).collect();
    let unit = "share of samples · ↑ higher is better";
    let axes = Axes::percent("Average precision@1", unit, Across::Parameters);
    let precision = drawn.panel(axes, widen((0.0, most)), Metric::Precision, precision);
    let axes = Axes::plain("Average surprisal", "nats · ↓ lower is better", Across::Parameters);
    let surprisal = drawn.panel(axes, surprisal_range, Metric::Surprisal, surprisal);
    let caption = "Closed form where there is one, averages over the exit levels; along a line the rank grows, along a line of \
                   several jumps their number. Bars are 95% intervals of a bootstrap over the test sentences.";
    Some(Figure {
        stem: "frontier".to_owned(),
        title: "What the parameters buy".to_owned(),
        caption: caption.to_owned(),
        legend,
        panels: vec![precision, surprisal],
    })
}

/// The rows that are drawn.
struct Drawn<'a> {
    identity: Option<&'a FileAverage>,
    /// The files with parameters.
    files: Vec<&'a FileAverage>,
    subsets: &'a [Subset],
    /// The horizontal range in powers of ten, a little wider than the values.
    x: (f64, f64),
}

impl<'a> Drawn<'a> {
    fn new(averages: &'a [FileAverage], subsets: &'a [Subset]) -> Option<Self> {
        // Of what both solvers found, the closed form; some kinds have gradient descent alone.
        let exact = |row: &FileAverage| row.solver != Some(Solver::Adam);
        let only =
            |row: &FileAverage| !averages.iter().any(|other| other.method == row.method && exact(other));
        let files: Vec<&FileAverage> = averages
            .iter()
            .filter(|row| row.label.is_none() && row.parameters > 0 && (exact(row) || only(row)))
            .collect();
        let parameters =
            files.iter().map(|row| row.parameters).chain(subsets.iter().map(|row| row.parameters));
        let logs: Vec<f64> = parameters.map(|count| (count as f64).log10()).collect();
        let least = logs.iter().copied().reduce(f64::min)?;
        let most = logs.iter().copied().reduce(f64::max)?;
        let identity = averages.iter().find(|row| row.method == ShortcutKind::Identity);
        Some(Self { identity, files, subsets, x: (least - 0.1, most + 0.1) })
    }

    /// The lines of one measure: the identity's, one for each kind, one for the subsets of each rank.
    fn curves(&self, measure: impl Fn(&dyn Measured) -> Interval) -> Vec<Curve> {
        let point = |parameters: u64, note: Option<String>, row: &dyn Measured| {
            let Interval { value, low, high } = measure(row);
            Point { x: parameters as f64, y: value, interval: Some((low, high)), note }
        };
        let identity = self.identity.map(|identity| {
            let style = Style { marker: Marker::None, ..style::IDENTITY };
            let points = vec![point(0, None, identity)];
            Curve { label: "identity (no parameters)".into(), style, points, guide: true }
        });
        let mut kinds = distinct(self.files.iter().map(|row| row.method));
        kinds.sort_unstable_by_key(|kind| kind.name());
        let by_kind = kinds.into_iter().enumerate().map(|(index, kind)| {
            let mut rows: Vec<_> = self.files.iter().copied().filter(|row| row.method == kind).collect();
            rows.sort_by_key(|row| row.parameters);
            let note = |row: &FileAverage| row.rank.map(|rank| format!("rank {rank}"));
            let points = rows.into_iter().map(|row| point(row.parameters, note(row), row)).collect();
            Curve { label: kind.to_string(), style: style::of_kind(kind, index), points, guide: false }
        });
        let mut ranks = distinct(self.subsets.iter().map(|row| row.rank));
        ranks.sort_unstable();
        let by_rank = ranks.into_iter().enumerate().map(|(index, rank)| {
            let rows = self.subsets.iter().filter(|row| {
                row.rank == rank && row.criterion == Criterion::SignedSquare && SIZES.contains(&row.size)
            });
            let note = |row: &Subset| Some(words::count(row.size as usize, "jump"));
            let points = rows.map(|row| point(row.parameters, note(row), row)).collect();
            let style = Style { dash: ["3 2", "7 2", "1 3", "9 4"][index % 4], ..style::SUBSETS };
            Curve { label: format!("1, 2, 3 … jumps of rank {rank}"), style, points, guide: false }
        });
        let by_rank = by_rank.filter(|curve| !curve.points.is_empty());
        identity.into_iter().chain(by_kind).chain(by_rank).collect()
    }

    /// The least and the greatest surprisal that is drawn. What was not fitted to what the model predicts would flatten the
    /// others, and counts only where there are no others.
    fn surprisal_range(&self) -> (f64, f64) {
        let fitted = |row: &&&FileAverage| row.method != ShortcutKind::JacobianLens;
        let files: Vec<_> = self.files.iter().filter(fitted).copied().collect();
        let files = if files.is_empty() && self.subsets.is_empty() { self.files.clone() } else { files };
        let drawn = Drawn { identity: None, files, subsets: self.subsets, x: self.x };
        range(drawn.curves(|row| row.surprisal()).iter())
    }

    fn panel(&self, axes: Axes, y: (f64, f64), metric: Metric, curves: Vec<Curve>) -> Panel {
        let alt = alt(&curves, metric);
        let powers = self.x.0.ceil() as i32..=self.x.1.floor() as i32;
        let ticks = powers.map(|power| (f64::from(power), power_of_ten(power))).collect();
        let content = Content::Curves { curves, x: self.x, ticks };
        Panel { axes, y, alt, content, metric: Some(metric) }
    }
}

/// The least and the greatest value of these lines.
fn range<'a>(curves: impl Iterator<Item = &'a Curve>) -> (f64, f64) {
    let values = curves.flat_map(|curve| curve.points.iter().map(|point| point.y));
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), y| (least.min(y), most.max(y)))
}

/// The lines in words: where each begins and ends.
fn alt(curves: &[Curve], metric: Metric) -> String {
    let what = match metric {
        Metric::Precision => "Precision",
        Metric::Surprisal => "Surprisal",
    };
    let ends = curves.iter().filter_map(|curve| {
        let (first, last) = (curve.points.first()?, curve.points.last()?);
        Some(metric.ends(&curve.label, first.y, last.y))
    });
    format!("{what} from the fewest to the most parameters. {}.", ends.collect::<Vec<_>>().join("; "))
}

/// "1,000", "10,000", "1 million".
fn power_of_ten(power: i32) -> String {
    match power {
        6.. => format!("{} million", words::thousands(10u64.pow(power as u32 - 6))),
        0.. => words::thousands(10u64.pow(power as u32)),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn average(method: &str, parameters: u64, surprisal: f64) -> FileAverage {
        serde_json::from_value(json!({
            "method": method, "parameters": parameters, "precision_1": 0.2, "precision_1_low": 0.1,
            "precision_1_high": 0.3, "surprisal": surprisal, "surprisal_low": surprisal,
            "surprisal_high": surprisal, "kl": 1.0, "kl_low": 1.0, "kl_high": 1.0
        }))
        .unwrap()
    }

    /// What would flatten the others is left out, unless nothing is left.
    #[test]
    fn the_surprisal_of_what_is_fitted_sets_the_axis() {
        let (jtc, lens) = (average("jtc", 900, 3.0), average("jacobian-lens", 900, 12.0));
        let axis = |averages: &[FileAverage]| figure(averages, &[]).unwrap().panels[1].y;
        let (least, most) = axis(&[jtc, lens.clone()]);
        assert!(least <= 3.0 && 3.0 < most && most < 12.0, "{least} to {most}");
        let (least, most) = axis(&[lens]);
        assert!(least <= 12.0 && 12.0 <= most && least < most && most.is_finite(), "{least} to {most}");
    }
}
