//! What `report.html` says, as values for its template.

use onejump_core::results::{MethodName, Metrics};
use onejump_core::shortcut::{ShortcutKind, parameters};
use serde::Serialize;

use crate::averages::{self, HEADINGS};
use crate::claims::{Claim, Verdict};
use crate::figures::figure::{Figure, Piece};
use crate::findings::findings;
use crate::headlines::{Headline, headline, position_0};
use crate::paper::{self, PaperPart};
use crate::run::Run;
use crate::section::{Section, Table};
use crate::setting::{Curve, SampleSet, Setting};
use crate::words::{self, count, number, percent, thousands};

/// All values of the template.
#[derive(Debug, Serialize)]
pub struct Page {
    model: String,
    facts: Vec<(&'static str, String)>,
    headlines: Vec<Headline>,
    position_0: String,
    settings: Vec<SettingPart>,
    claims: Vec<ClaimRow>,
    paper: Option<PaperPart>,
    figures: Vec<FigurePart>,
    sections: Vec<SectionPart>,
    headings: [&'static str; 8],
    averages: Vec<AverageTable>,
    parameters: Vec<Vec<String>>,
    sampling_error: String,
    config: Option<String>,
}

#[derive(Debug, Serialize)]
struct SettingPart {
    id: String,
    name: String,
    findings: Vec<FindingPart>,
    levels: Vec<LevelTable>,
}

#[derive(Debug, Serialize)]
struct FindingPart {
    topic: &'static str,
    source: Option<&'static str>,
    verdict: Option<Mark>,
    verdict_without_0: Option<Mark>,
    all: String,
    without_0: Option<String>,
}

/// A verdict with the symbol and the class that show it.
#[derive(Debug, Serialize)]
struct Mark {
    symbol: &'static str,
    class: &'static str,
    text: &'static str,
}

impl From<Verdict> for Mark {
    fn from(verdict: Verdict) -> Self {
        let (symbol, class) = match verdict {
            Verdict::Holds => ("✓", "holds"),
            Verdict::InPart => ("◐", "part"),
            Verdict::Fails => ("✗", "fails"),
            Verdict::Untested => ("–", "untested"),
        };
        Self { symbol, class, text: verdict.text() }
    }
}

#[derive(Debug, Serialize)]
struct ClaimRow {
    text: &'static str,
    source: &'static str,
    /// By setting: over all samples, and without those at position 0 where that differs.
    cells: Vec<(Mark, Option<Mark>)>,
}

#[derive(Debug, Serialize)]
struct FigurePart {
    id: String,
    title: String,
    caption: String,
    legend: Vec<Piece>,
    panels: Vec<Piece>,
}

/// A further section.
#[derive(Debug, Serialize)]
struct SectionPart {
    id: &'static str,
    title: &'static str,
    paragraphs: Vec<String>,
    figures: Vec<FigurePart>,
    tables: Vec<Table>,
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

#[derive(Debug, Serialize)]
struct LevelTable {
    caption: String,
    methods: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Page {
    /// The page of a run, with its figures.
    pub fn new(run: &Run, figures: &[Figure], sections: &[Section]) -> Self {
        let (summary, settings) = (&run.summary, Setting::all(run));
        Self {
            model: summary.model.clone(),
            facts: facts(run, &settings),
            headlines: settings.iter().map(headline).collect(),
            position_0: position_0(run, &settings),
            settings: settings.iter().map(setting_part).collect(),
            claims: Claim::ALL.map(|claim| claim_row(claim, &settings)).into(),
            paper: paper::beside(summary, &settings),
            figures: figures.iter().map(figure_part).collect(),
            sections: sections.iter().map(section_part).collect(),
            headings: HEADINGS,
            averages: average_tables(run),
            parameters: parameter_rows(run, &settings),
            sampling_error: sampling_error(run, &settings),
            config: run.config.clone(),
        }
    }
}

fn facts(run: &Run, settings: &[Setting]) -> Vec<(&'static str, String)> {
    let summary = &run.summary;
    let names: Vec<String> = settings.iter().map(Setting::name).collect();
    vec![
        ("Model", format!("{} ({})", summary.model, summary.architecture)),
        ("Hidden size H", thousands(summary.hidden_size as u64)),
        ("Blocks K", format!("{} (exit levels 0–{})", summary.blocks, summary.blocks.saturating_sub(1))),
        ("Vocabulary V", thousands(summary.vocab_size as u64)),
        ("Training samples", thousands(summary.train_samples as u64)),
        (
            "Test samples",
            format!(
                "{}, of which {} at position 0",
                thousands(summary.test_samples as u64),
                thousands(summary.test_samples_at_0 as u64)
            ),
        ),
        ("Shortcuts", if names.is_empty() { "nothing".to_owned() } else { names.join("; ") }),
    ]
}

fn claim_row(claim: Claim, settings: &[Setting]) -> ClaimRow {
    let cell = |setting: &Setting| {
        let all = claim.verdict(setting, SampleSet::All);
        let without_0 = claim.verdict(setting, SampleSet::Without0);
        let differs = without_0 != all && without_0 != Verdict::Untested;
        (all.into(), differs.then(|| without_0.into()))
    };
    ClaimRow { text: claim.text(), source: claim.source(), cells: settings.iter().map(cell).collect() }
}

fn setting_part(setting: &Setting) -> SettingPart {
    let findings = findings(setting).into_iter().map(|finding| {
        let mark = |samples| finding.claim.map(|claim| claim.verdict(setting, samples).into());
        FindingPart {
            topic: finding.topic,
            source: finding.claim.map(Claim::source),
            verdict: mark(SampleSet::All),
            verdict_without_0: mark(SampleSet::Without0),
            all: finding.all,
            without_0: finding.without_0,
        }
    });
    SettingPart {
        id: format!("setting{}", setting.suffix()),
        name: setting.name(),
        findings: findings.collect(),
        levels: vec![
            level_table(setting, "Precision@1", |metrics| percent(metrics.precision_1)),
            level_table(setting, "Surprisal in nats", |metrics| number(metrics.surprisal, 2, "")),
        ],
    }
}

/// One metric of every method of a setting, a row for each exit level.
fn level_table(setting: &Setting, what: &str, cell: fn(&Metrics) -> String) -> LevelTable {
    let curves: Vec<&Curve> = setting.baselines().chain(setting.trained()).collect();
    let row = |level: usize| {
        let value = |curve: &&Curve| {
            curve.at(level, SampleSet::All).map_or(words::NONE.to_owned(), |metrics| cell(&metrics))
        };
        std::iter::once(level.to_string()).chain(curves.iter().map(value)).collect()
    };
    LevelTable {
        caption: format!("{what} at every exit level, all test samples ({})", setting.name()),
        methods: curves.iter().map(|curve| curve.label()).collect(),
        rows: (0..setting.blocks).map(row).collect(),
    }
}

fn figure_part(figure: &Figure) -> FigurePart {
    FigurePart {
        id: figure.stem.clone(),
        title: figure.title.clone(),
        caption: figure.caption.clone(),
        legend: figure.legend(),
        panels: figure.panels(),
    }
}

fn section_part(section: &Section) -> SectionPart {
    // A section and its figure may have the same name; anchors are the page's own.
    let figure = |figure| {
        let part = figure_part(figure);
        FigurePart { id: format!("figure-{}", part.id), ..part }
    };
    SectionPart {
        id: section.id,
        title: section.title,
        paragraphs: section.paragraphs.clone(),
        figures: section.figures.iter().map(figure).collect(),
        tables: section.tables.clone(),
    }
}

fn average_tables(run: &Run) -> Vec<AverageTable> {
    let blocks = averages::blocks(run);
    let mut rows = blocks.iter().flat_map(|block| &block.rows);
    let constant =
        rows.find(|(_, curve)| curve.average.method.name == MethodName::Constant).map(|(_, curve)| curve);
    let table = |samples, caption: String| AverageTable {
        caption,
        blocks: blocks
            .iter()
            .map(|block| {
                let row = |(label, curve): &(String, Curve)| {
                    Some((label.clone(), averages::cells(curve, constant, samples)?))
                };
                AverageBlock { name: block.name.clone(), rows: block.rows.iter().filter_map(row).collect() }
            })
            .collect(),
    };
    let (all, at_0) = (run.summary.test_samples, run.summary.test_samples_at_0);
    let samples = |number: usize| count(number, "test sample");
    vec![
        table(SampleSet::All, format!("Averages over the exit levels, all {}", samples(all))),
        table(
            SampleSet::Without0,
            format!(
                "Averages over the exit levels, the {} not at position 0",
                samples(all.saturating_sub(at_0))
            ),
        ),
    ]
    .into_iter()
    .filter(|table: &AverageTable| table.blocks.iter().any(|block| !block.rows.is_empty()))
    .collect()
}

/// Rank, then the parameters of jtc, njtc, n-njtc and of the single shortcuts, then how many times fewer.
fn parameter_rows(run: &Run, settings: &[Setting]) -> Vec<Vec<String>> {
    let mut ranks: Vec<usize> = settings.iter().map(|setting| setting.rank).collect();
    ranks.dedup();
    let row = |rank: usize| {
        let of = |kind| parameters(kind, run.summary.hidden_size, rank, run.summary.blocks);
        let mut cells = vec![rank.to_string()];
        cells.extend(
            [ShortcutKind::Jtc, ShortcutKind::Njtc, ShortcutKind::NNjtc, ShortcutKind::Ojfa]
                .map(|kind| thousands(of(kind))),
        );
        let times = |kind| {
            format!("{}×", thousands((of(kind) as f64 / of(ShortcutKind::Ojfa) as f64).round() as u64))
        };
        cells.extend([times(ShortcutKind::NNjtc), times(ShortcutKind::Jtc)]);
        cells
    };
    ranks.into_iter().map(row).collect()
}

/// How finely a precision at one level can be read.
fn sampling_error(run: &Run, settings: &[Setting]) -> String {
    let precision = settings.iter().filter_map(|setting| setting.ojfa.as_ref());
    let precision = precision.map(|curve| curve.average.all.precision_1).next().unwrap_or(0.5);
    let samples = run.summary.test_samples.max(1) as f64;
    let error = (precision * (1.0 - precision) / samples).sqrt();
    format!(
        "The standard error of a precision of {} over {} is {}. All methods see the same samples, and averages \
         run over {} exit levels, so differences between averages are somewhat more certain than that.",
        percent(precision),
        count(run.summary.test_samples, "sample"),
        words::points(error),
        run.summary.blocks
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn parameters_are_the_papers_formula() {
        let run = sample::run(30, &[5, 57]);
        let rows = parameter_rows(&run, &Setting::all(&run));
        assert_eq!(rows.len(), 2);
        // 30·576², 30·2·576·5, 30·(2·576·5 + 4·576), 2·576·5 + 4·576.
        assert_eq!(rows[0], ["5", "9,953,280", "172,800", "241,920", "8,064", "30×", "1,234×"]);
        assert_eq!(rows[1][3..6], ["2,039,040", "67,968", "30×"]);
    }
}
