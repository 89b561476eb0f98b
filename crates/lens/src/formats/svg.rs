//! A figure for a paper: a panel for each method, one below the other, and what its colours and marks mean.

use std::collections::BTreeMap;

use svg::Document;
use svg::node::element::path::Data;
use svg::node::element::{Circle, Group, Path, Rectangle, Text};
use unicode_width::UnicodeWidthStr;

use crate::lens::{Lens, Method};
use crate::reading::Way;
use crate::scale;
use crate::words::cut;

/// Pixels of a cell.
const CELL: (f64, f64) = (54.0, 16.0);

/// Where the first cell begins: behind the levels' numbers, below a panel's title and the tokens that come next.
const MARGIN: (f64, f64) = (34.0, 42.0);

/// Pixels of a panel below its last level: the text, and space.
const BELOW: f64 = 30.0;

/// Pixels of the legend.
const LEGEND: f64 = 42.0;

/// A figure is no narrower, so that its legend fits.
const LEAST_WIDTH: f64 = 560.0;

/// Pixels of a letter's height, about of a wide one's width, and about of an average one's.
const LETTER: (f64, f64, f64) = (10.0, 5.8, 4.8);

/// Pixels that an exit's dot takes of its cell.
const DOT: f64 = 10.0;

/// From no colour to all of it: a light grey and a blue on which black can be read, as on the page.
const COLOURS: [[f64; 3]; 2] = [[246.0, 246.0, 244.0], [88.0, 174.0, 230.0]];

/// Steps of colour.
const STEPS: usize = 16;

const INK: &str = "#1a1a1a";
const SOFT: &str = "#595959";
const MARK: &str = "#c14700";
const FONT: &str = "Helvetica, Arial, 'Liberation Sans', sans-serif";

pub fn figure(lens: &Lens) -> String {
    let panel_height = MARGIN.1 + lens.levels.len() as f64 * CELL.1 + BELOW;
    let width = (MARGIN.0 + lens.columns.len() as f64 * CELL.0 + 2.0).max(LEAST_WIDTH);
    let height = panel_height * lens.methods.len() as f64 + LEGEND;
    let mut document = Document::new()
        .set("viewBox", (0.0, 0.0, width, height))
        .set("width", width)
        .set("height", height)
        .set("font-family", FONT)
        .set("font-size", LETTER.0)
        .set("fill", INK)
        .add(Rectangle::new().set("width", width).set("height", height).set("fill", "#fff"));
    for (index, method) in lens.methods.iter().enumerate() {
        let place = format!("translate(0 {})", panel_height * index as f64);
        document = document.add(panel(lens, method).set("transform", place));
    }
    let place = format!("translate(0 {})", panel_height * lens.methods.len() as f64);
    document.add(legend(lens).set("transform", place)).to_string() + "\n"
}

fn panel(lens: &Lens, method: &Method) -> Group {
    let ways = lens.ways(method);
    let title = text(&method.title, 2.0, 14.0).set("font-size", 12).set("font-weight", 700);
    let group = Group::new().add(title).add(frame(lens));
    let group = squares(lens, method).into_iter().fold(group, Group::add);
    let [right, other] = answers(lens, method, &ways);
    group.add(other).add(right).add(staircase(lens, &ways)).add(exits(lens, &ways))
}

/// The upper left corner of a cell; the first row is the last level.
fn corner(lens: &Lens, level: usize, place: usize) -> (f64, f64) {
    let row = lens.levels.len() - 1 - level;
    (MARGIN.0 + place as f64 * CELL.0, MARGIN.1 + row as f64 * CELL.1)
}

