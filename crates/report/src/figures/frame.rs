//! The frame of one panel: scales, ticks, grid, axis titles.

use serde::Serialize;
use svg::node::element::{Group, Line, Text};

use super::style::tenth;

/// Width of a panel.
pub const WIDTH: f64 = 420.0;
pub const HEIGHT: f64 = 310.0;
pub const TITLE_SIZE: f64 = 15.0;
/// Size of what is written beside the titles.
pub const TEXT_SIZE: f64 = 13.0;

/// The left border of the plot, in pixels.
pub const LEFT: f64 = 46.0;
/// The right border of the plot.
pub const RIGHT: f64 = WIDTH - 10.0;
const TOP: f64 = 50.0;
/// The lower border of the plot.
pub const BOTTOM: f64 = HEIGHT - 44.0;

/// Opacity of the axis and its ticks, and of the grid.
const AXIS: f64 = 0.9;
const GRID: f64 = 0.16;

/// About how many ticks an axis has.
const TICKS: f64 = 6.0;

/// From data to pixels: the least and the greatest value on each axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    pub x: (f64, f64),
    pub y: (f64, f64),
    /// The height above the plot that is kept free, for marks beyond the axis.
    pub strip: f64,
    /// The left border of the plot, in pixels: [`LEFT`], unless rows have names.
    pub left: f64,
}

/// What grows along the horizontal axis; the name is a column's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Across {
    /// Exit levels.
    Level,
    /// Jumps, by the level that they were trained at.
    Jump,
    /// Shortcut parameters, by powers of ten.
    Parameters,
    /// Operations, as a share of the full model's.
    Operations,
}

impl Across {
    /// What is written below the axis.
    fn title(self) -> &'static str {
        match self {
            Self::Level => "exit level k",
            Self::Jump => "jump m",
            Self::Parameters => "shortcut parameters",
            Self::Operations => "operations, looks included (share of the full model’s)",
        }
    }

    /// Where a value lies on the axis.
    pub fn place(self, value: f64) -> f64 {
        if self == Self::Parameters { value.log10() } else { value }
    }
}

/// What the axes say.
#[derive(Debug, Clone, Serialize)]
pub struct Axes {
    /// What is measured, above the vertical axis.
    pub title: &'static str,
    /// Its unit and which way is better, in lighter type.
    #[serde(skip)]
    pub unit: &'static str,
    pub across: Across,
    /// Whether the vertical axis is of shares, whose ticks are percentages.
    pub percent: bool,
}

impl Axes {
    /// Axes of shares, whose ticks are percentages.
    pub const fn percent(title: &'static str, unit: &'static str, across: Across) -> Self {
        Self { title, unit, across, percent: true }
    }

    /// Axes of plain numbers.
    pub const fn plain(title: &'static str, unit: &'static str, across: Across) -> Self {
        Self { title, unit, across, percent: false }
    }
}

/// A share or a number as a tick, with as many decimals as its step needs.
pub fn tick(percent: bool, value: f64, step: f64) -> String {
    let (factor, unit) = if percent { (100.0, "%") } else { (1.0, "") };
    let decimals = (-(factor * step).log10().floor()).clamp(0.0, 6.0) as usize;
    crate::words::number(factor * value, decimals, unit)
}

impl Frame {
    /// Pixels from the left.
    pub fn px(&self, x: f64) -> f64 {
        self.left + (x - self.x.0) / (self.x.1 - self.x.0) * (RIGHT - self.left)
    }

    /// Pixels from the top.
    pub fn py(&self, y: f64) -> f64 {
        BOTTOM - (y - self.y.0) / (self.y.1 - self.y.0) * (BOTTOM - self.top())
    }

    /// The upper border of the plot, in pixels.
    pub fn top(&self) -> f64 {
        TOP + self.strip
    }

    /// Grid, ticks and titles; `x_ticks` are places on the horizontal axis and what is written there.
    pub fn draw(&self, axes: &Axes, x_ticks: &[(f64, String)]) -> Group {
        let mut group = self.across(axes, x_ticks);
        let step = step(self.y.1 - self.y.0, TICKS);
        for tick in ticks(self.y, step) {
            let y = self.py(tick);
            let text = self::tick(axes.percent, tick, step);
            group = group.add(rule((self.left, y), (RIGHT, y), GRID));
            group = group.add(write(&text, self.left - 7.0, y + 4.5, "end", TEXT_SIZE));
        }
        group
    }

