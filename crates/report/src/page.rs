//! `report.html`: one file that opens from disk, of a template and the values for it.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior, context};

use crate::error::ReportError;
use crate::figures::by_level::{figure_2, figure_4};
use crate::figures::scores::figure_3;
use crate::run::Run;
use crate::sentences::sentences;
use crate::setting::{Metric, SampleSet, Setting};
use crate::shown::{Section, Shown};
use crate::table::Table;
use crate::words::thousands;
use crate::{averages, choice, claims, escape, paper};

const TEMPLATE: &str = include_str!("../templates/report.html");
const MARKDOWN: &str = include_str!("../templates/tables.md");
const LATEX: &str = include_str!("../templates/tables.tex");
const STYLE: &str = include_str!("../templates/report.css");
const SCRIPT: &str = include_str!("../templates/report.js");

fn title(run: &Run) -> String {
    format!("One jump for all exit levels of {}", run.summary.model)
}

fn environment() -> Result<Environment<'static>, ReportError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.add_filter("thousands", thousands);
    environment.add_filter("markdown", |text: &str| escape::markdown(text));
    environment.add_filter("latex", |text: &str| escape::latex(text));
    // The ending .html makes minijinja escape every value.
    environment.add_template("report.html", TEMPLATE)?;
    environment.add_template("tables.md", MARKDOWN)?;
    environment.add_template("tables.tex", LATEX)?;
    Ok(environment)
}

/// What a paper's author takes, averages, D per jump and claims, as `tables.md` or `tables.tex`.
pub fn tables(run: &Run, template: &str) -> Result<String, ReportError> {
    let settings = Setting::all(run);
    let averages = SampleSet::BOTH.into_iter().filter_map(|samples| averages::table(run, samples));
    let mut tables: Vec<Table> = averages.chain(choice::table(&settings)).collect();
    tables.extend(claimed(&settings).into_iter().map(|claims| claims.what));
    let tables = Value::from(Serde(tables));
    Ok(environment()?.get_template(template)?.render(context! { title => title(run), tables })?)
}

/// The page of a run with its further sections.
pub fn html(run: &Run, sections: &[Section]) -> Result<String, ReportError> {
    let settings = Setting::all(run);
    let mut other_figures = each(&settings, figure_2);
    let scored = |setting| Some(Shown::of([setting], figure_3(setting)?));
    other_figures.extend(settings.iter().filter_map(scored));
    let ids: Vec<Value> =
        settings.iter().map(|setting| context! { id => setting.id(), name => setting.name() }).collect();
    let sentences: Vec<_> =
        settings.iter().map(|setting| Shown::of([setting], sentences(run, setting))).collect();
    let page = context! {
        summary => Serde(&run.summary),
        settings => ids,
        // Whether there are numbers without position 0.
        without_0 => run.summary.averages.iter().any(|average| average.without_0.is_some()),
        main_figures => Serde(each(&settings, figure_4)),
        claims => Serde(claimed(&settings)),
        beside => Serde(each(&settings, averages::beside)),
        sentences => Serde(sentences),
        other_figures => Serde(other_figures),
        paper => Serde(paper::beside(&run.summary, &settings)),
        sections => Serde(sections),
        // What is folded.
        tables => Serde(folded_tables(run, &settings)),
        config => &run.config,
    };
    let values = context! { page, title => title(run), style => STYLE, script => SCRIPT };
    Ok(environment()?.get_template("report.html")?.render(values)?)
}

/// What there is for each setting and its samples.
fn each<T>(settings: &[Setting], make: impl Fn(&Setting, SampleSet) -> Option<T>) -> Vec<Shown<T>> {
    let make = &make;
    let of = |setting| {
        let over = move |samples| Some(Shown::of([setting], make(setting, samples)?).over(samples));
        SampleSet::BOTH.into_iter().filter_map(over)
    };
    settings.iter().flat_map(of).collect()
}

fn claimed(settings: &[Setting]) -> Vec<Shown<Table>> {
    let over = |samples| Shown::always(claims::table(settings, samples)).over(samples);
    if settings.is_empty() { Vec::new() } else { SampleSet::BOTH.map(over).into() }
}

/// Averages, D, and the values at every level.
fn folded_tables(run: &Run, settings: &[Setting]) -> Vec<Shown<Table>> {
    let averages = |samples| Some(Shown::always(averages::table(run, samples)?).over(samples));
    let mut tables: Vec<Shown<Table>> = SampleSet::BOTH.into_iter().filter_map(averages).collect();
    tables.extend(choice::table(settings).map(Shown::always));
    for metric in Metric::BOTH {
        tables.extend(each(settings, |setting, samples| averages::by_level(setting, samples, metric)));
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::beyond;
    use crate::sample;

    /// Bytes of a page that loads at once.
    const MOST_BYTES: usize = 1_400_000;

    fn page(run: &Run) -> String {
        html(run, &beyond::sections(run)).unwrap()
    }

    /// A run of 30 blocks at two ranks, with every further section.
    fn whole() -> Run {
        Run {
            analyses: sample::analyses(30, &[5, 57]),
            drafting: Some(sample::drafting(30)),
            ..sample::run(30, &[5, 57])
        }
    }

    #[test]
    fn the_page_with_all_sections_stays_small() {
        let html = page(&whole());
        for id in ["frontier", "transfer", "exit", "sensitivity"] {
            assert!(html.contains(&format!("<section id=\"about-{id}\"")), "{id}");
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
        assert_eq!(tables(&run, "tables.tex").unwrap().matches("{tabular}{").count(), 2);
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
    fn the_papers_tables_are_plain_and_complete() {
        let run = sample::run(30, &[5, 57]);
        let latex = tables(&run, "tables.tex").unwrap();
        assert!(latex.is_ascii(), "{:?}", latex.chars().find(|character| !character.is_ascii()));
        assert_eq!(latex.matches("\\begin{tabular}").count(), 5);
        assert!(
            latex.contains(
                "\\begin{tabular}{lrrrr}\n\\toprule\nThe one jump \\ldots{} & rank 5, closed form & "
            )
        );
        let marks = "largely matches a jump per level (\\S{}6) & does not hold & does not hold & ";
        assert!(latex.contains(marks), "{latex}");
        let markdown = tables(&run, "tables.md").unwrap();
        assert!(markdown.contains("\n| The one jump … | rank 5, closed form | "), "{markdown}");
        assert!(markdown.contains(
            "\n| --- | ---: | ---: | ---: | ---: |\n| beats arbitrary single jumps (§5) | ✓ holds | "
        ));
        // Every line of a table has as many cells as its first.
        for table in markdown.split("\n\n").filter(|part| part.starts_with('|')) {
            let cells = |line: &str| line.replace("\\|", "").matches('|').count();
            assert!(table.lines().all(|line| cells(line) == cells(table.lines().next().unwrap())), "{table}");
        }
    }
}