/// The levels' numbers, what comes next above, and the text below.
fn frame(lens: &Lens) -> Group {
    let mut group = Group::new().set("fill", SOFT);
    let baseline = CELL.1 - 4.5;
    for (index, level) in lens.levels.iter().enumerate() {
        let (x, y) = corner(lens, index, 0);
        group = group.add(text(&level.to_string(), x - 4.0, y + baseline).set("text-anchor", "end"));
    }
    let (above, below) = (MARGIN.1 - 5.0, MARGIN.1 + lens.levels.len() as f64 * CELL.1 + baseline);
    for (name, y) in [("next", above), ("text", below)] {
        group = group.add(text(name, MARGIN.0 - 4.0, y).set("text-anchor", "end"));
    }
    let mut own = Group::new().set("fill", INK).set("font-weight", 700);
    for (place, column) in lens.columns.iter().enumerate() {
        let x = corner(lens, 0, place).0 + 3.0;
        own = own.add(text(&fitting(&lens.words.shown(column.token), CELL.0), x, below));
        if let Some(next) = column.next {
            group = group.add(text(&fitting(&lens.words.shown(next), CELL.0), x, above));
        }
    }
    group.add(own)
}

/// The cells, as one path for each colour.
fn squares(lens: &Lens, method: &Method) -> Vec<Path> {
    let mut by_step: BTreeMap<usize, Data> = BTreeMap::new();
    for (level, cells) in method.cells.iter().enumerate() {
        for (place, cell) in cells.iter().enumerate() {
            let share = scale::share(lens.metric, cell, lens.vocab_size);
            let data = by_step.entry((share * (STEPS - 1) as f64).round() as usize).or_default();
            let (width, height) = (CELL.0 - 1.0, CELL.1 - 1.0);
            let square = std::mem::take(data).move_to(corner(lens, level, place));
            *data =
                square.horizontal_line_by(width).vertical_line_by(height).horizontal_line_by(-width).close();
        }
    }
    by_step.into_iter().map(|(step, data)| Path::new().set("d", data).set("fill", colour(step))).collect()
}

fn colour(step: usize) -> String {
    let share = step as f64 / (STEPS - 1) as f64;
    let [none, all] = COLOURS;
    let part = |index: usize| (none[index] + share * (all[index] - none[index])).round() as u8;
    format!("#{:02x}{:02x}{:02x}", part(0), part(1), part(2))
}

/// What is said: the model's answers, and others.
fn answers(lens: &Lens, method: &Method, ways: &[Way]) -> [Group; 2] {
    let groups = [Group::new().set("font-weight", 700), Group::new().set("fill", "#3d3d3d")];
    let [mut right, mut other] = groups;
    for (level, cells) in method.cells.iter().enumerate() {
        for (place, cell) in cells.iter().enumerate() {
            let (x, y) = corner(lens, level, place);
            let token = cell.answer().token;
            let exits = ways[place].exit == lens.levels[level] && ways[place].exit < lens.blocks;
            let said = fitting(&lens.words.shown(token), CELL.0 - if exits { DOT } else { 0.0 });
            let text = text(&said, x + 3.0, y + CELL.1 - 4.5);
            if token == lens.columns[place].answer {
                right = right.add(text)
            } else {
                other = other.add(text)
            }
        }
    }
    [right, other]
}

/// The line above which answers stay.
fn staircase(lens: &Lens, ways: &[Way]) -> Path {
    let row = |way: &Way| lens.levels.iter().position(|&level| level == way.stays_from).unwrap_or(0);
    let mut data = Data::new();
    for (place, way) in ways.iter().enumerate() {
        let (x, y) = corner(lens, row(way), place);
        let point = (x - 0.5, y + CELL.1 - 0.5);
        data = if place == 0 { data.move_to(point) } else { data.line_to(point) };
        data = data.horizontal_line_by(CELL.0);
    }
    Path::new().set("d", data).set("fill", "none").set("stroke", MARK).set("stroke-width", 1.8)
}

fn exits(lens: &Lens, ways: &[Way]) -> Group {
    let mut group = Group::new().set("stroke", MARK).set("stroke-width", 1.4);
    for (place, way) in ways.iter().enumerate().filter(|(_, way)| way.exit < lens.blocks) {
        let row = lens.levels.iter().position(|&level| level == way.exit).unwrap_or(0);
        let (x, y) = corner(lens, row, place);
        group = group.add(dot(x + CELL.0 - 7.0, y + 6.5, way.agrees));
    }
    group
}

