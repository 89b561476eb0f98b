//! A figure in the pieces of a page: panels that can lie under each other, in colours of the style sheet, with
//! the numbers behind them.

use serde::Serialize;
use svg::Document;

use super::figure::Figure;
use super::frame::{Across, BOTTOM, HEIGHT, LEFT, RIGHT, WIDTH};
use super::panel::{self, Content, Panel};
use crate::setting::Metric;

/// The width of a legend's line.
const LEGEND_LINE: f64 = 34.0;

#[derive(Debug, Serialize)]
pub struct FigurePart {
    /// Its anchor, and the name of the files that are saved from it.
    id: String,
    title: String,
    caption: String,
    legend: Vec<LegendPart>,
    /// Those of the page's measures where the figure has any, else all.
    panels: Vec<PanelPart>,
    /// The others.
    more: Vec<PanelPart>,
}

/// A method, and the line that stands for it, as an SVG.
#[derive(Debug, Serialize)]
struct LegendPart {
    line: String,
    label: String,
}

/// A panel as an SVG, with its numbers.
#[derive(Debug, Serialize)]
struct PanelPart {
    metric: Option<Metric>,
    svg: String,
    numbers: Numbers,
}

/// What a panel shows, in numbers, and where it shows them.
#[derive(Debug, Serialize)]
struct Numbers {
    title: &'static str,
    across: Across,
    percent: bool,
    /// Whether each method is a row of colours.
    heat: bool,
    /// The least and the greatest value of the axes.
    x: (f64, f64),
    y: (f64, f64),
    /// The plot's borders in the SVG: left, right, top, bottom.
    plot: [f64; 4],
    methods: Vec<MethodNumbers>,
}

/// The values of one method; what is empty is left out.
#[derive(Debug, Default, Serialize)]
struct MethodNumbers {
    label: String,
    /// Places on the horizontal axis; left out where they are 0, 1, …, and none for a line across the plot.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    x: Vec<Option<f64>>,
    y: Vec<Option<f64>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    low: Vec<Option<f64>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    high: Vec<Option<f64>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    note: Vec<Option<String>>,
}

impl FigurePart {
    /// The pieces of a figure; `suffix` tells it from other figures of the same name.
    pub fn new(figure: &Figure, suffix: &str) -> Self {
        let switched = figure.panels.iter().any(|panel| panel.metric.is_some());
        let (panels, more): (Vec<&Panel>, Vec<&Panel>) =
            figure.panels.iter().partition(|panel| !switched || panel.metric.is_some());
        Self {
            id: format!("{}{suffix}", figure.stem),
            title: figure.title.clone(),
            caption: figure.caption.clone(),
            legend: figure.legend.iter().map(|(style, label)| LegendPart::new(style, label)).collect(),
            panels: panels.into_iter().map(PanelPart::new).collect(),
            more: more.into_iter().map(PanelPart::new).collect(),
        }
    }
}

impl LegendPart {
    fn new(style: &super::style::Style, label: &str) -> Self {
        let line = Document::new()
            .set("viewBox", (0, 0, LEGEND_LINE, 14))
            .set("width", LEGEND_LINE)
            .set("height", 14)
            .set("aria-hidden", "true")
            .add(panel::legend_line(style, 0.0, 7.0, LEGEND_LINE));
        Self { line: line.to_string(), label: label.to_owned() }
    }
}

impl PanelPart {
    fn new(panel: &Panel) -> Self {
        let svg = Document::new()
            .set("viewBox", (0, 0, WIDTH, HEIGHT))
            .set("class", "panel")
            .set("role", "img")
            .set("aria-label", panel.alt.as_str())
            .add(panel.draw().named());
        Self { metric: panel.metric, svg: svg.to_string(), numbers: Numbers::of(panel) }
    }
}

