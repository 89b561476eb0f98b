//! Figures 2 and 4: precision and surprisal at every exit level.

use onejump_core::results::MethodName;
use onejump_core::shortcut::ShortcutKind;

use super::figure::Figure;
use super::frame::{Across, Axes, widen};
use super::panel::{Content, Panel, Series};
use super::style::{self, Style};
use crate::setting::{Curve, Metric, SampleSet, Setting};
use crate::words::{nats, number};

/// The surprisal axis reaches this many times the constant baseline, unless OJFA or the full n-njtc
/// need more.
const SURPRISAL_LIMIT: f64 = 1.5;
/// But never more than this many times the constant baseline.
const SURPRISAL_LIMIT_AT_MOST: f64 = 3.0;

/// The surprisal axis begins at 0 unless all values are above this share of its end.
const SURPRISAL_FROM_0: f64 = 0.4;

/// OJFA, arbitrary single jumps and the joint shortcut.
pub fn figure_2(setting: &Setting, samples: SampleSet) -> Option<Figure> {
    let mut drawn = Drawn::with_constant(setting, samples);
    for (index, curve) in setting.arbitrary().collect::<Vec<_>>().into_iter().enumerate().rev() {
        drawn.add(Some(curve), style::arbitrary(index), curve.label());
    }
    drawn.kind(ShortcutKind::Joint, style::JOINT, "joint");
    let title = "OJFA, arbitrary jumps and joint training";
    drawn.figure(2, title, "The paper’s Fig. 2: one shortcut at every exit level.")
}

/// OJFA, identity and the full n-njtc.
pub fn figure_4(setting: &Setting, samples: SampleSet) -> Option<Figure> {
    let mut drawn = Drawn::with_constant(setting, samples);
    drawn.kind(ShortcutKind::Jtc, style::JTC, "jtc, a full matrix per level");
    drawn.kind(ShortcutKind::Identity, style::IDENTITY, "identity");
    drawn.kind(ShortcutKind::NNjtc, style::N_NJTC, "n-njtc, one jump per level");
    let title = "OJFA, identity and the full n-njtc";
    drawn.figure(4, title, "The paper’s Fig. 4: the one jump beside a jump for every level.")
}

/// Methods of a setting with their looks and labels; those later in the list lie above the earlier ones.
struct Drawn<'a> {
    setting: &'a Setting<'a>,
    samples: SampleSet,
    curves: Vec<(&'a Curve<'a>, Style, String)>,
}

impl<'a> Drawn<'a> {
    fn with_constant(setting: &'a Setting, samples: SampleSet) -> Self {
        let mut drawn = Self { setting, samples, curves: Vec::new() };
        drawn.add(setting.constant(), style::CONSTANT, MethodName::Constant.to_string());
        drawn
    }

    /// The method, if there is one.
    fn add(&mut self, curve: Option<&'a Curve<'a>>, style: Style, label: String) {
        self.curves.extend(curve.map(|curve| (curve, style, label)));
    }

    fn kind(&mut self, kind: ShortcutKind, style: Style, label: &str) {
        self.add(self.setting.kind(kind), style, label.to_owned());
    }

    fn series(&self, metric: Metric) -> Vec<Series> {
        let curves = self.curves.iter();
        let series = curves.map(|(curve, style, label)| Series {
            label: label.clone(),
            style: *style,
            values: curve.values(self.samples, metric),
        });
        series.collect()
    }

    /// These methods with OJFA above them; none without OJFA, or without such samples.
    fn figure(mut self, number: u8, title: &str, caption: &str) -> Option<Figure> {
        let ojfa = self.setting.ojfa()?;
        ojfa.mean(self.samples)?;
        self.add(Some(ojfa), style::OJFA, ojfa.label());
        let precision = self.series(Metric::Precision);
        let surprisal = self.series(Metric::Surprisal);
        let limit = self.surprisal_limit(&surprisal);
        let surprisal_range = widen((surprisal_start(&surprisal, limit), limit));
        let caption = format!(
            "{caption} {}; the dotted line is the constant baseline.{}{}",
            match self.samples {
                SampleSet::All => "All test samples",
                SampleSet::Without0 => "Test samples that are not at position 0",
            },
            if surprisal_range.0 > 0.0 { " The surprisal axis does not begin at 0." } else { "" },
            beyond(&surprisal, surprisal_range.1)
        );
        let legend = precision.iter().rev().map(|series| (series.style, series.label.clone())).collect();
        let panel = |axes, y, alt, metric, series| {
            let content = Content::Lines { series, notes: Vec::new() };
            Panel { axes, y, alt, content, metric: Some(metric) }
        };
        let axes = Axes::percent("Precision@1", "share of samples · ↑ higher is better", Across::Level);
        let range = widen((0.0, greatest(&precision).max(1e-3)));
        let text = alt("Precision", &precision, Metric::Precision);
        let first = panel(axes, range, text, Metric::Precision, precision);
        let axes = Axes::plain("Surprisal", "nats · ↓ lower is better", Across::Level);
        let text = alt("Surprisal", &surprisal, Metric::Surprisal);
        let second = panel(axes, surprisal_range, text, Metric::Surprisal, surprisal);
        Some(Figure {
            stem: format!("figure-{number}{}", self.setting.suffix()),
            title: format!("{title} ({})", self.setting.name()),
            caption,
            legend,
            panels: vec![first, second],
        })
    }

