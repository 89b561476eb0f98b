//! One page that opens from disk: a template and the values for it. Its switches are radio buttons, what it says under the
//! pointer is in its attributes: nothing needs a script.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior, context};
use onejump_core::numbers::thousands;
use onejump_core::shortcut::ShortcutKind;
use serde::Serialize;
use strum::VariantArray;

use crate::LensError;
use crate::cells::Cell;
use crate::config::Metric;
use crate::lens::{Lens, Method};
use crate::reading::{Overview, Way};
use crate::scale::{self, nats, percent};
use crate::words::cut;

const TEMPLATE: &str = include_str!("../../templates/lens.html");
const STYLE: &str = include_str!("../../templates/lens.css");
const SCRIPT: &str = include_str!("../../templates/lens.js");

/// How much of the text stands above the page, in columns of a terminal.
const TITLE_COLUMNS: usize = 240;

/// All values of the template.
#[derive(Serialize)]
struct Page<'a> {
    model: &'a str,
    text: String,
    facts: String,
    blocks: usize,
    /// None where nothing leaves.
    threshold: Option<f64>,
    metrics: Vec<Colours>,
    columns: Vec<Heading>,
    methods: Vec<Grid<'a>>,
}

/// A metric that colours can tell.
#[derive(Serialize)]
struct Colours {
    name: &'static str,
    title: &'static str,
    least: String,
    most: String,
    /// Whether it is told first.
    first: bool,
}

/// A position.
#[derive(Serialize)]
struct Heading {
    text: String,
    next: String,
    tip: String,
}

#[derive(Serialize)]
struct Grid<'a> {
    title: &'a str,
    file: Option<String>,
    /// Whether it is shown first.
    first: bool,
    numbers: Vec<Number>,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Number {
    text: String,
    /// Whether no other method has a better one.
    best: bool,
}

#[derive(Serialize)]
struct Row {
    level: usize,
    cells: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    text: String,
    /// Its classes.
    look: String,
    /// How much of the full colour it has by each metric.
    shares: String,
    tip: String,
}

pub fn page(lens: &Lens) -> Result<String, LensError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    // The ending .html makes minijinja escape every value.
    environment.add_template("lens.html", TEMPLATE)?;
    let overviews: Vec<Overview> = lens.methods.iter().map(|method| lens.overview(method)).collect();
    // What was asked for is shown first: the first file, where there is one.
    let first = usize::from(lens.methods.len() > 1);
    let grids = lens.methods.iter().enumerate().map(|(place, method)| Grid {
        title: if method.kind == ShortcutKind::Identity { "identity (logit lens)" } else { &method.title },
        file: method.path.as_ref().and_then(|path| Some(path.file_name()?.display().to_string())),
        first: place == first,
        numbers: numbers(lens, &overviews, place),
        rows: rows(lens, method),
    });
    let page = Page {
        model: &lens.model,
        text: excerpt(lens),
        facts: facts(lens),
        blocks: lens.blocks,
        threshold: (lens.threshold < 1.0).then_some(lens.threshold),
        metrics: metrics(lens),
        columns: headings(lens),
        methods: grids.collect(),
    };
    let values = context! { page => Value::from(Serde(page)), style => STYLE, script => SCRIPT };
    Ok(environment.get_template("lens.html")?.render(values)?)
}

/// The beginning of what is shown of the text.
fn excerpt(lens: &Lens) -> String {
    let ids: Vec<i64> = lens.columns.iter().map(|column| column.token).collect();
    let text = lens.words.joined(&ids);
    let words: Vec<&str> = text.split_whitespace().collect();
    let before = if lens.columns.first().is_some_and(|column| column.position > 0) { "… " } else { "" };
    before.to_owned() + &cut(&words.join(" "), TITLE_COLUMNS)
}

fn facts(lens: &Lens) -> String {
    let ends = lens.columns.first().zip(lens.columns.last());
    let positions = ends
        .map_or_else(String::new, |(first, last)| format!("positions {}–{}", first.position, last.position));
    format!(
        "{}, level by level · {} · {} blocks · hidden size {} · vocabulary {} · {positions}",
        lens.model,
        lens.architecture,
        lens.blocks,
        thousands(lens.hidden_size as u64),
        thousands(lens.vocab_size as u64)
    )
}

