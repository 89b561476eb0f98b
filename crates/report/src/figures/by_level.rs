//! Figures 2 and 4: precision and surprisal at every exit level.

use onejump_core::results::Metrics;

use super::figure::Figure;
use super::frame::{Axes, widen};
use super::panel::{Content, Panel, Series};
use super::style::{self, Style};
use crate::setting::{Curve, SampleSet, Setting};
use crate::words::{nats, number, percent};

/// The surprisal axis reaches this many times the constant baseline, unless OJFA or the full n-njtc
/// need more.
const SURPRISAL_LIMIT: f64 = 1.5;
/// But never more than this many times the constant baseline.
const SURPRISAL_LIMIT_AT_MOST: f64 = 3.0;

/// The surprisal axis begins at 0 unless all values are above this share of its end.
const SURPRISAL_FROM_0: f64 = 0.4;

/// A method with its look.
struct Drawn<'a> {
    curve: &'a Curve<'a>,
    style: Style,
    label: String,
}

impl<'a> Drawn<'a> {
    /// The method under its own name.
    fn new(curve: &'a Curve<'a>, style: Style) -> Self {
        Self { curve, style, label: curve.label() }
    }

    /// The method under another name.
    fn named(curve: &'a Curve<'a>, style: Style, label: &str) -> Self {
        Self { curve, style, label: label.to_owned() }
    }
}

/// OJFA, arbitrary single jumps and the joint shortcut.
pub fn figure_2(setting: &Setting) -> Option<Figure> {
    let ojfa = setting.ojfa.as_ref()?;
    let mut drawn: Vec<Drawn> = Vec::new();
    drawn.extend(setting.constant.iter().map(|curve| Drawn::new(curve, style::CONSTANT)));
    let arbitrary = setting.arbitrary.iter().enumerate();
    drawn.extend(arbitrary.rev().map(|(index, curve)| Drawn::new(curve, style::arbitrary(index))));
    drawn.extend(setting.joint.iter().map(|curve| Drawn::named(curve, style::JOINT, "joint")));
    drawn.push(Drawn::new(ojfa, style::OJFA));
    let title = "OJFA, arbitrary jumps and joint training";
    Some(by_level(setting, 2, title, "The paper’s Fig. 2: one shortcut at every exit level.", &drawn))
}

/// OJFA, identity and the full n-njtc.
pub fn figure_4(setting: &Setting) -> Option<Figure> {
    let ojfa = setting.ojfa.as_ref()?;
    let mut drawn: Vec<Drawn> = Vec::new();
    drawn.extend(setting.constant.iter().map(|curve| Drawn::new(curve, style::CONSTANT)));
    drawn.extend(
        setting.jtc.iter().map(|curve| Drawn::named(curve, style::JTC, "jtc, a full matrix per level")),
    );
    drawn.extend(setting.identity.iter().map(|curve| Drawn::new(curve, style::IDENTITY)));
    drawn.extend(
        setting.n_njtc.iter().map(|curve| Drawn::named(curve, style::N_NJTC, "n-njtc, one jump per level")),
    );
    drawn.push(Drawn::new(ojfa, style::OJFA));
    let title = "OJFA, identity and the full n-njtc";
    let caption = "The paper’s Fig. 4: the one jump beside a jump for every level.";
    Some(by_level(setting, 4, title, caption, &drawn))
}

