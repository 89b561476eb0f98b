//! One panel: lines by level, bars by jump, lines through points, or colours.

use serde::Serialize;
use svg::node::element::path::Data;
use svg::node::element::{Group, Rectangle};

use super::frame::{self, Axes, Frame, TEXT_SIZE, write};
use super::heat::Heat;
use super::style::{Marker, OJFA, Style, polyline, tenth};
use crate::setting::Metric;

/// The height of one method's row of marks beyond the axis.
const STRIP_ROW: f64 = 9.0;
/// The strip is at least so high, for what is written beside it.
const STRIP_LEAST: f64 = 26.0;
/// A line has at most about this many markers.
const MARKERS: usize = 16;
/// The opacity of the bars that were not chosen.
const OTHER_BARS: f64 = 0.35;

/// A line by level or by jump.
#[derive(Debug, Clone, Serialize)]
pub struct Series {
    pub label: String,
    #[serde(skip)]
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

/// What a panel shows; lines later in a list lie above the earlier ones. A page gets the numbers of it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// Lines by level or by jump.
    Lines {
        series: Vec<Series>,
        /// Points that are named: the place, the value, what is written.
        #[serde(skip)]
        notes: Vec<(usize, f64, String)>,
    },
    /// Bars at 0, 1, …, of which the chosen one has a note over it.
    Bars {
        values: Vec<f64>,
        #[serde(skip)]
        chosen: usize,
        #[serde(skip)]
        note: String,
    },
    /// Lines through points at any place.
    Curves {
        curves: Vec<Curve>,
        #[serde(skip)]
        x: (f64, f64),
        #[serde(skip)]
        ticks: Vec<(f64, String)>,
    },
    /// A value for every pair, as colours.
    Heat(Heat),
}

/// A point of a line.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    pub x: f64,
    pub y: f64,
    /// The ends of the value's interval where it has one.
    pub interval: Option<(f64, f64)>,
    /// What distinguishes it from the other points of its line: a rank, a number of jumps.
    pub note: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Curve {
    pub label: String,
    #[serde(skip)]
    pub style: Style,
    pub points: Vec<Point>,
    /// Whether this is the value of something that has no place on the horizontal axis: a line across the plot.
    pub guide: bool,
}

/// Where a drawing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    File,
    /// A page finds the lines of a method by its name, to hide them.
    Page,
}

impl Medium {
    fn named(self, marks: Group, method: &str) -> Group {
        if self == Self::Page { marks.set("data-method", method) } else { marks }
    }
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
    /// The measure of a page's switch that it shows; none if it shows something else.
    pub metric: Option<Metric>,
}

impl Panel {
    /// The panel's marks, [`frame::WIDTH`] by [`frame::HEIGHT`].
    pub fn draw(&self, medium: Medium) -> Group {
        let frame = self.frame();
        match &self.content {
            Content::Lines { series, notes } => self.lines(medium, &frame, series, notes),
            Content::Bars { values, chosen, note } => self.bars(&frame, values, *chosen, note),
            Content::Curves { curves, ticks, .. } => self.curves(medium, &frame, curves, ticks),
            Content::Heat(heat) => heat.draw(&self.axes, &frame),
        }
    }

    /// Where values lie.
    pub fn frame(&self) -> Frame {
        let y = self.y;
        match &self.content {
            Content::Lines { series, .. } => {
                let strips = series.iter().filter(|series| self.leaves(series)).count();
                let strip =
                    if strips == 0 { 0.0 } else { (STRIP_ROW * strips as f64 + 8.0).max(STRIP_LEAST) };
                Frame {
                    x: (0.0, length(series).saturating_sub(1).max(1) as f64),
                    y,
                    strip,
                    left: frame::LEFT,
                }
            }
            // The strip has room for the text over a bar that is as high as the plot.
            Content::Bars { values, .. } => {
                Frame { x: (-0.6, values.len() as f64 - 0.4), y, strip: STRIP_LEAST, left: frame::LEFT }
            }
            Content::Curves { x, .. } => Frame { x: *x, y, strip: 0.0, left: frame::LEFT },
            Content::Heat(heat) => {
                Frame { x: (-0.5, heat.levels() as f64 - 0.5), y, strip: 0.0, left: heat.left() }
            }
        }
    }