/// The metrics that there are numbers for.
fn known(lens: &Lens) -> impl Iterator<Item = Metric> {
    let divergence = lens.metric == Metric::Kl;
    Metric::VARIANTS.iter().copied().filter(move |&metric| metric != Metric::Kl || divergence)
}

fn metrics(lens: &Lens) -> Vec<Colours> {
    let colours = |metric: Metric| {
        let (least, most) = scale::ends(metric, lens.vocab_size);
        Colours {
            name: metric.name(),
            title: scale::title(metric),
            least,
            most,
            first: metric == lens.metric,
        }
    };
    known(lens).map(colours).collect()
}

fn headings(lens: &Lens) -> Vec<Heading> {
    let words = &lens.words;
    let heading = |column: &crate::lens::Column| {
        let next = column.next.map(|next| words.shown(next)).unwrap_or_default();
        let mut tip =
            format!("position {}: {} (token {})", column.position, words.shown(column.token), column.token);
        if column.next.is_some() {
            tip += &format!("\nthe text goes on with {next}");
        }
        tip += &format!("\nthe model answers {}", words.shown(column.answer));
        Heading { text: words.shown(column.token), next, tip }
    };
    lens.columns.iter().map(heading).collect()
}

/// What a method comes to; the best of all methods is marked.
fn numbers(lens: &Lens, overviews: &[Overview], place: usize) -> Vec<Number> {
    let number = |value: fn(&Overview) -> Option<f64>, sign: f64, write: &dyn Fn(f64) -> String| {
        let own = value(&overviews[place]);
        let best = overviews.iter().filter_map(value).map(|value| sign * value).fold(f64::MIN, f64::max);
        Number {
            text: own.map_or("–".to_owned(), write),
            best: overviews.len() > 1 && own.is_some_and(|own| sign * own >= best),
        }
    };
    let level = |level: f64| format!("{level:.1}");
    let plain = |value: f64| format!("{value:.2}");
    let mut numbers = vec![
        number(|overview| overview.precision, 1.0, &percent),
        number(|overview| overview.surprisal, -1.0, &plain),
        number(|overview| Some(overview.stays_from), -1.0, &level),
    ];
    if lens.threshold < 1.0 {
        numbers.push(Number { best: false, ..number(|overview| Some(overview.exit), -1.0, &level) });
        numbers.push(Number { best: false, ..number(|overview| Some(overview.agreement), 1.0, &percent) });
    }
    numbers.push(Number { text: thousands(lens.methods[place].parameters), best: false });
    numbers
}

/// From the last level down.
fn rows(lens: &Lens, method: &Method) -> Vec<Row> {
    let ways = lens.ways(method);
    let row = |(index, &level): (usize, &usize)| Row {
        level,
        cells: (0..lens.columns.len())
            .map(|place| {
                let cell = &method.cells[index][place];
                Shown {
                    text: lens.words.shown(cell.answer().token),
                    look: look(lens, &ways, cell, level, place),
                    shares: shares(lens, cell),
                    tip: tip(lens, cell, level, place),
                }
            })
            .collect(),
    };
    lens.levels.iter().enumerate().rev().map(row).collect()
}

/// The classes of a cell: whether it is right, the line from which on it stays so, and the exit.
fn look(lens: &Lens, ways: &[Way], cell: &Cell, level: usize, place: usize) -> String {
    let way = ways[place];
    let stays = |way: &Way| way.stays_from <= level;
    let mut classes = Vec::new();
    if cell.answer().token == lens.columns[place].answer {
        classes.push("right");
    }
    if way.stays_from == level {
        classes.push("from");
    }
    if place > 0 && stays(&way) != stays(&ways[place - 1]) {
        classes.push("left");
    }
    if way.exit == level && level < lens.blocks {
        classes.push("exit");
        if !way.agrees {
            classes.push("other");
        }
    }
    classes.join(" ")
}

