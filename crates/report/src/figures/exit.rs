//! Dynamic exit: agreement with the full model against operations.

use onejump_store::analyses::Exit;

use super::Figure;
use super::frame::{Axes, widen};
use super::panel::{Content, Panel, Point, Points};
use super::style::{self, Style};
use crate::words::{self, percent};

/// The least agreement that is drawn.
const LEAST: f64 = 0.5;

/// The rule of the maximum probability, with the cheapest schedule of looks: at the fused head where
/// there is one, and at the full head.
pub fn figure(rows: &[Exit], constant: Option<f64>) -> Option<Figure> {
    let mut ranks: Vec<u32> = rows.iter().filter_map(|row| row.rank).collect();
    ranks.sort_unstable();
    ranks.dedup();
    let of = |fused: bool| -> Vec<Points> {
        let mut names: Vec<(&str, Option<u32>)> = Vec::new();
        for row in rows {
            let name = (row.method.as_str(), row.rank);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let curve = |(index, &(method, rank)): (usize, &(&str, Option<u32>))| {
            let head = if fused && rank.is_some() { "fused" } else { "full" };
            let mut points: Vec<Point> = rows
                .iter()
                .filter(|row| (row.method.as_str(), row.rank) == (method, rank))
                .filter(|row| row.rule == "probability" && row.schedule == "best" && row.head == head)
                .filter(|row| row.agreement >= LEAST)
                .map(|row| (row.operations, row.agreement, Some((row.agreement_low, row.agreement_high))))
                .collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            let style = style::of_method(method, index);
            // A second rank has the colour of its method and a thinner line.
            let place = rank.and_then(|rank| ranks.iter().position(|&other| other == rank)).unwrap_or(0);
            let style = Style { width: style.width / (1.0 + 0.5 * place as f64), ..style };
            let label = rank.map_or(method.to_owned(), |rank| format!("{method}, rank {rank}"));
            Points { label, style, points }
        };
        // Without a look: tokens drawn by lot get the most frequent token before the first block.
        let by_lot = constant.map(|constant| Points {
            label: "by lot (constant)".into(),
            style: style::CONSTANT,
            points: vec![((LEAST - constant) / (1.0 - constant), LEAST, None), (1.0, 1.0, None)],
        });
        let curves = names.iter().enumerate().map(curve).filter(|curve| !curve.points.is_empty());
        by_lot.into_iter().chain(curves).collect()
    };
    let (fused, full) = (of(true), of(false));
    let all = || fused.iter().chain(&full).flat_map(|curve| curve.points.iter());
    if rows.is_empty() {
        return None;
    }
    let most = all().map(|point| point.0).reduce(f64::max)?;
    let least = all().map(|point| point.0).reduce(f64::min)?;
    let x = widen((least, most.min(1.2)));
    let steps = super::frame::ticks(x, super::frame::step(x.1 - x.0, 6.0));
    let ticks: Vec<(f64, String)> =
        steps.into_iter().map(|tick| (tick, words::number(100.0 * tick, 0, "%"))).collect();
    let legend = fused.iter().map(|curve| (curve.style, curve.label.clone())).collect();
    let panel = |title: &'static str, curves: Vec<Points>| {
        let at_95 = curves.iter().map(|curve| {
            let cheapest =
                curve.points.iter().filter(|point| point.1 >= 0.95).map(|point| point.0).reduce(f64::min);
            format!("{}: {}", curve.label, cheapest.map_or(words::NONE.to_owned(), percent))
        });
        let alt =
            format!("{title}. Operations at an agreement of 95%: {}.", at_95.collect::<Vec<_>>().join("; "));
        Panel {
            axes: Axes {
                title,
                unit: "agreement with the full model · ↑ higher is better",
                x: "operations, looks included (share of the full model’s)",
                tick: |value, step| super::number_tick(100.0 * value, 100.0 * step, "%"),
            },
            y: (LEAST, 1.0),
            alt,
            content: Content::Curves { curves, x, ticks: ticks.clone() },
        }
    };
    let panels = vec![
        panel("Looking through the fused head", fused.clone()),
        panel("Looking through the full head", full),
    ];
    let caption = "Exit at the first look whose largest probability reaches a threshold; threshold and looks are \
                   the cheapest for a wanted agreement on training samples, points are test samples. Left, \
                   low-rank shortcuts look through the fused head; identity and jtc have the full one in both. \
                   Bars are 95% intervals; the dotted line \
                   exits by lot, without a look, with the most frequent token.";
    let title = "Agreement against operations".to_owned();
    Some(Figure::with_legend("exit".into(), title, caption.into(), legend, panels))
}
