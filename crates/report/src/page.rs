//! `report.html`: one file that opens from disk, of a template and the values for it.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior, context};
use onejump_core::results::Summary;
use onejump_core::shortcut::{ShortcutKind, parameters};
use serde::Serialize;

use crate::error::ReportError;
use crate::figures::by_level::{figure_2, figure_4};
use crate::figures::figure::Figure;
use crate::figures::on_page::FigurePart;
use crate::figures::scores::figure_3;
use crate::run::Run;
use crate::section::Section;
use crate::sentences::sentences;
use crate::setting::{Metric, SampleSet, Setting};
use crate::shown::Shown;
use crate::table::Table;
use crate::words::{self, NONE, number, percent, thousands};
use crate::{averages, choice, claims, paper};

const TEMPLATE: &str = include_str!("../templates/report.html");
const STYLE: &str = include_str!("../templates/report.css");
const SCRIPT: &str = include_str!("../templates/report.js");

/// All values of the template.
#[derive(Debug, Serialize)]
struct Page<'a> {
    summary: &'a Summary,
    switches: Vec<Switch>,
    answers: Vec<Shown<Vec<Answer>>>,
    /// Figure 4, for each setting and its samples.
    main_figures: Vec<Shown<FigurePart>>,
    claims: Vec<Shown<Table>>,
    beside: Vec<Shown<Table>>,
    sentences: Vec<Shown<Vec<String>>>,
    /// Figures 2 and 3.
    other_figures: Vec<Shown<FigurePart>>,
    paper: Option<Table>,
    sections: Vec<SectionPart<'a>>,
    averages: Vec<Shown<Table>>,
    tables: Vec<Shown<Table>>,
    config: Option<&'a str>,
}

/// One of the page's switches, where there is something to switch.
#[derive(Debug, Serialize)]
struct Switch {
    name: &'static str,
    choices: Vec<SwitchChoice>,
}

#[derive(Debug, Serialize)]
struct SwitchChoice {
    id: String,
    name: String,
}

/// One of the large words at the top.
#[derive(Debug, Serialize)]
struct Answer {
    question: &'static str,
    answer: String,
    beside: String,
}

#[derive(Debug, Serialize)]
struct SectionPart<'a> {
    id: &'static str,
    title: &'static str,
    /// Whether the figure shows one panel at a time, and leaves room beside it.
    beside: bool,
    /// Whether the first table is not folded.
    open: bool,
    paragraphs: &'a [Shown<String>],
    figures: Vec<Shown<FigurePart>>,
    tables: &'a [Shown<Table>],
}

/// The title of the page and of the tables.
pub fn title(run: &Run) -> String {
    format!("One jump for all exit levels of {}", run.summary.model)
}

/// What a paper's author takes: averages, D per jump, claims.
pub fn tables(run: &Run) -> Vec<Table> {
    let settings = Setting::all(run);
    let averages = SampleSet::BOTH.into_iter().filter_map(|samples| averages::table(run, samples));
    let mut tables: Vec<Table> = averages.chain(choice::table(&settings)).collect();
    if !settings.is_empty() {
        tables.extend(SampleSet::BOTH.map(|samples| claims::table(&settings, samples)));
    }
    tables
}

/// The page of a run with its further sections.
pub fn html(run: &Run, sections: &[Section]) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    // The ending .html makes minijinja escape every value.
    environment.add_template("report.html", TEMPLATE)?;
    environment.add_filter("thousands", thousands);
    let settings = Setting::all(run);
    let page = Page {
        summary: &run.summary,
        switches: switches(run, &settings),
        answers: each(&settings, |setting, samples| answers(setting, samples)),
        main_figures: each(&settings, |setting, samples| part(figure_4(setting, samples), samples)),
        claims: claimed(&settings),
        beside: each(&settings, |setting, samples| averages::beside(setting, samples)),
        sentences: settings.iter().map(|setting| Shown::of(setting, sentences(run, setting))).collect(),
        other_figures: each(&settings, |setting, samples| part(figure_2(setting, samples), samples))
            .into_iter()
            .chain(
                settings
                    .iter()
                    .filter_map(|setting| Some(Shown::of(setting, part(figure_3(setting), SampleSet::All)?))),
            )
            .collect(),
        paper: paper::beside(&run.summary, &settings),
        sections: sections.iter().map(SectionPart::new).collect(),
        averages: SampleSet::BOTH
            .into_iter()
            .filter_map(|samples| Some(Shown::always(averages::table(run, samples)?).over(samples)))
            .collect(),
        tables: further_tables(&run.summary, &settings),
        config: run.config.as_deref(),
    };
    let page = Value::from(Serde(page));
    let values = context! { page, title => title(run), style => STYLE, script => SCRIPT };
    Ok(environment.get_template("report.html")?.render(values)?)
}

/// What there is for each setting and its samples.
fn each<T>(settings: &[Setting], part: impl Fn(&Setting, SampleSet) -> Option<T>) -> Vec<Shown<T>> {
    let part = &part;
    let of = |setting| {
        let over = move |samples| Some(Shown::of(setting, part(setting, samples)?).over(samples));
        SampleSet::BOTH.into_iter().filter_map(over)
    };
    settings.iter().flat_map(of).collect()
}