impl Numbers {
    fn of(panel: &Panel) -> Self {
        let frame = panel.frame();
        let (axes, percent) = match &panel.content {
            Content::Heat(heat) => (&panel.axes, heat.percent),
            _ => (&panel.axes, panel.axes.percent),
        };
        Self {
            title: axes.title,
            across: axes.across,
            percent,
            heat: matches!(panel.content, Content::Heat(_)),
            x: frame.x,
            y: frame.y,
            plot: [LEFT, RIGHT, frame.top(), BOTTOM],
            methods: methods(&panel.content),
        }
    }
}

fn methods(content: &Content) -> Vec<MethodNumbers> {
    let at_each = |label: String, values: &mut dyn Iterator<Item = Option<f64>>| MethodNumbers {
        label,
        y: values.map(|value| value.and_then(rounded)).collect(),
        ..MethodNumbers::default()
    };
    match content {
        Content::Lines { series, .. } => {
            let line =
                |series: &panel::Series| at_each(series.label.clone(), &mut series.values.iter().copied());
            series.iter().map(line).collect()
        }
        Content::Bars { values, .. } => {
            vec![at_each("softmax of D".into(), &mut values.iter().copied().map(Some))]
        }
        Content::Curves { curves, .. } => curves.iter().map(MethodNumbers::of_curve).collect(),
        Content::Heat(heat) => {
            let row = |(jump, values): (usize, &Vec<f64>)| {
                at_each(format!("jump {jump}"), &mut values.iter().copied().map(Some))
            };
            heat.values.iter().enumerate().map(row).collect()
        }
    }
}

impl MethodNumbers {
    fn of_curve(curve: &panel::Curve) -> Self {
        let points = &curve.points;
        let end = |of: fn((f64, f64)) -> f64| -> Vec<Option<f64>> {
            let ends = points.iter().map(|point| point.interval.map(of).and_then(rounded));
            if points.iter().all(|point| point.interval.is_none()) { Vec::new() } else { ends.collect() }
        };
        let noted = points.iter().any(|point| point.note.is_some());
        Self {
            label: curve.label.clone(),
            x: points.iter().map(|point| rounded(point.x).filter(|_| !curve.guide)).collect(),
            y: points.iter().map(|point| rounded(point.y)).collect(),
            low: end(|interval| interval.0),
            high: end(|interval| interval.1),
            note: if noted { points.iter().map(|point| point.note.clone()).collect() } else { Vec::new() },
        }
    }
}

/// Six decimals, a hundredth of what a sample out of ten thousand is; none for what is no number.
fn rounded(value: f64) -> Option<f64> {
    value.is_finite().then(|| (value * 1e6).round() / 1e6 + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::by_level::figure_4;
    use crate::sample;
    use crate::setting::{SampleSet, Setting};

    #[test]
    fn the_numbers_are_those_that_are_drawn() {
        let run = sample::run(12, &[5]);
        let setting = Setting::all(&run).remove(0);
        let part = FigurePart::new(&figure_4(&setting, SampleSet::Without0).unwrap(), "-x");
        let numbers = serde_json::to_value(&part).unwrap();
        assert_eq!(numbers["id"], "figure-4-x");
        let precision = &numbers["panels"][0]["numbers"];
        assert_eq!((&precision["across"], &precision["percent"]), (&"level".into(), &true.into()));
        let ojfa = setting.ojfa().unwrap();
        let line = precision["methods"].as_array().unwrap().last().unwrap();
        assert_eq!(line["label"], ojfa.label());
        for level in 0..12 {
            let expected = ojfa.at(level, SampleSet::Without0).unwrap().precision_1;
            // Six decimals are kept.
            assert!((line["y"][level].as_f64().unwrap() - expected).abs() <= 5.1e-7);
        }
        // The legend has the methods of the drawing by the names that it hides them by.
        let svg = numbers["panels"][0]["svg"].as_str().unwrap();
        for entry in numbers["legend"].as_array().unwrap() {
            assert!(svg.contains(&format!("data-method=\"{}\"", entry["label"].as_str().unwrap())));
        }
    }
}
