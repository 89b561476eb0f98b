//! A value for every jump and level, or for every class of samples and level, as colours.

use serde::Serialize;
use svg::node::element::path::Data;
use svg::node::element::{Group, Path};

use super::frame::{self, Axes, Frame, TEXT_SIZE, tick, write};
use super::style::{INK, tenth};

/// Colours from worst to best: viridis, which keeps its order in grey and for colour-blind readers.
const COLORS: [(u8, u8, u8); 5] = [(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)];

/// Colours of differences: below 0, 0, above it.
const DIFFERENCES: [(u8, u8, u8); 5] =
    [(158, 52, 0), (235, 151, 95), (240, 240, 240), (110, 178, 219), (0, 84, 140)];

/// Steps of colour.
const STEPS: usize = 24;

/// The share of the values that is drawn as the worst colour, so that a few bad jumps leave the others
/// their differences.
const CLIPPED: f64 = 0.1;

/// A panel's values.
#[derive(Debug, Clone, Serialize)]
pub struct Heat {
    /// By jump, then by level.
    pub values: Vec<Vec<f64>>,
    /// What the rows are, where they are no jumps: their values are then differences, whose colours tell the sign.
    pub rows: Option<Vec<String>>,
    /// Whether more is better.
    #[serde(skip)]
    pub more_is_better: bool,
    /// Whether the values are shares, which are written as percentages.
    pub percent: bool,
}

impl Heat {
    /// The worst and the best value that the colours tell apart.
    pub fn range(&self) -> (f64, f64) {
        let mut values: Vec<f64> = self.values.iter().flatten().copied().filter(|v| v.is_finite()).collect();
        values.sort_unstable_by(f64::total_cmp);
        if !self.more_is_better {
            values.reverse();
        }
        let at = |share: f64| values.get((share * values.len() as f64) as usize).copied().unwrap_or(0.0);
        if self.rows.is_some() {
            let most = at(CLIPPED).abs().max(at(1.0 - CLIPPED).abs());
            return if self.more_is_better { (-most, most) } else { (most, -most) };
        }
        (at(CLIPPED), values.last().copied().unwrap_or(1.0))
    }

    /// The best jump at every level.
    pub fn best(&self) -> Vec<usize> {
        let better = |a: f64, b: f64| if self.more_is_better { a > b } else { a < b };
        let best_at = |level: usize| {
            let at = |jump: usize| self.values[jump][level];
            let best = |best, jump| if better(at(jump), at(best)) { jump } else { best };
            (0..self.values.len()).reduce(best).unwrap_or(0)
        };
        (0..self.levels()).map(best_at).collect()
    }

    /// The exit levels.
    pub fn levels(&self) -> usize {
        self.values.first().map_or(0, Vec::len)
    }

    /// The left border of the plot: names of rows need room.
    pub fn left(&self) -> f64 {
        let width = |name: &String| frame::text_width(name, TEXT_SIZE);
        self.rows.iter().flatten().map(width).fold(frame::LEFT, |left, width| left.max(width + 9.0))
    }

    /// The panel in its frame.
    pub fn draw(&self, axes: &Axes, frame: &Frame) -> Group {
        let levels = self.levels();
        // In units of cells, one path per colour, and in it a line as thick as a cell for equal neighbours:
        // rectangles in pixels would be ten times longer.
        let (left, first) = (frame.px(-0.5), frame.py(0.0));
        let (width, height) = (frame.px(0.5) - left, frame.py(1.0) - first);
        let mut cells = Group::new()
            .set("transform", format!("translate({left} {first}) scale({width} {height})"))
            .set("fill", "none")
            .set("shape-rendering", "crispEdges");
        let mut paths = vec![String::new(); STEPS];
        for (jump, values) in self.values.iter().enumerate() {
            let steps: Vec<usize> = values.iter().map(|value| self.step(*value)).collect();
            let mut level = 0;
            for run in steps.chunk_by(usize::eq) {
                paths[run[0]].push_str(&format!("M{level} {jump}h{}", run.len()));
                level += run.len();
            }
        }
        for (step, data) in paths.into_iter().enumerate().filter(|(_, data)| !data.is_empty()) {
            cells = cells.add(Path::new().set("d", data).set("stroke", self.color(step)));
        }
        let ticks = frame::whole_ticks(levels);
        if let Some(rows) = &self.rows {
            let name = |(row, name): (usize, &String)| {
                write(name, frame.left - 6.0, frame.py(row as f64) + 4.0, "end", TEXT_SIZE - 1.0)
            };
            let names = rows.iter().enumerate().map(name).fold(Group::new(), Group::add);
            let group = Group::new().add(cells).add(names).add(frame.across(axes, &ticks));
            return self.scale().into_iter().fold(group, Group::add);
        }
        let mut dots = Data::new();
        for (level, jump) in self.best().into_iter().enumerate() {
            let (x, y) = (frame.px(level as f64), frame.py(jump as f64));
            dots = dots.move_to((tenth(x - 1.7), tenth(y))).line_to((tenth(x + 1.7), tenth(y)));
        }
        let dots = Path::new().set("d", dots).set("stroke", INK).set("stroke-width", 3.4);
        let group = Group::new().add(cells).add(dots).add(frame.draw(axes, &ticks));
        self.scale().into_iter().fold(group, Group::add)
    }

