//! One panel: lines by level, or bars by jump.

use svg::node::element::path::Data;
use svg::node::element::{Group, Rectangle};

use super::frame::{self, Axes, Frame, TEXT_SIZE, write};
use super::heat::Heat;
use super::style::{Marker, OJFA, Style, polyline, tenth};

/// The height of one method's row of marks beyond the axis.
const STRIP_ROW: f64 = 9.0;
/// The strip is at least so high, for what is written beside it.
const STRIP_LEAST: f64 = 26.0;
/// A line has at most about this many markers.
const MARKERS: usize = 16;
/// The opacity of the bars that were not chosen.
const OTHER_BARS: f64 = 0.35;

/// A line by level or by jump.
#[derive(Debug, Clone)]
pub struct Series {
    pub label: String,
    pub style: Style,
    /// The values at 0, 1, …; none where nothing was measured.
    pub values: Vec<Option<f64>>,
}

impl Series {
    /// The line with markers at the chosen levels; values above the plot are marked at `strip`.
    fn draw(&self, frame: &Frame, strip: f64, marked: impl Fn(usize) -> bool) -> Group {
        let mut drawn = self.style.group().add(self.style.line(path(frame, &self.values)));
        for (level, value) in self.values.iter().enumerate() {
            let Some(value) = value.filter(|value| value.is_finite()) else { continue };
            let x = frame.px(level as f64);
            if value > frame.y.1 {
                let marker = if self.style.marker == Marker::None { Marker::Up } else { self.style.marker };
                drawn = marker.at(x, strip, 2.6).into_iter().fold(drawn, Group::add);
            } else if marked(level) {
                drawn = self.style.mark(drawn, x, frame.py(value));
            }
        }
        drawn
    }
}

/// What a panel shows; lines later in a list lie above the earlier ones.
#[derive(Debug, Clone)]
pub enum Content {
    /// Lines by level or by jump.
    Lines {
        series: Vec<Series>,
        /// Points that are named: the place, the value, what is written.
        notes: Vec<(usize, f64, String)>,
    },
    /// Bars at 0, 1, …, of which the chosen one has a note over it.
    Bars { values: Vec<f64>, chosen: usize, note: String },
    /// Lines through points at any place.
    Curves { curves: Vec<Curve>, x: (f64, f64), ticks: Vec<(f64, String)> },
    /// A value for every pair, as colours.
    Heat(Heat),
}

/// A point of a line.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    pub x: f64,
    pub y: f64,
    /// The ends of the value's interval where it has one.
    pub interval: Option<(f64, f64)>,
}

#[derive(Debug, Clone)]
pub struct Curve {
    pub label: String,
    pub style: Style,
    pub points: Vec<Point>,
}

/// One panel of a figure.
#[derive(Debug, Clone)]
pub struct Panel {
    pub axes: Axes,
    /// The vertical range; values above it are marked in a strip above the plot.
    pub y: (f64, f64),
    pub content: Content,
    /// What it shows, for those who do not see it.
    pub alt: String,
}

impl Panel {
    /// The panel's marks, [`WIDTH`] by [`HEIGHT`].
    pub fn draw(&self) -> Group {
        match &self.content {
            Content::Lines { series, notes } => self.lines(series, notes),
            Content::Bars { values, chosen, note } => self.bars(values, *chosen, note),
            Content::Curves { curves, x, ticks } => self.curves(curves, *x, ticks),
            Content::Heat(heat) => heat.draw(&self.axes, self.y),
        }
    }

    fn curves(&self, curves: &[Curve], x: (f64, f64), ticks: &[(f64, String)]) -> Group {
        let frame = Frame { x, y: self.y, strip: 0.0 };
        let inside =
            |point: &&Point| (x.0..=x.1).contains(&point.x) && (self.y.0..=self.y.1).contains(&point.y);
        let mut group = Group::new().add(frame.draw(&self.axes, ticks));
        for curve in curves {
            let mut drawn = curve.style.group();
            let points: Vec<&Point> = curve.points.iter().filter(inside).collect();
            let place = |point: &&Point| (tenth(frame.px(point.x)), tenth(frame.py(point.y)));
            for point in &points {
                let (x, y) = place(point);
                if let Some((low, high)) = point.interval {
                    let end = |value: f64| tenth(frame.py(value.clamp(self.y.0, self.y.1)));
                    let bar = Data::new().move_to((x, end(low))).line_to((x, end(high)));
                    drawn = drawn.add(Style { dash: "", width: 1.0, ..curve.style }.line(bar));
                }
                drawn = curve.style.mark(drawn, x, y);
            }
            let data = polyline(points.iter().map(place));
            group = group.add(drawn.add(curve.style.line(data)));
        }
        group
    }