    /// The same without a vertical axis.
    pub fn across(&self, axes: &Axes, x_ticks: &[(f64, String)]) -> Group {
        let mut group = Group::new().add(rule((self.left, BOTTOM), (RIGHT, BOTTOM), AXIS));
        for (tick, text) in x_ticks {
            let x = self.px(*tick);
            group = group.add(rule((x, BOTTOM), (x, BOTTOM + 5.0), AXIS));
            // A wide text at the right end stays inside the panel.
            let inside = x.min(WIDTH - text_width(text, TEXT_SIZE) / 2.0);
            group = group.add(write(text, inside, BOTTOM + 19.0, "middle", TEXT_SIZE));
        }
        let title = write(axes.title, 2.0, 18.0, "start", TITLE_SIZE).set("font-weight", 600);
        let unit = write(axes.unit, 2.0, 36.0, "start", TEXT_SIZE).set("opacity", 0.8);
        let middle = (self.left + RIGHT) / 2.0;
        group.add(title).add(unit).add(write(axes.across.title(), middle, HEIGHT - 6.0, "middle", TEXT_SIZE))
    }
}

/// A line of the frame.
pub fn rule(from: (f64, f64), to: (f64, f64), opacity: f64) -> Line {
    Line::new()
        .set("x1", tenth(from.0))
        .set("y1", tenth(from.1))
        .set("x2", tenth(to.0))
        .set("y2", tenth(to.1))
        .set("stroke", "currentColor")
        .set("stroke-opacity", opacity)
}

/// Something written, in the colour around it.
pub fn write(text: &str, x: f64, y: f64, anchor: &str, size: f64) -> Text {
    Text::new(text)
        .set("x", tenth(x))
        .set("y", tenth(y))
        .set("text-anchor", anchor)
        .set("font-size", size)
        .set("fill", "currentColor")
}

/// About how wide a text is; no font is measured.
pub fn text_width(text: &str, size: f64) -> f64 {
    0.52 * size * text.chars().count() as f64
}

/// The step of 1, 2 or 5 times a power of ten that divides a range into at most `parts` parts.
pub fn step(range: f64, parts: f64) -> f64 {
    if !(range.is_finite() && range > 0.0) {
        return 1.0;
    }
    let power = 10f64.powf((range / parts).log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|step| step * power);
    steps.into_iter().find(|step| range / step <= parts * (1.0 + 1e-9)).unwrap_or(10.0 * power)
}

/// The multiples of a step in a range.
pub fn ticks((from, to): (f64, f64), step: f64) -> Vec<f64> {
    let (first, last) = ((from / step - 1e-9).ceil() as i64, (to / step + 1e-9).floor() as i64);
    (first..=last).map(|index| index as f64 * step).collect()
}

/// The range, widened to whole steps; a range without width becomes one step wide.
pub fn widen((from, to): (f64, f64)) -> (f64, f64) {
    let mut whole = step(to - from, TICKS);
    loop {
        let low = (from / whole + 1e-9).floor() * whole;
        let high = ((to / whole - 1e-9).ceil() * whole).max(low + whole);
        // A wider range can have a greater step; the range must begin and end with that one.
        let next = step(high - low, TICKS);
        if next <= whole * (1.0 + 1e-9) {
            return (low, high);
        }
        whole = next;
    }
}

/// Ticks for the whole numbers 0..count.
pub fn whole_ticks(count: usize) -> Vec<(f64, String)> {
    let step = step(count.saturating_sub(1) as f64, 8.0).max(1.0) as usize;
    (0..count).step_by(step).map(|tick| (tick as f64, tick.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        assert_eq!([0.9, 30.0, 7.4, 0.0].map(|range| step(range, 6.0)), [0.2, 5.0, 2.0, 1.0]);
        assert_eq!(ticks((0.0, 6.0), 2.0), [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(widen((0.0, 7.4)), (0.0, 8.0));
        assert_eq!(widen((3.0, 3.0)), (3.0, 4.0));
        let (low, high) = widen((0.358, 0.463));
        assert!((low - 0.35).abs() < 1e-9 && (high - 0.5).abs() < 1e-9, "{low} {high}");
        let texts: Vec<String> = whole_ticks(30).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["0", "5", "10", "15", "20", "25"]);
        assert_eq!(whole_ticks(1), [(0.0, "0".to_owned())]);
    }
}
