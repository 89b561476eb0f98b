//! Dynamic exit: agreement with the full model against operations.

use onejump_core::shortcut::ShortcutKind;
use onejump_store::analyses::{Exit, ExitRule, LookSchedule, LookingHead};

use super::figure::Figure;
use super::frame::{self, Across, Axes, widen};
use super::panel::{Content, Curve, Panel, Point};
use super::style::{self, Style};
use crate::analyses::distinct;
use crate::words::{self, percent};

/// The least agreement that is drawn.
const LEAST: f64 = 0.5;

/// The most operations that are drawn, as a share of the full model's.
const MOST_OPERATIONS: f64 = 1.2;

/// The rule of the maximum probability, with the cheapest schedule of looks: at the fused head where
/// there is one, and at the full head. `constant` is the baseline's precision.
pub fn figure(rows: &[Exit], constant: Option<f64>) -> Option<Figure> {
    if rows.is_empty() {
        return None;
    }
    let curves = |head: LookingHead| -> Vec<Curve> {
        constant.map(by_lot).into_iter().chain(by_method(rows, head)).collect()
    };
    let (fused, full) = (curves(LookingHead::Fused), curves(LookingHead::Full));
    let operations = || fused.iter().chain(&full).flat_map(|curve| curve.points.iter().map(|point| point.x));
    let (least, most) = (operations().reduce(f64::min)?, operations().reduce(f64::max)?);
    let x = widen((least, most.min(MOST_OPERATIONS)));
    let legend = fused.iter().map(|curve| (curve.style, curve.label.clone())).collect();
    let caption = "Exit at the first look whose largest probability reaches a threshold; threshold and looks are \
                   the cheapest for a wanted agreement on training samples, points are test samples. Left, \
                   low-rank shortcuts look through the fused head; identity and jtc have the full one in both. \
                   Bars are 95% intervals; the dotted line \
                   exits by lot, without a look, with the most frequent token.";
    Some(Figure {
        stem: "exit".to_owned(),
        title: "Agreement against operations".to_owned(),
        caption: caption.to_owned(),
        legend,
        panels: vec![
            panel("Looking through the fused head", fused, x),
            panel("Looking through the full head", full, x),
        ],
    })
}

/// Without a look: tokens drawn by lot get the most frequent token before the first block.
fn by_lot(constant: f64) -> Curve {
    let points = [((LEAST - constant) / (1.0 - constant), LEAST), (1.0, 1.0)];
    Curve {
        label: "by lot (constant)".into(),
        style: style::CONSTANT,
        points: points.map(|(x, y)| Point { x, y, interval: None, note: None }).into(),
        guide: false,
    }
}

/// A line for each kind and rank that has points.
fn by_method(rows: &[Exit], head: LookingHead) -> Vec<Curve> {
    let mut ranks = distinct(rows.iter().filter_map(|row| row.rank));
    ranks.sort_unstable();
    let methods = distinct(rows.iter().map(|row| (row.method, row.rank)));
    let curve = |(index, (kind, rank)): (usize, (ShortcutKind, Option<u32>))| {
        // Without a rank there is no fused head.
        let head = if rank.is_some() { head } else { LookingHead::Full };
        let style = style::of_kind(kind, index);
        // A second rank has the colour of its kind and a thinner line.
        let place = rank.and_then(|rank| ranks.iter().position(|&other| other == rank)).unwrap_or(0);
        Curve {
            label: rank.map_or(kind.to_string(), |rank| format!("{kind}, rank {rank}")),
            style: Style { width: style.width / (1.0 + 0.5 * place as f64), ..style },
            points: points(rows.iter().filter(|row| (row.method, row.rank, row.head) == (kind, rank, head))),
            guide: false,
        }
    };
    methods.into_iter().enumerate().map(curve).filter(|curve| !curve.points.is_empty()).collect()
}

/// The agreements that are drawn, by operations.
fn points<'a>(rows: impl Iterator<Item = &'a Exit>) -> Vec<Point> {
    let drawn = rows.filter(|row| {
        (row.rule, row.schedule) == (ExitRule::Probability, LookSchedule::Best) && row.agreement >= LEAST
    });
    let mut points: Vec<Point> = drawn
        .map(|row| Point {
            x: row.operations,
            y: row.agreement,
            interval: Some((row.agreement_low, row.agreement_high)),
            note: row.jump.map(|jump| format!("jump {jump}")),
        })
        .collect();
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    points
}

fn panel(title: &'static str, curves: Vec<Curve>, x: (f64, f64)) -> Panel {
    let at_95 = curves.iter().map(|curve| {
        let agreeing = curve.points.iter().filter(|point| point.y >= 0.95);
        let cheapest = agreeing.map(|point| point.x).reduce(f64::min);
        format!("{}: {}", curve.label, cheapest.map_or(words::NONE.to_owned(), percent))
    });
    let alt =
        format!("{title}. Operations at an agreement of 95%: {}.", at_95.collect::<Vec<_>>().join("; "));
    let ticks = frame::ticks(x, frame::step(x.1 - x.0, 6.0)).into_iter();
    let ticks = ticks.map(|tick| (tick, words::number(100.0 * tick, 0, "%"))).collect();
    Panel {
        axes: Axes::percent(title, "agreement with the full model · ↑ higher is better", Across::Operations),
        y: (LEAST, 1.0),
        alt,
        content: Content::Curves { curves, x, ticks },
        metric: None,
    }
}
