//! How often drafts are right at each level, and what that makes of the text's speed.

use std::path::Path;

use onejump_core::drafting::{Card, Reading};

use super::figure::Figure;
use super::frame::{Across, Axes, widen};
use super::panel::{Content, Curve, Panel, Point};
use super::style::{self, Marker, Style};
use crate::analyses::distinct;
use crate::words::{number, percent};

/// The speed without drafts.
const PLAIN: f64 = 1.0;

/// So many of the best tokens of a look are shown beside the first.
pub const AMONG: usize = 5;

/// A shortcut's name: that of its file.
pub fn name(reading: &Reading) -> String {
    let stem = reading.jump.as_deref().and_then(|jump| Path::new(jump).file_stem());
    stem.map_or("the model’s own head".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// Two panels by level: the share that is right, and S.
pub fn figure(card: &Card) -> Figure {
    let shortcuts = distinct(card.readings.iter().map(name));
    let by_level = |label: String, style: Style, shortcut: &str, value: fn(&Reading) -> f64| {
        let rows = card.readings.iter().filter(|reading| name(reading) == shortcut);
        let mut points: Vec<Point> = rows
            .map(|row| Point { x: row.level as f64, y: value(row), interval: None, note: None })
            .collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        Curve { label, style, points, guide: false }
    };
    let guide = |label: &str, style: Style, y: f64| {
        let points = vec![Point { x: 0.0, y, interval: None, note: None }];
        Curve { label: label.to_owned(), style, points, guide: true }
    };
    let style = |index: usize| if index == 0 { style::OJFA } else { style::arbitrary(index - 1) };
    let text = Style { marker: Marker::None, ..style::N_NJTC };
    let pairs = Style { marker: Marker::None, ..style::JOINT };
    let mut right = vec![
        guide("what followed the same words", text, card.without_looks.ngram),
        guide("what most often follows the last token", pairs, card.without_looks.bigram),
    ];
    let mut speed = vec![guide("without drafts", style::CONSTANT, PLAIN)];
    for (index, shortcut) in shortcuts.iter().enumerate() {
        let among = Style { dash: "2 3", width: 1.6, ..style(index) };
        right.push(by_level(format!("{shortcut}, among the five best"), among, shortcut, |row| {
            row.right(AMONG)
        }));
        right.push(by_level(shortcut.clone(), style(index), shortcut, |row| row.right(1)));
        speed.push(by_level(shortcut.clone(), style(index), shortcut, |row| row.speedup));
    }
    let legend = right.iter().chain(&speed[..1]).map(|curve| (curve.style, curve.label.clone())).collect();
    let greatest =
        right.iter().flat_map(|curve| curve.points.iter().map(|point| point.y)).fold(0.0, f64::max);
    let speeds = || speed.iter().flat_map(|curve| curve.points.iter().map(|point| point.y));
    let range = widen((speeds().fold(PLAIN, f64::min), speeds().fold(PLAIN, f64::max)));
    let alt = |what: &str, best: Option<&Reading>, value: String| {
        let place =
            best.map_or(String::new(), |best| format!(" The most is {value}, at level {}.", best.level));
        format!("{what} by exit level.{place}")
    };
    let most = |value: fn(&Reading) -> f64| card.readings.iter().max_by(|a, b| value(a).total_cmp(&value(b)));
    let (most_right, fastest) = (most(|row| row.right(1)), most(|row| row.speedup));
    let axes = Axes::percent("Right on its own text", "share of tokens · ↑ higher is better", Across::Level);
    let text = alt(
        "How often the first draft is right",
        most_right,
        most_right.map_or(String::new(), |row| percent(row.right(1))),
    );
    let right = panel(card, axes, widen((0.0, greatest.max(1e-3))), text, right);
    let axes = Axes::plain("Times as fast", "as without drafts (S) · ↑ higher is better", Across::Level);
    let text = alt(
        "Times as fast as without drafts",
        fastest,
        fastest.map_or(String::new(), |row| number(row.speedup, 2, "")),
    );
    let speed = panel(card, axes, range, text, speed);
    Figure {
        stem: "drafting".to_owned(),
        title: "Drafts from an early level".to_owned(),
        caption: "Left: how often a token that the model writes is the first of a look at a level, or among its five best; \
                  the horizontal lines need no look. Right: what the best chain or siblings at that level make of the speed, \
                  computed from these shares and from what looks and rows cost on this machine."
            .to_owned(),
        legend,
        panels: vec![right, speed],
    }
}

fn panel(card: &Card, axes: Axes, y: (f64, f64), alt: String, curves: Vec<Curve>) -> Panel {
    let mut levels = distinct(card.readings.iter().map(|reading| reading.level));
    levels.sort_unstable();
    let ends = (levels.first().copied().unwrap_or(0) as f64, levels.last().copied().unwrap_or(0) as f64);
    let every = levels.len().div_ceil(10);
    let ticks = levels.iter().step_by(every.max(1)).map(|&level| (level as f64, level.to_string())).collect();
    let x = if ends.0 < ends.1 { widen(ends) } else { (ends.0 - 1.0, ends.1 + 1.0) };
    Panel { axes, y, alt, content: Content::Curves { curves, x, ticks }, metric: None }
}