fn part(figure: Option<Figure>, samples: SampleSet) -> Option<FigurePart> {
    let suffix = match samples {
        SampleSet::All => "",
        SampleSet::Without0 => "-without-0",
    };
    figure.map(|figure| FigurePart::new(&figure, suffix))
}

impl<'a> SectionPart<'a> {
    fn new(section: &'a Section) -> Self {
        // A section and its figure may have the same name; anchors are the page's own.
        let figures =
            section.figures.iter().map(|figure| figure.map(|figure| FigurePart::new(figure, "-figure")));
        let mut panels = section.figures.iter().flat_map(|figure| &figure.what.panels);
        Self {
            id: section.id,
            title: section.title,
            beside: panels.any(|panel| panel.metric.is_some()),
            open: section.open,
            paragraphs: &section.paragraphs,
            figures: figures.collect(),
            tables: &section.tables,
        }
    }
}

fn switches(run: &Run, settings: &[Setting]) -> Vec<Switch> {
    let choice = |id: &str, name: &str| SwitchChoice { id: id.to_owned(), name: name.to_owned() };
    let both = run.summary.averages.iter().any(|average| average.without_0.is_some());
    let samples = SampleSet::BOTH.into_iter().filter(|&samples| both || samples == SampleSet::All);
    let mut switches = vec![
        Switch {
            name: "setting",
            choices: settings.iter().map(|setting| choice(&setting.id(), &setting.name())).collect(),
        },
        Switch {
            name: "samples",
            choices: samples.map(|samples| choice(samples.id(), samples.name())).collect(),
        },
        Switch {
            name: "metric",
            choices: Metric::BOTH.map(|metric| choice(metric.id(), metric.name())).into(),
        },
    ];
    switches.retain(|switch| switch.choices.len() > 1);
    switches
}

fn claimed(settings: &[Setting]) -> Vec<Shown<Table>> {
    if settings.is_empty() {
        return Vec::new();
    }
    SampleSet::BOTH.map(|samples| Shown::always(claims::table(settings, samples)).over(samples)).into()
}

/// Which jump, how good, compared with what, at what price.
fn answers(setting: &Setting, samples: SampleSet) -> Option<Vec<Answer>> {
    let ojfa = setting.ojfa()?;
    let mean = ojfa.mean(samples)?;
    let others = |metric: Metric| {
        let named = [
            (setting.kind(ShortcutKind::NNjtc), "one jump per level"),
            (setting.kind(ShortcutKind::Identity), "identity"),
            (setting.constant(), "constant"),
        ];
        let named = named.into_iter().filter_map(|(curve, name)| {
            let value = metric.of(&curve?.mean(samples)?);
            let value = match metric {
                Metric::Precision => percent(value),
                Metric::Surprisal => number(value, 2, ""),
            };
            Some(format!("{name} {value}"))
        });
        named.collect::<Vec<_>>().join(" · ")
    };
    let of = |kind| parameters(kind, setting.hidden_size, setting.rank, setting.blocks);
    let one = ojfa.average.method.parameters;
    let jump = ojfa.average.method.jump.map_or(NONE.to_owned(), |jump| format!("jump {jump}"));
    Some(vec![
        Answer {
            question: "The chosen jump",
            answer: jump,
            beside: format!("of {}, {}", words::count(setting.blocks, "jump"), setting.name()),
        },
        Answer {
            question: "Average precision@1",
            answer: percent(mean.precision_1),
            beside: others(Metric::Precision),
        },
        Answer {
            question: "Average surprisal",
            answer: words::nats(mean.surprisal),
            beside: others(Metric::Surprisal),
        },
        Answer {
            question: "Parameters",
            answer: thousands(one),
            beside: format!(
                "one jump per level {}, {} times as many",
                thousands(of(ShortcutKind::NNjtc)),
                setting.blocks
            ),
        },
    ])
}

/// D, the values at every level, and the parameters.
fn further_tables(summary: &Summary, settings: &[Setting]) -> Vec<Shown<Table>> {
    let mut tables: Vec<Shown<Table>> = choice::table(settings).map(Shown::always).into_iter().collect();
    for metric in Metric::BOTH {
        tables.extend(each(settings, |setting, samples| {
            setting.ojfa()?.mean(samples)?;
            Some(averages::by_level(setting, samples, metric))
        }));
    }
    tables.push(Shown::always(parameter_table(summary, settings)));
    tables.retain(|table| !table.what.is_empty());
    tables
}