    /// The bar that explains the colours, in the upper right corner.
    fn scale(&self) -> Vec<Group> {
        let (worst, best) = self.range();
        let (width, top) = (3.0, 8.0);
        let left = frame::RIGHT - width * STEPS as f64;
        let bar = |step: usize| {
            let x = left + width * step as f64;
            let data = Data::new().move_to((tenth(x), top)).horizontal_line_by(width).vertical_line_by(9.0);
            Path::new().set("d", data.horizontal_line_by(-width).close()).set("fill", self.color(step))
        };
        let bars = (0..STEPS).map(bar).fold(Group::new(), Group::add);
        let step = (best - worst).abs() / 10.0;
        let text = |value: f64| tick(self.percent, value, step.max(1e-6));
        let low = write(&text(worst), left, top + 24.0, "start", TEXT_SIZE - 1.0);
        let high = write(&text(best), frame::RIGHT, top + 24.0, "end", TEXT_SIZE - 1.0);
        vec![bars, Group::new().add(low).add(high)]
    }

    fn color(&self, step: usize) -> String {
        color(if self.rows.is_some() { &DIFFERENCES } else { &COLORS }, step)
    }

    /// The colour of a value, from 0 for the worst.
    fn step(&self, value: f64) -> usize {
        let (worst, best) = self.range();
        if !value.is_finite() || best == worst {
            return 0;
        }
        (((value - worst) / (best - worst)).clamp(0.0, 1.0) * (STEPS - 1) as f64).round() as usize
    }
}

/// A colour between those of a scale, from the first to the last.
fn color(scale: &[(u8, u8, u8)], step: usize) -> String {
    let place = step as f64 / (STEPS - 1) as f64 * (scale.len() - 1) as f64;
    let (index, part) = ((place as usize).min(scale.len() - 2), place.fract());
    let part = if place as usize > index { 1.0 } else { part };
    let (from, to) = (scale[index], scale[index + 1]);
    let mix = |from: u8, to: u8| (f64::from(from) + part * (f64::from(to) - f64::from(from))).round() as u8;
    format!("#{:02x}{:02x}{:02x}", mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bright_is_better_either_way() {
        assert_eq!(
            (color(&COLORS, 0), color(&COLORS, STEPS - 1)),
            ("#440154".to_owned(), "#fde725".to_owned())
        );
        let values = vec![vec![1.0, 2.0], vec![3.0, 0.5]];
        let more = Heat { values: values.clone(), rows: None, more_is_better: true, percent: false };
        let less = Heat { values, more_is_better: false, ..more.clone() };
        assert_eq!((more.best(), less.best()), (vec![1, 0], vec![0, 1]));
        assert_eq!((more.step(3.0), less.step(0.5)), (STEPS - 1, STEPS - 1));
        assert_eq!((more.step(0.5), less.step(3.0)), (0, 0));
    }

    #[test]
    fn differences_have_the_middle_colour_at_0() {
        let values = vec![(0..20).map(|value| f64::from(value) / 10.0 - 0.5).collect()];
        let heat = Heat { values, rows: Some(vec!["a class".into()]), more_is_better: true, percent: true };
        let (worst, best) = heat.range();
        assert_eq!(worst, -best);
        assert_eq!(heat.step(-1e-9) + heat.step(1e-9), STEPS - 1);
    }
}