    /// Where the surprisal axis ends, so that bad methods do not flatten the others.
    fn surprisal_limit(&self, drawn: &[Series]) -> f64 {
        let all = greatest(drawn);
        let constant = self.setting.constant().and_then(|curve| curve.mean(self.samples));
        let constant = constant.map(|mean| mean.surprisal).filter(|constant| *constant > 0.0);
        let limit = constant.map_or(all, |constant| {
            let main = [self.setting.ojfa(), self.setting.kind(ShortcutKind::NNjtc)].into_iter().flatten();
            let main = main.flat_map(|curve| curve.values(self.samples, Metric::Surprisal)).flatten();
            greatest_of(main).max(SURPRISAL_LIMIT * constant).min(SURPRISAL_LIMIT_AT_MOST * constant)
        });
        widen((0.0, all.min(limit).max(1e-3))).1
    }
}

/// Where the surprisal axis begins: at 0 unless that leaves much of the plot empty.
fn surprisal_start(drawn: &[Series], limit: f64) -> f64 {
    let values = drawn.iter().flat_map(|series| series.values.iter().flatten().copied());
    let least = values.filter(|value| value.is_finite()).fold(f64::INFINITY, f64::min);
    if least > SURPRISAL_FROM_0 * limit && least < limit { least } else { 0.0 }
}

fn greatest(series: &[Series]) -> f64 {
    greatest_of(series.iter().flat_map(|series| series.values.iter().copied().flatten()))
}

fn greatest_of(values: impl Iterator<Item = f64>) -> f64 {
    values.filter(|value| value.is_finite()).fold(0.0, f64::max)
}

/// What the caption says of values above the axis.
fn beyond(series: &[Series], limit: f64) -> String {
    let values = series.iter().flat_map(|series| {
        let numbered = series.values.iter().enumerate();
        numbered.filter_map(move |(level, value)| value.map(|value| (series, level, value)))
    });
    let greatest = values.filter(|(.., value)| *value > limit).max_by(|a, b| a.2.total_cmp(&b.2));
    greatest.map_or(String::new(), |(series, level, value)| {
        format!(
            " Marks in the strip above the surprisal plot are values above {}; the greatest is {} ({}, level \
             {level}).",
            number(limit, 0, " nats"),
            nats(value),
            series.label,
        )
    })
}

/// The lines in words: where each begins and ends.
fn alt(what: &str, series: &[Series], metric: Metric) -> String {
    let last = series.iter().map(|series| series.values.len()).max().unwrap_or(0).saturating_sub(1);
    let lines: Vec<String> = series
        .iter()
        .rev()
        .filter_map(|series| {
            let (first, end) = (series.values.first().copied()??, series.values.last().copied()??);
            Some(metric.ends(&series.label, first, end))
        })
        .collect();
    format!("{what} from exit level 0 to {last}. {}.", lines.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn bad_methods_do_not_flatten_the_others() {
        let run = sample::run(30, &[5]);
        let settings = Setting::all(&run);
        let figure = figure_4(&settings[0], SampleSet::All).unwrap();
        let limit = figure.panels[1].y.1;
        assert!((9.0..=12.0).contains(&limit), "{limit}");
        assert!(figure.caption.contains("the greatest is 24.00 nats (identity, level 0)."));
        assert!(!figure_2(&settings[0], SampleSet::All).unwrap().caption.contains("strip"));
    }

    #[test]
    fn the_alternative_text_has_the_ends() {
        let run = sample::run(12, &[5]);
        let alt = figure_4(&Setting::all(&run)[0], SampleSet::All).unwrap().panels.remove(0).alt;
        assert!(alt.starts_with("Precision from exit level 0 to 11. OJFA (jump 6): "), "{alt}");
    }
}