    fn lines(&self, series: &[Series], notes: &[(usize, f64, String)]) -> Group {
        let count = series.iter().map(|series| series.values.len()).max().unwrap_or(0);
        let above = |value: f64| value > self.y.1;
        let strips = series.iter().filter(|s| s.values.iter().flatten().any(|&v| above(v))).count();
        let strip = if strips == 0 { 0.0 } else { (STRIP_ROW * strips as f64 + 8.0).max(STRIP_LEAST) };
        let frame = Frame { x: (0.0, count.saturating_sub(1).max(1) as f64), y: self.y, strip };
        let mut group = Group::new().add(frame.draw(&self.axes, &frame::whole_ticks(count)));
        if strips > 0 {
            let y = frame.top() - 12.0;
            let text = format!("> {}", (self.axes.tick)(self.y.1, 1.0));
            group = group.add(write(&text, frame::LEFT - 7.0, y, "end", TEXT_SIZE - 1.0));
        }
        let every = count.div_ceil(MARKERS).max(1);
        let mut row = 0;
        for (index, one) in series.iter().enumerate() {
            let y = frame.top() - 9.0 - STRIP_ROW * row as f64;
            group = group.add(one.draw(&frame, y, |level| level % every == index % every));
            row += usize::from(one.values.iter().flatten().any(|&value| above(value)));
        }
        for (place, value, text) in notes {
            let (x, y) = (frame.px(*place as f64), frame.py(*value));
            let marked = OJFA.marker.at(x, y, 4.0).into_iter().fold(OJFA.group(), Group::add);
            group = group.add(marked).add(note(&frame, *place, *value, text));
        }
        group
    }

    fn bars(&self, values: &[f64], chosen: usize, text: &str) -> Group {
        let count = values.len();
        // The strip has room for the text over a bar that is as high as the plot.
        let frame = Frame { x: (-0.6, count as f64 - 0.4), y: self.y, strip: STRIP_LEAST };
        let width = 0.7 * (frame.px(1.0) - frame.px(0.0));
        let mut group = Group::new().add(frame.draw(&self.axes, &frame::whole_ticks(count)));
        for (jump, &value) in values.iter().enumerate() {
            let height = frame.py(0.0) - frame.py(value);
            let bar = Rectangle::new()
                .set("x", tenth(frame.px(jump as f64) - width / 2.0))
                .set("y", tenth(frame.py(value)))
                .set("width", tenth(width))
                .set("height", tenth(height))
                .set("fill", "currentColor");
            group = group.add(if jump == chosen {
                OJFA.group().add(bar)
            } else {
                Group::new().set("opacity", OTHER_BARS).add(bar)
            });
        }
        let value = values.get(chosen).copied().unwrap_or(0.0);
        group.add(note(&frame, chosen, value, text))
    }
}

/// A text over a point, kept inside the plot.
fn note(frame: &Frame, place: usize, value: f64, text: &str) -> Group {
    let x = frame.px(place as f64);
    let half = frame::text_width(text, TEXT_SIZE) / 2.0;
    let inside = x.clamp(frame::LEFT + half, (frame::RIGHT - half).max(frame::LEFT + half));
    let y = (frame.py(value) - 9.0).max(frame.top() - frame.strip + TEXT_SIZE);
    OJFA.group().add(write(text, inside, y, "middle", TEXT_SIZE).set("font-weight", 600))
}

/// The line through the values, cut where it leaves the upper border, broken where a value is missing.
fn path(frame: &Frame, values: &[Option<f64>]) -> Data {
    let limit = frame.y.1;
    let mut data = Data::new();
    let mut pen_down = false;
    for (index, pair) in values.windows(2).enumerate() {
        let [Some(from), Some(to)] = *pair else {
            pen_down = false;
            continue;
        };
        if !(from.is_finite() && to.is_finite()) || (from > limit && to > limit) {
            pen_down = false;
            continue;
        }
        let crossing = index as f64 + (limit - from) / (to - from);
        let start = if from > limit { (crossing, limit) } else { (index as f64, from) };
        let end = if to > limit { (crossing, limit) } else { (index as f64 + 1.0, to) };
        let pixel = |(x, y): (f64, f64)| (tenth(frame.px(x)), tenth(frame.py(y)));
        if !pen_down {
            data = data.move_to(pixel(start));
        }
        data = data.line_to(pixel(end));
        pen_down = to <= limit;
    }
    data
}

/// A rectangle as large as a panel, behind it.
pub fn background(width: f64, height: f64) -> Rectangle {
    Rectangle::new().set("width", width).set("height", height).set("fill", "#ffffff")
}

/// The line that stands for a style in a legend: this wide, in the middle of `y`.
pub fn legend_line(style: &Style, x: f64, y: f64, width: f64) -> Group {
    let line = style.line(Data::new().move_to((tenth(x), tenth(y))).line_to((tenth(x + width), tenth(y))));
    style.mark(style.group().add(line), x + width / 2.0, y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_at_the_border_and_broken_at_gaps() {
        let frame = Frame { x: (0.0, 4.0), y: (0.0, 10.0), strip: 0.0 };
        let values = [Some(5.0), Some(15.0), Some(20.0), Some(0.0), None, Some(1.0)];
        let data = svg::node::Value::from(path(&frame, &values)).to_string();
        // Down at 0, cut at 0.5; down again at 2.5 on the border; nothing around the gap.
        assert_eq!(data.matches('M').count(), 2, "{data}");
        assert_eq!(data.matches('L').count(), 2, "{data}");
        assert!(data.contains(&format!("{}", tenth(frame.px(0.5)))), "{data}");
    }
}
