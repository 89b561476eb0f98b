//! The paper's Figures 2, 3 and 4 for one setting each, as SVG files and for `report.html`.

mod by_level;
pub mod exit;
mod frame;
pub mod frontier;
mod heat;
mod panel;
mod scores;
mod style;
pub mod transfer;

use svg::node::element::{Description, Group, Title};

use crate::setting::Setting;
use frame::{HEIGHT, TEXT_SIZE, TITLE_SIZE, WIDTH, write};
use panel::{Panel, Series};
use style::{INK, Style};

const FONT: &str = "system-ui, 'Helvetica Neue', Arial, sans-serif";
/// Between the panels of a file.
const GAP: f64 = 28.0;
/// Around the panels of a file.
const EDGE: f64 = 16.0;
/// Panels beside each other in a file.
const COLUMNS: usize = 3;
/// The height of a row of the legend.
const LEGEND_ROW: f64 = 24.0;
/// The width of a legend's line.
const SAMPLE: f64 = 34.0;

/// One figure: panels that share a legend.
#[derive(Debug, Clone)]
pub struct Figure {
    /// The file name without its ending: `figure-2-adam-r57`.
    pub stem: String,
    /// Its title.
    pub title: String,
    /// How to read it.
    pub caption: String,
    legend: Vec<(Style, String)>,
    panels: Vec<Panel>,
}

/// The figures of a setting that its results suffice for.
pub fn figures(setting: &Setting) -> Vec<Figure> {
    [by_level::figure_2(setting), scores::figure_3(setting), by_level::figure_4(setting)]
        .into_iter()
        .flatten()
        .collect()
}

/// A tick with as many decimals as its step needs.
fn number_tick(value: f64, step: f64, unit: &str) -> String {
    let decimals = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
    crate::words::number(value, decimals, unit)
}

/// A piece of a figure for a page.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Piece {
    /// SVG.
    pub svg: String,
    /// What the legend says beside it, or what a panel shows to those who do not see it.
    pub text: String,
}

impl Figure {
    fn new(stem: String, title: String, caption: String, series: &[Series], panels: Vec<Panel>) -> Self {
        let legend = series.iter().rev().map(|series| (series.style, series.label.clone())).collect();
        Self::with_legend(stem, title, caption, legend, panels)
    }

    fn with_legend(
        stem: String,
        title: String,
        caption: String,
        legend: Vec<(Style, String)>,
        panels: Vec<Panel>,
    ) -> Self {
        Self { stem, title, caption, legend, panels }
    }

    /// The figure as a file, for white paper.
    pub fn standalone(&self, model: &str) -> String {
        let columns = self.panels.len().min(COLUMNS);
        let inner = columns as f64 * (WIDTH + GAP) - GAP;
        let rows = self.legend_rows(inner);
        let head = EDGE + 22.0;
        let panels_top = head + LEGEND_ROW * rows.len() as f64 + 10.0;
        let (width, height) = (
            inner + 2.0 * EDGE,
            panels_top + self.panels.len().div_ceil(columns.max(1)) as f64 * (HEIGHT + EDGE),
        );
        let mut group = Group::new().set("transform", format!("translate({EDGE} 0)")).add(
            write(&format!("{} · {model}", self.title), 0.0, EDGE + 8.0, "start", TITLE_SIZE)
                .set("font-weight", 600),
        );
        for (row, entries) in rows.iter().enumerate() {
            let y = head + LEGEND_ROW * (row as f64 + 0.5);
            for (x, (style, label)) in entries {
                let text = write(label, x + SAMPLE + 7.0, y + 4.5, "start", TEXT_SIZE);
                group = group.add(panel::sample(style, *x, y, SAMPLE)).add(text);
            }
        }
        for (index, panel) in self.panels.iter().enumerate() {
            let (row, column) = (index / columns, index % columns);
            let top = panels_top + row as f64 * (HEIGHT + EDGE);
            let place = format!("translate({} {top})", column as f64 * (WIDTH + GAP));
            group = group.add(Group::new().set("transform", place).add(panel.draw()));
        }
        let alt: Vec<&str> = self.panels.iter().map(|panel| panel.alt.as_str()).collect();
        let document = svg::Document::new()
            .set("viewBox", (0, 0, width, height))
            .set("width", width)
            .set("height", height)
            .set("role", "img")
            .set("font-family", FONT)
            .set("color", INK)
            .add(Title::new(format!("{} · {model}", self.title)))
            .add(Description::new().add(svg::node::Text::new(format!("{} {}", self.caption, alt.join(" ")))))
            .add(panel::background(width, height))
            .add(group);
        format!("{document}\n")
    }