/// Rank, then the parameters of jtc, njtc, n-njtc and of the single shortcuts, then how many times fewer.
fn parameter_table(summary: &Summary, settings: &[Setting]) -> Table {
    let mut ranks: Vec<usize> = settings.iter().map(|setting| setting.rank).collect();
    ranks.dedup();
    let of = |kind, rank: usize| parameters(kind, summary.hidden_size, rank, summary.blocks);
    let one = |rank| of(ShortcutKind::Ojfa, rank);
    let times = |count: u64, one: u64| format!("{}×", thousands((count as f64 / one as f64).round() as u64));
    Table::new(
        "Parameters kept for early exit from every level",
        ranks,
        &[
            ("rank r", &|rank: &usize| rank.to_string()),
            ("jtc: K·H²", &|&rank| thousands(of(ShortcutKind::Jtc, rank))),
            ("njtc: K·2Hr", &|&rank| thousands(of(ShortcutKind::Njtc, rank))),
            ("n-njtc: K·(2Hr + 4H)", &|&rank| thousands(of(ShortcutKind::NNjtc, rank))),
            ("OJFA, joint: 2Hr + 4H", &|&rank| thousands(one(rank))),
            ("n-njtc / OJFA", &|&rank| times(of(ShortcutKind::NNjtc, rank), one(rank))),
            ("jtc / OJFA", &|&rank| times(of(ShortcutKind::Jtc, rank), one(rank))),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::beyond;
    use crate::sample;

    /// Bytes of a page that loads at once.
    const MOST_BYTES: usize = 1_200_000;

    fn page(run: &Run) -> String {
        html(run, &beyond::sections(run)).unwrap()
    }

    /// A run of 30 blocks at two ranks, with every further section.
    fn whole() -> Run {
        Run { analyses: sample::analyses(30, &[5, 57]), ..sample::run(30, &[5, 57]) }
    }

    #[test]
    fn the_page_with_all_sections_stays_small() {
        let html = page(&whole());
        for id in ["frontier", "transfer", "exit", "certainty", "sensitivity"] {
            assert!(html.contains(&format!("<section id=\"{id}\"")), "{id}");
        }
        assert!(html.len() < MOST_BYTES, "{}", html.len());
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        let html = page(&whole());
        for part in html.split("http").skip(1) {
            let namespace = part.starts_with("://www.w3.org/2000/svg");
            let cited = part.starts_with("s://arxiv.org/abs/");
            assert!(namespace || cited, "{}", &part[..60]);
        }
        for loading in ["src=", "<link", "@import", "url(", "import(", "fetch("] {
            assert!(!html.contains(loading), "{loading}");
        }
    }

    #[test]
    fn every_link_inside_the_page_has_its_target_once() {
        let html = page(&whole());
        for target in html.split("href=\"#").skip(1).filter_map(|part| part.split('"').next()) {
            assert_eq!(html.matches(&format!("id=\"{target}\"")).count(), 1, "{target}");
        }
        let ids: Vec<&str> = html.split(" id=\"").skip(1).filter_map(|part| part.split('"').next()).collect();
        for id in &ids {
            assert_eq!(ids.iter().filter(|other| *other == id).count(), 1, "{id}");
        }
    }

    #[test]
    fn names_are_escaped() {
        let mut run = sample::run(12, &[5]);
        run.summary.model = "<b>&".into();
        run.config = Some("x = \"</pre><script>\"".into());
        let html = page(&run);
        assert!(
            html.contains("&lt;b&gt;&amp;") && !html.contains("</pre><script>") && !html.contains("<b>&")
        );
    }

    #[test]
    fn a_run_with_baselines_alone_has_a_page() {
        let mut run = sample::run(12, &[5]);
        run.summary.averages.truncate(2);
        run.summary.choices.clear();
        assert!(page(&run).contains("identity"));
        assert_eq!(tables(&run).len(), 2);
    }

    #[test]
    fn a_run_without_position_0_apart_has_no_such_switch() {
        let mut run = sample::run(12, &[5]);
        run.summary.averages.iter_mut().for_each(|average| average.without_0 = None);
        let html = page(&run);
        assert!(!html.contains("name=\"samples\"") && html.contains("name=\"metric\""));
        assert!(!html.contains("data-samples=\"without-0\" data-figure"));
    }

    #[test]
    fn parameters_are_the_papers_formula() {
        let run = sample::run(30, &[5, 57]);
        let table = parameter_table(&run.summary, &Setting::all(&run));
        let rows: Vec<Vec<&str>> =
            table.rows().map(|row| row.iter().map(|cell| cell.text.as_str()).collect()).collect();
        assert_eq!(rows.len(), 2);
        // 30·576², 30·2·576·5, 30·(2·576·5 + 4·576), 2·576·5 + 4·576.
        assert_eq!(rows[0], ["5", "9,953,280", "172,800", "241,920", "8,064", "30×", "1,234×"]);
        assert_eq!(rows[1][3..6], ["2,039,040", "67,968", "30×"]);
    }

    #[test]
    fn the_papers_tables_are_plain_and_complete() {
        let tables = tables(&sample::run(30, &[5, 57]));
        let latex = crate::table::latex("m", &tables);
        assert!(latex.is_ascii(), "{:?}", latex.chars().find(|character| !character.is_ascii()));
        assert_eq!(latex.matches("\\begin{tabular}").count(), 5);
        let markdown = crate::table::markdown("m", &tables);
        assert!(markdown.contains("| largely matches a jump per level (§6) |"));
    }
}