fn dot(x: f64, y: f64, full: bool) -> Circle {
    let fill = if full { MARK } else { "#fff" };
    Circle::new().set("cx", x).set("cy", y).set("r", 3).set("fill", fill)
}

fn legend(lens: &Lens) -> Group {
    let (least, most) = scale::ends(lens.metric, lens.vocab_size);
    let told = format!("{}: {least}", scale::title(lens.metric));
    let mut at = MARGIN.0 + told.width() as f64 * LETTER.2 + 6.0;
    let mut group = Group::new().add(text(&told, MARGIN.0, 12.0));
    for step in 0..STEPS {
        let square =
            Rectangle::new().set("x", at + 6.0 * step as f64).set("y", 3).set("width", 6).set("height", 11);
        group = group.add(square.set("fill", colour(step)));
    }
    at += 6.0 * STEPS as f64 + 6.0;
    group = group.add(text(&most, at, 12.0));
    at += most.width() as f64 * LETTER.2 + 16.0;
    group = group.add(text("bold", at, 12.0).set("font-weight", 700)).add(text(
        "the model’s answer",
        at + 27.0,
        12.0,
    ));
    let line = Path::new().set("d", Data::new().move_to((MARGIN.0, 28.5)).horizontal_line_by(16));
    group = group.add(line.set("stroke", MARK).set("stroke-width", 1.8));
    group = group.add(text("above it the answer stays", MARGIN.0 + 22.0, 31.0));
    if lens.threshold < 1.0 {
        let x = MARGIN.0 + 170.0;
        let dots = Group::new().set("stroke", MARK).set("stroke-width", 1.4);
        let said = format!("more probable than {}: it would leave here;", lens.threshold);
        let other = x + 14.0 + said.width() as f64 * LETTER.2;
        group = group.add(dots.add(dot(x, 27.5, true)).add(dot(other, 27.5, false)));
        group = group.add(text(&said, x + 8.0, 31.0)).add(text("with another answer", other + 8.0, 31.0));
    }
    group
}

/// As much of a token as there is room for.
fn fitting(token: &str, room: f64) -> String {
    cut(token, ((room - 4.0) / LETTER.1) as usize)
}

fn text(said: &str, x: f64, y: f64) -> Text {
    Text::new(said).set("x", x).set("y", y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::lens;
    use quick_xml::Reader;
    use quick_xml::events::Event;

    #[test]
    fn the_figure_is_whole_and_has_every_answer() {
        let lens = lens(&[
            [(1, 0.95), (2, 0.3), (3, 0.95)],
            [(2, 0.4), (1, 0.5), (1, 0.2)],
            [(1, 0.8), (1, 0.9), (1, 0.7)],
        ]);
        let drawn = figure(&lens);
        let (mut reader, mut circles, mut said) = (Reader::from_str(&drawn), 0, Vec::new());
        loop {
            match reader.read_event().unwrap() {
                Event::Eof => break,
                Event::Empty(tag) if tag.name().as_ref() == "circle" => circles += 1,
                Event::Text(text) => said.push(text.trim().to_owned()),
                _ => {}
            }
        }
        // Two panels, of which each has two exits, and the legend's two.
        assert_eq!(circles, 2 * 2 + 2);
        let count = |token: &str| said.iter().filter(|said| *said == token).count();
        assert_eq!((count("#1"), count("#2"), count("#3")), (2 * 6, 2 * 2, 2));
        assert!(said.iter().any(|said| said == "ojfa (jump 3, rank 2)"));
        // The answers stay from level 3, 2 and 2 on: the second row from above, and then the third.
        let steps = "M33.5,57.5 h54 L87.5,73.5 h54 L141.5,73.5 h54";
        assert!(drawn.contains(steps), "{drawn}");
    }

    #[test]
    fn colours_go_from_none_to_all() {
        assert_eq!([colour(0), colour(STEPS - 1)], ["#f6f6f4", "#58aee6"]);
    }
}
