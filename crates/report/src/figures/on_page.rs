//! A figure in the pieces of a page: panels that can lie under each other, in colours of the style sheet, with
//! the numbers behind them.

use serde::{Serialize, Serializer};
use svg::Document;

use super::figure::Figure;
use super::frame::{Axes, BOTTOM, HEIGHT, LEFT, RIGHT, WIDTH};
use super::panel::{self, Content, Medium, Panel};
use super::style::Style;
use crate::setting::Metric;

/// The width of a legend's line.
const LEGEND_LINE: f64 = 34.0;

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let switched = self.panels.iter().any(|panel| panel.metric.is_some());
        let (panels, more): (Vec<&Panel>, Vec<&Panel>) =
            self.panels.iter().partition(|panel| !switched || panel.metric.is_some());
        let part = FigurePart {
            stem: &self.stem,
            title: &self.title,
            caption: &self.caption,
            legend: self.legend.iter().map(|(style, label)| LegendPart::new(style, label)).collect(),
            panels: panels.into_iter().map(PanelPart::new).collect(),
            more: more.into_iter().map(PanelPart::new).collect(),
        };
        part.serialize(to)
    }
}

#[derive(Serialize)]
struct FigurePart<'a> {
    stem: &'a str,
    title: &'a str,
    caption: &'a str,
    legend: Vec<LegendPart<'a>>,
    /// Those of the page's measures where the figure has any, else all.
    panels: Vec<PanelPart<'a>>,
    /// The others.
    more: Vec<PanelPart<'a>>,
}

/// A method, and the line that stands for it, as an SVG.
#[derive(Serialize)]
struct LegendPart<'a> {
    line: String,
    label: &'a str,
}

/// A panel as an SVG, with its numbers.
#[derive(Serialize)]
struct PanelPart<'a> {
    metric: Option<Metric>,
    svg: String,
    numbers: Numbers<'a>,
}

/// What a panel shows, in numbers, and where it shows them.
#[derive(Serialize)]
struct Numbers<'a> {
    #[serde(flatten)]
    axes: &'a Axes,
    /// The least and the greatest value of the axes.
    x: (f64, f64),
    y: (f64, f64),
    /// The plot's borders in the SVG: left, right, top, bottom.
    plot: [f64; 4],
    #[serde(flatten)]
    content: &'a Content,
}

impl<'a> LegendPart<'a> {
    fn new(style: &Style, label: &'a str) -> Self {
        let line = Document::new()
            .set("viewBox", (0, 0, LEGEND_LINE, 14))
            .set("width", LEGEND_LINE)
            .set("height", 14)
            .set("aria-hidden", "true")
            .add(panel::legend_line(style, 0.0, 7.0, LEGEND_LINE));
        Self { line: line.to_string(), label }
    }
}

impl<'a> PanelPart<'a> {
    fn new(panel: &'a Panel) -> Self {
        let svg = Document::new()
            .set("viewBox", (0, 0, WIDTH, HEIGHT))
            .set("class", "panel")
            .set("role", "img")
            .set("aria-label", panel.alt.as_str())
            .add(panel.draw(Medium::Page));
        let frame = panel.frame();
        let plot = [LEFT, RIGHT, frame.top(), BOTTOM];
        let numbers = Numbers { axes: &panel.axes, x: frame.x, y: frame.y, plot, content: &panel.content };
        Self { metric: panel.metric, svg: svg.to_string(), numbers }
    }
}

#[cfg(test)]
mod tests {
    use crate::figures::by_level::figure_4;
    use crate::sample;
    use crate::setting::{SampleSet, Setting};

    #[test]
    fn the_numbers_are_those_that_are_drawn() {
        let run = sample::run(12, &[5]);
        let setting = Setting::all(&run).remove(0);
        let figure = figure_4(&setting, SampleSet::Without0).unwrap();
        let part = serde_json::to_value(&figure).unwrap();
        let precision = &part["panels"][0]["numbers"];
        assert_eq!((&precision["across"], &precision["percent"]), (&"level".into(), &true.into()));
        let ojfa = setting.ojfa().unwrap();
        let line = precision["lines"]["series"].as_array().unwrap().last().unwrap();
        assert_eq!(line["label"], ojfa.label());
        for level in 0..12 {
            assert_eq!(line["values"][level], ojfa.at(level, SampleSet::Without0).unwrap().precision_1);
        }
        // The page hides lines by the names in the legend.
        let svg = part["panels"][0]["svg"].as_str().unwrap();
        for entry in part["legend"].as_array().unwrap() {
            assert!(svg.contains(&format!("data-method=\"{}\"", entry["label"].as_str().unwrap())));
        }
    }
}
