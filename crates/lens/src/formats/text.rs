//! The grid for a terminal: levels from above, positions side by side, in panels as wide as the terminal.

use std::ops::Range;

use unicode_width::UnicodeWidthStr;

use crate::lens::{Lens, Method};
use crate::reading::Way;
use crate::scale;
use crate::words::{cut, fitted};

/// Columns of a cell: a mark, a token, and a space.
const CELL: usize = 10;

/// Columns before the first cell.
const MARGIN: usize = 6;

/// A terminal's 256 colours from nothing to all: white to blue, which is safe for colour-blind readers.
const RAMP: [u8; 7] = [231, 195, 153, 117, 111, 75, 69];

/// How a grid is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint {
    /// How many columns a line may have.
    pub width: usize,
    /// Whether cells have colours, as terminals know them.
    pub colours: bool,
}

impl Default for Paint {
    /// Where nobody looks: 100 columns without colours.
    fn default() -> Self {
        Self { width: 100, colours: false }
    }
}

/// The grids of all methods, what their marks mean, and what they come to.
pub fn grid(lens: &Lens, paint: &Paint) -> String {
    let blocks = lens.blocks;
    let mut text = format!(
        "{}, {blocks} blocks: what each level would say next; level {blocks} is the model itself\n",
        lens.model
    );
    let per_panel = (paint.width.saturating_sub(MARGIN) / CELL).max(1);
    for method in &lens.methods {
        let ways = lens.ways(method);
        for start in (0..lens.columns.len()).step_by(per_panel) {
            let places = start..lens.columns.len().min(start + per_panel);
            text += &format!("\n{}\n", cut(&method.title, paint.width));
            panel(&mut text, lens, method, &ways, places, paint);
        }
    }
    text += "\n";
    for line in marks(lens, paint).iter().chain(&overview(lens)) {
        text += &format!("{line}\n");
    }
    text
}

fn panel(text: &mut String, lens: &Lens, method: &Method, ways: &[Way], places: Range<usize>, paint: &Paint) {
    let line = |name: &str, cells: Vec<String>| {
        let line = format!("{name:>5} {}", cells.concat());
        line.trim_end().to_owned() + "\n"
    };
    let plain = |token: Option<i64>| {
        format!(" {}", fitted(&token.map(|token| lens.words.shown(token)).unwrap_or_default(), CELL - 1))
    };
    let columns = &lens.columns[places.clone()];
    *text += &line("next", columns.iter().map(|column| plain(column.next)).collect());
    for (index, &level) in lens.levels.iter().enumerate().rev() {
        let cell = |place: usize| {
            let (cell, way) = (&method.cells[index][place], ways[place]);
            let answer = cell.answer().token;
            let mark = mark(way, level, lens.blocks);
            let token = fitted(&lens.words.shown(answer), CELL - 2);
            if !paint.colours {
                return format!("{mark}{token} ");
            }
            let share = scale::share(lens.metric, cell, lens.vocab_size);
            let colour = RAMP[((share * RAMP.len() as f64) as usize).min(RAMP.len() - 1)];
            let ink = if answer == lens.columns[place].answer { "1;38;5;16" } else { "38;5;238" };
            format!("\u{1b}[{ink};48;5;{colour}m{mark}{token} \u{1b}[0m")
        };
        *text += &line(&level.to_string(), places.clone().map(cell).collect());
    }
    *text += &line("text", columns.iter().map(|column| plain(Some(column.token))).collect());
}

/// What is special about a level at a position.
fn mark(way: Way, level: usize, blocks: usize) -> char {
    let (stays, exits) = (way.stays_from == level, way.exit == level && level < blocks);
    match (exits, way.agrees, stays) {
        (true, true, true) => '◆',
        (true, true, false) => '●',
        (true, false, _) => '○',
        (false, _, true) => '▸',
        (false, ..) => ' ',
    }
}