fn by_level(setting: &Setting, number: u8, title: &str, caption: &str, drawn: &[Drawn]) -> Figure {
    let series = |metric: fn(&Metrics) -> f64| -> Vec<Series> {
        let one = |Drawn { curve, style, label }: &Drawn| {
            let values = curve.values(SampleSet::All, metric);
            Series { label: label.clone(), style: *style, values }
        };
        drawn.iter().map(one).collect()
    };
    let precision = series(|metrics| metrics.precision_1);
    let surprisal = series(|metrics| metrics.surprisal);
    let limit = surprisal_limit(setting, &surprisal);
    let surprisal_range = widen((surprisal_start(&surprisal, limit), limit));
    let caption = format!(
        "{caption} All test samples; the dotted line is the constant baseline.{}{}",
        if surprisal_range.0 > 0.0 { " The surprisal axis does not begin at 0." } else { "" },
        beyond(&surprisal, surprisal_range.1)
    );
    let panel =
        |axes, y, alt, series| Panel { axes, y, alt, content: Content::Lines { series, notes: Vec::new() } };
    let axes = Axes::percent("Precision@1", "share of samples · ↑ higher is better", "exit level k");
    let range = widen((0.0, greatest(&precision).max(1e-3)));
    let first = panel(axes, range, alt("Precision", &precision, percent), precision.clone());
    let axes = Axes::plain("Surprisal", "nats · ↓ lower is better", "exit level k");
    let second = panel(axes, surprisal_range, alt("Surprisal", &surprisal, nats), surprisal);
    let figure = Figure {
        stem: format!("figure-{number}{}", setting.suffix()),
        title: format!("{title} ({})", setting.name()),
        caption,
        legend: Vec::new(),
        panels: vec![first, second],
    };
    figure.with_legend(&precision)
}

/// Where the surprisal axis ends, so that bad methods do not flatten the others.
fn surprisal_limit(setting: &Setting, drawn: &[Series]) -> f64 {
    let all = greatest(drawn);
    let constant = setting.constant.as_ref().map(|curve| curve.average.all.surprisal);
    let limit = constant.filter(|constant| *constant > 0.0).map_or(all, |constant| {
        let main = [&setting.ojfa, &setting.n_njtc].into_iter().flatten();
        let main = main.flat_map(|curve| curve.values(SampleSet::All, |metrics| metrics.surprisal)).flatten();
        let main = main.filter(|value| value.is_finite()).fold(0.0, f64::max);
        main.max(SURPRISAL_LIMIT * constant).min(SURPRISAL_LIMIT_AT_MOST * constant)
    });
    widen((0.0, all.min(limit).max(1e-3))).1
}

/// Where the surprisal axis begins: at 0 unless that leaves much of the plot empty.
fn surprisal_start(drawn: &[Series], limit: f64) -> f64 {
    let values = drawn.iter().flat_map(|series| series.values.iter().flatten().copied());
    let least = values.filter(|value| value.is_finite()).fold(f64::INFINITY, f64::min);
    if least > SURPRISAL_FROM_0 * limit && least < limit { least } else { 0.0 }
}

fn greatest(series: &[Series]) -> f64 {
    let values = series.iter().flat_map(|series| series.values.iter().flatten());
    values.copied().filter(|value| value.is_finite()).fold(0.0, f64::max)
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
fn alt(what: &str, series: &[Series], value: fn(f64) -> String) -> String {
    let last = series.iter().map(|series| series.values.len()).max().unwrap_or(0).saturating_sub(1);
    let lines: Vec<String> = series
        .iter()
        .rev()
        .filter_map(|series| {
            let (first, end) = (series.values.first().copied()??, series.values.last().copied()??);
            Some(format!("{}: {} to {}", series.label, value(first), value(end)))
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
        let figure = figure_4(&settings[0]).unwrap();
        let limit = figure.panels[1].y.1;
        assert!((9.0..=12.0).contains(&limit), "{limit}");
        assert!(
            figure.caption.contains("the greatest is 24.00 nats (identity, level 0)."),
            "{}",
            figure.caption
        );
        assert!(!figure_2(&settings[0]).unwrap().caption.contains("strip"));
    }

    #[test]
    fn the_alternative_text_has_the_ends() {
        let run = sample::run(12, &[5]);
        let alt = &figure_4(&Setting::all(&run)[0]).unwrap().panels[0].alt.clone();
        assert!(alt.starts_with("Precision from exit level 0 to 11. OJFA (jump 6): "), "{alt}");
    }
}