    /// Whether a value of a line lies above the axis.
    fn leaves(&self, series: &Series) -> bool {
        series.values.iter().flatten().any(|&value| value > self.y.1)
    }

    fn curves(&self, medium: Medium, frame: &Frame, curves: &[Curve], ticks: &[(f64, String)]) -> Group {
        let across = |point: &Point| self.axes.across.place(point.x);
        let seen = |value: f64| (self.y.0..=self.y.1).contains(&value);
        let mut group = Group::new().add(frame.draw(&self.axes, ticks));
        for curve in curves {
            let mut marks = curve.style.group();
            let mut places = Vec::new();
            for point in curve.points.iter().filter(|point| seen(point.y)) {
                let y = tenth(frame.py(point.y));
                if curve.guide {
                    places.extend([frame.x.0, frame.x.1].map(|x| (tenth(frame.px(x)), y)));
                    continue;
                }
                if !(frame.x.0..=frame.x.1).contains(&across(point)) {
                    continue;
                }
                let x = tenth(frame.px(across(point)));
                if let Some((low, high)) = point.interval {
                    let end = |value: f64| tenth(frame.py(value.clamp(self.y.0, self.y.1)));
                    let bar = Data::new().move_to((x, end(low))).line_to((x, end(high)));
                    marks = marks.add(Style { dash: "", width: 1.0, ..curve.style }.line(bar));
                }
                marks = curve.style.mark(marks, x, y);
                places.push((x, y));
            }
            let line = curve.style.line(polyline(places.into_iter()));
            group = group.add(medium.named(marks.add(line), &curve.label));
        }
        group
    }

    fn lines(
        &self,
        medium: Medium,
        frame: &Frame,
        series: &[Series],
        notes: &[(usize, f64, String)],
    ) -> Group {
        let count = length(series);
        let mut group = Group::new().add(frame.draw(&self.axes, &frame::whole_ticks(count)));
        if frame.strip > 0.0 {
            let y = frame.top() - 12.0;
            let text = format!("> {}", frame::tick(self.axes.percent, self.y.1, 1.0));
            group = group.add(write(&text, frame::LEFT - 7.0, y, "end", TEXT_SIZE - 1.0));
        }
        let every = count.div_ceil(MARKERS).max(1);
        let mut row = 0;
        for (index, one) in series.iter().enumerate() {
            let y = frame.top() - 9.0 - STRIP_ROW * row as f64;
            let marks = one.draw(frame, y, |level| level % every == index % every);
            group = group.add(medium.named(marks, &one.label));
            row += usize::from(self.leaves(one));
        }
        for (place, value, text) in notes {
            let (x, y) = (frame.px(*place as f64), frame.py(*value));
            let marked = OJFA.marker.at(x, y, 4.0).into_iter().fold(OJFA.group(), Group::add);
            group = group.add(marked).add(note(frame, *place, *value, text));
        }
        group
    }

    fn bars(&self, frame: &Frame, values: &[f64], chosen: usize, text: &str) -> Group {
        let width = 0.7 * (frame.px(1.0) - frame.px(0.0));
        let mut group = Group::new().add(frame.draw(&self.axes, &frame::whole_ticks(values.len())));
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
        group.add(note(frame, chosen, value, text))
    }
}

/// The places of the longest line.
fn length(series: &[Series]) -> usize {
    series.iter().map(|series| series.values.len()).max().unwrap_or(0)
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
        let frame = Frame { x: (0.0, 4.0), y: (0.0, 10.0), strip: 0.0, left: frame::LEFT };
        let values = [Some(5.0), Some(15.0), Some(20.0), Some(0.0), None, Some(1.0)];
        let data = svg::node::Value::from(path(&frame, &values)).to_string();
        // Down at 0, cut at 0.5; down again at 2.5 on the border; nothing around the gap.
        assert_eq!(data.matches('M').count(), 2, "{data}");
        assert_eq!(data.matches('L').count(), 2, "{data}");
        assert!(data.contains(&format!("{}", tenth(frame.px(0.5)))), "{data}");
    }
}