fn marks(lens: &Lens, paint: &Paint) -> Vec<String> {
    let mut lines = vec!["▸ from here on up, the answer is the model's".to_owned()];
    if lens.threshold < 1.0 {
        let sure = format!("more probable than {}: it would leave here", lens.threshold);
        lines.push(format!("● {sure} (○ with another answer; ◆ both ▸ and ●)"));
    }
    if paint.colours {
        let (least, most) = scale::ends(lens.metric, lens.vocab_size);
        let ramp: String = RAMP.iter().map(|colour| format!("\u{1b}[48;5;{colour}m  \u{1b}[0m")).collect();
        lines.push(format!(
            "{}: {least} {ramp} {most}; bold is the model's answer",
            scale::title(lens.metric)
        ));
    }
    lines
}

/// A line for each method.
fn overview(lens: &Lens) -> Vec<String> {
    let number = |value: Option<f64>, write: fn(f64) -> String| value.map_or("–".to_owned(), write);
    let mut rows = vec![["method", "precision", "surprisal", "stays from"].map(str::to_owned).to_vec()];
    let leaves = lens.threshold < 1.0;
    if leaves {
        rows[0].push(format!("leaves at (> {})", lens.threshold));
    }
    for method in &lens.methods {
        let overview = lens.overview(method);
        let mut row = vec![
            method.title.clone(),
            number(overview.precision, scale::percent),
            number(overview.surprisal, scale::nats),
            format!("{:.1}", overview.stays_from),
        ];
        if leaves {
            row.push(format!("{:.1} ({} right)", overview.exit, scale::percent(overview.agreement)));
        }
        rows.push(row);
    }
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().map(|row| row[column].width()).max().unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| fitted(cell, width)).collect();
        cells.join("  ").trim_end().to_owned()
    };
    let means =
        "means over the positions shown; the first two also over the levels before the last".to_owned();
    std::iter::once(String::new()).chain(rows.iter().map(line)).chain([means]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::lens;

    #[test]
    fn the_grid_is_pinned() {
        let lens = lens(&[
            [(1, 0.95), (2, 0.3), (3, 0.95)],
            [(2, 0.4), (1, 0.5), (3, 0.9)],
            [(1, 0.8), (1, 0.9), (1, 0.7)],
        ]);
        let text = grid(&lens, &Paint::default());
        let expected = "\
a <b>model</b>, 3 blocks: what each level would say next; level 3 is the model itself

identity
 next  #11       #12
    3 ▸#1        #1       ▸#1
    2  #2       ▸#1        #3
    0 ●#1        #2       ○#3
 text  #10       #11       #12

ojfa (jump 3, rank 2)
";
        assert!(text.starts_with(expected), "{text}");
        let expected = "
▸ from here on up, the answer is the model's
● more probable than 0.9: it would leave here (○ with another answer; ◆ both ▸ and ●)

method                 precision  surprisal  stays from  leaves at (> 0.9)
identity               33.3 %     2.12 nats  2.7         1.0 (66.7 % right)
ojfa (jump 3, rank 2)  33.3 %     2.12 nats  2.7         1.0 (66.7 % right)
means over the positions shown; the first two also over the levels before the last
";
        assert!(text.ends_with(expected), "{text}");
        let never = grid(&Lens { threshold: 1.0, ..lens }, &Paint::default());
        assert!(!never.contains("leave") && !never.contains('●'), "{never}");
    }

    #[test]
    fn panels_are_as_wide_as_the_terminal() {
        let lens = lens(&[[(1, 0.5); 9], [(1, 0.5); 9]]);
        for (width, panels) in [(200, 1), (60, 2), (36, 3), (1, 9)] {
            let text = grid(&lens, &Paint { width, colours: false });
            assert_eq!(text.matches(" text ").count(), 2 * panels, "{width}: {text}");
        }
        let painted = grid(&lens, &Paint { colours: true, width: 200 });
        assert!(painted.contains("\u{1b}[1;38;5;16;48;5;117m▸#1       \u{1b}[0m"), "{painted}");
        assert!(!grid(&lens, &Paint::default()).contains('\u{1b}'));
    }
}
