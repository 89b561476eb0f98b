//! A figure in the pieces of a page: panels that can lie under each other, in colours of the style sheet, with
//! the numbers behind them.

use serde::{Serialize, Serializer};
use serde_json::{Value, json, to_value};
use svg::Document;

use super::figure::{Figure, LEGEND_LINE};
use super::frame::{BOTTOM, HEIGHT, RIGHT, WIDTH};
use super::panel::{self, Medium, Panel};
use super::style::Style;

/// What a template gets: the lines of the legend and the panels as SVG, the panels with their numbers. `panels` are those of
/// the page's measures where the figure has any, else all; `more` are the others.
impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let switched = self.panels.iter().any(|panel| panel.metric.is_some());
        let (panels, more): (Vec<&Panel>, Vec<&Panel>) =
            self.panels.iter().partition(|panel| !switched || panel.metric.is_some());
        let parts = |panels: Vec<&Panel>| panels.into_iter().map(part).collect::<Result<Vec<_>, _>>();
        let legend = self.legend.iter();
        let legend: Vec<Value> =
            legend.map(|(style, label)| json!({ "line": line(style), "label": label })).collect();
        let whole = json!({
            "stem": self.stem, "title": self.title, "caption": self.caption, "legend": legend,
            "panels": parts(panels).map_err(serde::ser::Error::custom)?,
            "more": parts(more).map_err(serde::ser::Error::custom)?,
        });
        whole.serialize(to)
    }
}

/// The line that stands for a method, as an SVG.
fn line(style: &Style) -> String {
    let line = Document::new()
        .set("viewBox", (0, 0, LEGEND_LINE, 14))
        .set("width", LEGEND_LINE)
        .set("height", 14)
        .set("aria-hidden", "true");
    line.add(panel::legend_line(style, 0.0, 7.0, LEGEND_LINE)).to_string()
}

/// A panel as an SVG, with what it shows in numbers, and where it shows them: the ends of its axes, and the plot's
/// borders in the SVG (left, right, top, bottom).
fn part(panel: &Panel) -> Result<Value, serde_json::Error> {
    let svg = Document::new()
        .set("viewBox", (0, 0, WIDTH, HEIGHT))
        .set("class", "panel")
        .set("role", "img")
        .set("aria-label", panel.alt.as_str())
        .add(panel.draw(Medium::Page));
    let frame = panel.frame();
    let mut numbers = to_value(&panel.axes)?;
    let places = json!({ "x": frame.x, "y": frame.y, "plot": [frame.left, RIGHT, frame.top(), BOTTOM] });
    for more in [places, to_value(&panel.content)?] {
        let all = numbers.as_object_mut().zip(more.as_object());
        all.into_iter().for_each(|(all, more)| all.extend(more.clone()));
    }
    Ok(json!({ "metric": panel.metric, "svg": svg.to_string(), "numbers": numbers }))
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
