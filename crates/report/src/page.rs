//! `report.html`: one file that opens from disk, of a template and the values for it.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior, context};
use onejump_core::results::{Metrics, Summary};
use onejump_core::shortcut::{ShortcutKind, parameters};
use serde::Serialize;

use crate::averages::{self, Block};
use crate::claims::{Claim, Mark, Verdict};
use crate::error::ReportError;
use crate::figures::figure::Figure;
use crate::findings::{Finding, findings};
use crate::headlines::{headline, position_0};
use crate::paper::{self, PaperPart};
use crate::run::Run;
use crate::section::{Section, Table};
use crate::setting::{Curve, SampleSet, Setting};
use crate::words::{self, count, number, percent, thousands};

const TEMPLATE: &str = include_str!("../templates/report.html");
const STYLE: &str = include_str!("../templates/report.css");

/// All values of the template.
#[derive(Debug, Serialize)]
struct Page<'a> {
    summary: &'a Summary,
    position_0: String,
    settings: Vec<SettingPart>,
    claims: Vec<ClaimRow>,
    paper: Option<PaperPart>,
    figures: &'a [Figure],
    sections: &'a [Section],
    headings: Vec<&'static str>,
    averages: Vec<AverageTable>,
    parameters: Vec<Vec<String>>,
    sampling_error: String,
    config: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct SettingPart {
    id: String,
    name: String,
    headline: String,
    findings: Vec<Finding>,
    levels: [Table; 2],
}

#[derive(Debug, Serialize)]
struct ClaimRow {
    text: &'static str,
    source: &'static str,
    /// By setting: over all samples, and without those at position 0 where that differs.
    cells: Vec<(Mark, Option<Mark>)>,
}

#[derive(Debug, Serialize)]
struct AverageTable {
    caption: String,
    blocks: Vec<AverageBlock>,
}

#[derive(Debug, Serialize)]
struct AverageBlock {
    name: String,
    rows: Vec<(String, Vec<String>)>,
}

/// The page of a run with its figures.
pub fn html(run: &Run, figures: &[Figure], sections: &[Section]) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    // The ending .html makes minijinja escape every value.
    environment.add_template("report.html", TEMPLATE)?;
    environment.add_filter("thousands", thousands);
    let (summary, settings) = (&run.summary, Setting::all(run));
    let page = Page {
        summary,
        position_0: position_0(run, &settings),
        settings: settings.iter().map(setting_part).collect(),
        claims: Claim::ALL.map(|claim| claim_row(claim, &settings)).into(),
        paper: paper::beside(summary, &settings),
        figures,
        sections,
        headings: averages::headings().collect(),
        averages: average_tables(run),
        parameters: parameter_rows(summary, &settings),
        sampling_error: sampling_error(summary, &settings),
        config: run.config.as_deref(),
    };
    let page = Value::from(Serde(page));
    Ok(environment.get_template("report.html")?.render(context! { page, style => STYLE })?)
}

fn claim_row(claim: Claim, settings: &[Setting]) -> ClaimRow {
    let cell = |setting: &Setting| {
        let (all, without_0) = claim.verdicts(setting);
        (all.mark(), without_0.map(Verdict::mark))
    };
    ClaimRow { text: claim.text(), source: claim.source(), cells: settings.iter().map(cell).collect() }
}

fn setting_part(setting: &Setting) -> SettingPart {
    SettingPart {
        id: format!("setting{}", setting.suffix()),
        name: setting.name(),
        headline: headline(setting),
        findings: findings(setting),
        levels: [
            level_table(setting, "Precision@1", |metrics| percent(metrics.precision_1)),
            level_table(setting, "Surprisal in nats", |metrics| number(metrics.surprisal, 2, "")),
        ],
    }
}

/// One metric of every method of a setting, a row for each exit level.
fn level_table(setting: &Setting, what: &str, cell: fn(&Metrics) -> String) -> Table {
    let row = |level: usize| {
        let value = |curve: &Curve| {
            curve.at(level, SampleSet::All).map_or(words::NONE.to_owned(), |metrics| cell(&metrics))
        };
        std::iter::once(level.to_string()).chain(setting.curves().map(value)).collect()
    };
    Table {
        caption: format!("{what} at every exit level, all test samples ({})", setting.name()),
        head: std::iter::once("level".to_owned()).chain(setting.curves().map(Curve::label)).collect(),
        rows: (0..setting.blocks).map(row).collect(),
        folded: false,
    }
}

fn average_tables(run: &Run) -> Vec<AverageTable> {
    let blocks = averages::blocks(run);
    let mut curves = blocks.iter().flat_map(|block| &block.rows).map(|(_, curve)| curve);
    let constant = curves.find(|curve| curve.is_constant());
    let block = |block: &Block, samples| AverageBlock {
        name: block.name.clone(),
        rows: block
            .rows
            .iter()
            .filter_map(|(label, curve)| Some((label.clone(), averages::cells(curve, constant, samples)?)))
            .collect(),
    };
    let table = |samples, whose: String| AverageTable {
        caption: format!("Averages over the exit levels, {whose}"),
        blocks: blocks.iter().map(|one| block(one, samples)).collect(),
    };
    let (all, at_0) = (run.summary.test_samples, run.summary.test_samples_at_0);
    let without_0 = count(all.saturating_sub(at_0), "test sample");
    let mut tables = vec![
        table(SampleSet::All, format!("all {}", count(all, "test sample"))),
        table(SampleSet::Without0, format!("the {without_0} not at position 0")),
    ];
    tables.retain(|table| table.blocks.iter().any(|block| !block.rows.is_empty()));
    tables
}