    /// Entries with their places, broken into rows of at most this width.
    fn legend_rows(&self, width: f64) -> Vec<Vec<(f64, &(Style, String))>> {
        let mut rows: Vec<Vec<(f64, &(Style, String))>> = Vec::new();
        let mut x = 0.0;
        for entry in &self.legend {
            let needed = SAMPLE + 7.0 + frame::text_width(&entry.1, TEXT_SIZE) + 20.0;
            match rows.last_mut() {
                Some(row) if x + needed <= width => row.push((x, entry)),
                _ => {
                    x = 0.0;
                    rows.push(vec![(x, entry)]);
                }
            }
            x += needed;
        }
        rows
    }

    /// The panels as SVGs of their own, so that a page can put them under each other; colours come
    /// from the page's style sheet.
    pub fn panels(&self) -> Vec<Piece> {
        let piece = |panel: &Panel| {
            let document = svg::Document::new()
                .set("viewBox", (0, 0, WIDTH, HEIGHT))
                .set("class", "panel")
                .set("role", "img")
                .set("aria-label", panel.alt.as_str())
                .add(panel.draw());
            Piece { svg: document.to_string(), text: panel.alt.clone() }
        };
        self.panels.iter().map(piece).collect()
    }

    /// The legend's entries, for a page.
    pub fn legend(&self) -> Vec<Piece> {
        let piece = |(style, label): &(Style, String)| {
            let document = svg::Document::new()
                .set("viewBox", (0, 0, SAMPLE, 14))
                .set("width", SAMPLE)
                .set("height", 14)
                .set("aria-hidden", "true")
                .add(panel::sample(style, 0.0, 7.0, SAMPLE));
            Piece { svg: document.to_string(), text: label.clone() }
        };
        self.legend.iter().map(piece).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    /// Every text of a document that is well-formed XML.
    fn texts(xml: &str) -> String {
        let mut reader = quick_xml::Reader::from_str(xml);
        reader.config_mut().check_end_names = true;
        let mut texts = String::new();
        loop {
            match reader.read_event().unwrap() {
                quick_xml::events::Event::Eof => return texts,
                quick_xml::events::Event::Text(text) => {
                    texts.push_str(&text.xml10_content());
                    texts.push('\n');
                }
                _ => {}
            }
        }
    }

    #[test]
    fn files_are_xml_and_name_every_method() {
        let run = sample::run(30, &[5, 57]);
        let mut stems = Vec::new();
        for setting in Setting::all(&run) {
            for figure in figures(&setting) {
                let texts = texts(&figure.standalone("a & b <model>"));
                for (_, label) in &figure.legend {
                    assert!(texts.lines().any(|line| line == label), "{label} in {}", figure.stem);
                }
                for piece in figure.panels().iter().chain(&figure.legend()) {
                    self::texts(&piece.svg);
                }
                stems.push(figure.stem);
            }
        }
        let expected = ["", "-adam", "-r57", "-adam-r57"]
            .iter()
            .flat_map(|suffix| [2, 3, 4].map(|number| format!("figure-{number}{suffix}")));
        assert_eq!(stems, expected.collect::<Vec<_>>());
    }

    #[test]
    fn the_same_results_give_the_same_file() {
        let run = sample::run(12, &[5]);
        let draw = || -> Vec<String> {
            Setting::all(&run).iter().flat_map(figures).map(|figure| figure.standalone("m")).collect()
        };
        assert_eq!(draw(), draw());
    }

    #[test]
    fn a_setting_without_the_one_jump_has_no_figures_about_it() {
        let mut run = sample::run(12, &[5]);
        run.summary.averages.retain(|row| row.method.method != "ojfa");
        run.summary.choices.clear();
        assert!(figures(&Setting::all(&run)[0]).is_empty());
    }
}