fn shares(lens: &Lens, cell: &Cell) -> String {
    let share = |metric: Metric| {
        let percent = 100.0 * scale::share(metric, cell, lens.vocab_size);
        format!("--{}:{percent:.0}", metric.name())
    };
    known(lens).map(share).collect::<Vec<_>>().join(";")
}

/// What is said under the pointer.
fn tip(lens: &Lens, cell: &Cell, level: usize, place: usize) -> String {
    let (words, column) = (&lens.words, &lens.columns[place]);
    let what = if level == lens.blocks { " (the model)" } else { "" };
    let mut tip =
        format!("level {level}{what}, behind {} (position {})", words.shown(column.token), column.position);
    for best in &cell.best {
        let (percent, bar) = (percent(best.probability), scale::bar(best.probability));
        tip += &format!("\n{percent:>7} {bar} {}", words.shown(best.token));
    }
    if level < lens.blocks {
        let answer = words.shown(column.answer);
        tip += &format!("\nmodel {answer}: rank {}, {}", thousands(cell.rank as u64), nats(cell.surprisal));
        if let Some(kl) = cell.kl {
            tip += &format!("; KL {}", nats(kl));
        }
    }
    if let Some((next, probability)) = column.next.zip(cell.next) {
        tip += &format!("\ntext goes on {}: {}", words.shown(next), percent(probability));
    }
    tip
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MOST_HTML_CELLS;
    use crate::sample::lens;

    /// Bytes of a page for one cell, at most: what a browser still opens at once.
    const CELL_BYTES: usize = 420;

    fn pinned() -> Lens {
        lens(&[
            [(1, 0.95), (2, 0.3), (3, 0.95)],
            [(2, 0.4), (1, 0.5), (3, 0.9)],
            [(1, 0.8), (1, 0.9), (1, 0.7)],
        ])
    }

    #[test]
    fn a_cell_says_what_it_is() {
        let html = page(&pinned()).unwrap();
        let rows: Vec<&str> =
            html.lines().filter(|line| line.starts_with("<tr") && line.contains("<td tab")).collect();
        assert_eq!(rows.len(), 2 * 3);
        let cell = "<td tabindex=\"0\" class=\"right from left\" style=\"--probability:50;--surprisal:82;--rank:100\" \
                    data-t=\"level 2, behind #11 (position 5)\n";
        assert!(html.contains(cell), "{html}");
        assert!(html.contains("\n 50.0 % ████     #1\n 25.0 % ██       #2\n"), "{html}");
        assert!(html.contains("\nmodel #1: rank 1, 0.69 nats\ntext goes on #12: 25.0 %\">#1</td>"), "{html}");
        for classes in ["right exit", "exit other", "right from"] {
            assert!(html.contains(&format!("class=\"{classes}\"")), "{classes}");
        }
        assert_eq!(html.matches(" checked").count(), 2, "a method and a metric");
        assert!(html.contains("id=\"m1\" checked") && html.contains("id=\"by-probability\" checked"));
    }

    #[test]
    fn names_are_escaped_and_nothing_is_loaded() {
        let html = page(&pinned()).unwrap();
        assert!(html.contains("a &lt;b&gt;model&lt;") && !html.contains("<b>model"));
        for loading in ["http", "src=", "<link", "@import", "url(", "import(", "fetch("] {
            assert!(!html.contains(loading), "{loading}");
        }
    }

    #[test]
    fn nothing_leaves_where_the_threshold_is_1() {
        let html = page(&Lens { threshold: 1.0, ..pinned() }).unwrap();
        assert!(!html.contains("leave") && !html.contains(" exit"), "{html}");
    }

    #[test]
    fn the_largest_page_is_not_too_large() {
        let said = [[(1, 0.5); 100]; 201];
        let html = page(&lens(&said)).unwrap();
        assert_eq!(html.matches("<td tabindex").count(), MOST_HTML_CELLS + 200);
        assert!(html.len() < MOST_HTML_CELLS * CELL_BYTES, "{}", html.len());
    }
}
