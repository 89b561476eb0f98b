//! A figure: panels that share a legend, as an SVG file.

use svg::node::element::{Description, Group, Title};

use super::frame::{HEIGHT, TEXT_SIZE, TITLE_SIZE, WIDTH, text_width, write};
use super::panel::{self, Medium, Panel};
use super::style::{INK, Style};

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
pub const LEGEND_LINE: f64 = 34.0;

/// One figure: panels that share a legend.
#[derive(Debug, Clone)]
pub struct Figure {
    /// The file name without its ending: `figure-2-adam-r57`.
    pub stem: String,
    pub title: String,
    /// How to read it.
    pub caption: String,
    /// The topmost line first.
    pub legend: Vec<(Style, String)>,
    pub panels: Vec<Panel>,
}

impl Figure {
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
        let title = format!("{} · {model}", self.title);
        let mut group = Group::new()
            .set("transform", format!("translate({EDGE} 0)"))
            .add(write(&title, 0.0, EDGE + 8.0, "start", TITLE_SIZE).set("font-weight", 600));
        for (row, entries) in rows.iter().enumerate() {
            let y = head + LEGEND_ROW * (row as f64 + 0.5);
            for (x, (style, label)) in entries {
                let text = write(label, x + LEGEND_LINE + 7.0, y + 4.5, "start", TEXT_SIZE);
                group = group.add(panel::legend_line(style, *x, y, LEGEND_LINE)).add(text);
            }
        }
        for (index, panel) in self.panels.iter().enumerate() {
            let (row, column) = (index / columns, index % columns);
            let top = panels_top + row as f64 * (HEIGHT + EDGE);
            let place = format!("translate({} {top})", column as f64 * (WIDTH + GAP));
            group = group.add(Group::new().set("transform", place).add(panel.draw(Medium::File)));
        }
        let alt: Vec<&str> = self.panels.iter().map(|panel| panel.alt.as_str()).collect();
        let document = svg::Document::new()
            .set("viewBox", (0, 0, width, height))
            .set("width", width)
            .set("height", height)
            .set("role", "img")
            .set("font-family", FONT)
            .set("color", INK)
            .add(Title::new(title))
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
            let needed = LEGEND_LINE + 7.0 + text_width(&entry.1, TEXT_SIZE) + 20.0;
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
}