/// Rank, then the parameters of jtc, njtc, n-njtc and of the single shortcuts, then how many times fewer.
fn parameter_rows(summary: &Summary, settings: &[Setting]) -> Vec<Vec<String>> {
    let mut ranks: Vec<usize> = settings.iter().map(|setting| setting.rank).collect();
    ranks.dedup();
    let row = |rank: usize| {
        let of = |kind| parameters(kind, summary.hidden_size, rank, summary.blocks);
        let kinds = [ShortcutKind::Jtc, ShortcutKind::Njtc, ShortcutKind::NNjtc, ShortcutKind::Ojfa];
        let [jtc, njtc, n_njtc, one] = kinds.map(of);
        let times = |count: u64| format!("{}×", thousands((count as f64 / one as f64).round() as u64));
        let counts = [jtc, njtc, n_njtc, one].map(thousands);
        [vec![rank.to_string()], counts.into(), vec![times(n_njtc), times(jtc)]].concat()
    };
    ranks.into_iter().map(row).collect()
}

/// How finely a precision at one level can be read.
fn sampling_error(summary: &Summary, settings: &[Setting]) -> String {
    let precision = settings.iter().find_map(|setting| Some(setting.ojfa()?.average.all.precision_1));
    let precision = precision.unwrap_or(0.5);
    let error = (precision * (1.0 - precision) / summary.test_samples.max(1) as f64).sqrt();
    format!(
        "The standard error of a precision of {} over {} is {}. All methods see the same samples, and averages \
         run over {} exit levels, so differences between averages are somewhat more certain than that.",
        percent(precision),
        count(summary.test_samples, "sample"),
        words::points(error),
        summary.blocks
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::beyond::sections;
    use crate::figures::figures;
    use crate::sample;

    /// Bytes of a page that loads at once.
    const MOST_BYTES: usize = 700_000;

    fn page(run: &Run) -> String {
        html(run, &figures(run), &sections(run)).unwrap()
    }

    /// A run of 30 blocks at two ranks, with every further section.
    fn whole() -> Run {
        Run { analyses: sample::analyses(30, &[5, 57]), ..sample::run(30, &[5, 57]) }
    }

    #[test]
    fn the_page_with_all_sections_stays_small() {
        let html = page(&whole());
        for id in ["certainty", "transfer", "frontier", "exit", "sensitivity"] {
            assert!(html.contains(&format!("<section id=\"{id}\"")), "{id}");
        }
        assert!(html.len() < MOST_BYTES, "{}", html.len());
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        let html = page(&whole());
        for part in html.split("http").skip(1) {
            let namespace = part.starts_with("://www.w3.org/2000/svg");
            let cited = ["s://arxiv.org/abs/", "s://aclanthology.org/"].iter().any(|at| part.starts_with(at));
            assert!(namespace || cited, "{}", &part[..60]);
        }
        for loading in ["src=", "<link", "@import", "url(", "<script"] {
            assert!(!html.contains(loading), "{loading}");
        }
    }

    #[test]
    fn every_link_inside_the_page_has_its_target_once() {
        let html = page(&whole());
        for target in html.split("href=\"#").skip(1).filter_map(|part| part.split('"').next()) {
            assert_eq!(html.matches(&format!("id=\"{target}\"")).count(), 1, "{target}");
        }
    }

    #[test]
    fn names_are_escaped() {
        let mut run = sample::run(12, &[5]);
        run.summary.model = "<b>&".into();
        run.config = Some("x = \"<script>\"".into());
        let html = page(&run);
        assert!(html.contains("&lt;b&gt;&amp;") && !html.contains("<script>") && !html.contains("<b>&"));
    }

    #[test]
    fn a_run_with_baselines_alone_has_a_page() {
        let mut run = sample::run(12, &[5]);
        run.summary.averages.truncate(2);
        run.summary.choices.clear();
        assert!(page(&run).contains("identity"));
    }

    #[test]
    fn parameters_are_the_papers_formula() {
        let run = sample::run(30, &[5, 57]);
        let rows = parameter_rows(&run.summary, &Setting::all(&run));
        assert_eq!(rows.len(), 2);
        // 30·576², 30·2·576·5, 30·(2·576·5 + 4·576), 2·576·5 + 4·576.
        assert_eq!(rows[0], ["5", "9,953,280", "172,800", "241,920", "8,064", "30×", "1,234×"]);
        assert_eq!(rows[1][3..6], ["2,039,040", "67,968", "30×"]);
    }
}
