//! Figure 3: the scores that chose the jump.

use onejump_core::shortcut::{LevelConvention, SCORE_TEMPERATURE};

use super::figure::Figure;
use super::frame::{Across, Axes, widen};
use super::panel::{Content, Panel, Series};
use super::style::{self, Style};
use crate::setting::Setting;
use crate::words::{self, number};

/// The space above the best score for its name, as a share of the range of scores.
const NOTE_SPACE: f64 = 0.12;

/// The softmax of the scores as in the paper, and the scores themselves.
pub fn figure_3(setting: &Setting) -> Option<Figure> {
    let choice = setting.choice?;
    let exit = Scores { levels: LevelConvention::Exit, jump: choice.jump_exit, values: &choice.d_exit };
    let eq5 = Scores { levels: LevelConvention::Eq5, jump: choice.jump_eq5, values: &choice.d_eq5 };
    let (decided, other) = match choice.levels {
        LevelConvention::Exit => (Scores { jump: choice.jump, ..exit }, eq5),
        LevelConvention::Eq5 => (Scores { jump: choice.jump, ..eq5 }, exit),
    };
    if decided.values.is_empty() || decided.values.iter().chain(other.values).any(|score| !score.is_finite())
    {
        return None;
    }
    let series = vec![
        other.line(style::OTHER_SCORE, format!("best: jump {}", other.jump)),
        decided.line(style::SCORE, format!("best: jump {}, chosen", decided.jump)),
    ];
    let caption = format!(
        "The paper’s Fig. 3: a softmax at temperature {SCORE_TEMPERATURE} over the scores of the training \
         samples, beside the scores themselves, which the softmax hides where they are close below the best."
    );
    let legend = series.iter().rev().map(|series| (series.style, series.label.clone())).collect();
    Some(Figure {
        stem: format!("figure-3{}", setting.suffix()),
        title: format!("Scores of the jumps ({})", words::setting(choice.solver, choice.rank)),
        caption,
        legend,
        panels: vec![decided.weights(), decided.beside(other, series)],
    })
}

/// The scores of all jumps under one convention.
#[derive(Clone, Copy)]
struct Scores<'a> {
    levels: LevelConvention,
    /// The jump that it chooses.
    jump: usize,
    /// D by jump.
    values: &'a [f64],
}

impl Scores<'_> {
    fn name(self) -> String {
        let levels = self.levels.levels(self.values.len());
        format!("D over levels {}–{}", levels.start, levels.end.saturating_sub(1))
    }

    fn line(self, style: Style, note: String) -> Series {
        let values = self.values.iter().copied().map(Some).collect();
        Series { label: format!("{} ({note})", self.name()), style, values }
    }

    /// The value of the chosen jump.
    fn best(self, values: &[f64]) -> f64 {
        values.get(self.jump).copied().unwrap_or_default()
    }

    /// The softmax of the scores.
    fn weights(self) -> Panel {
        let weights = softmax(self.values, SCORE_TEMPERATURE);
        let note = format!("jump {}: {}", self.jump, number(self.best(&weights), 2, ""));
        Panel {
            axes: Axes::plain(
                "Softmax of the scores",
                "softmax(D / 0.0005) · the highest is chosen",
                Across::Jump,
            ),
            y: (0.0, 1.0),
            alt: format!("Softmax of the scores of jumps 0 to {}. {note}.", self.values.len() - 1),
            content: Content::Bars { values: weights, chosen: self.jump, note },
            metric: None,
        }
    }

    /// The scores themselves, beside those of the other convention.
    fn beside(self, other: Self, series: Vec<Series>) -> Panel {
        let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = |values: &[f64]| values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let low = least(self.values).min(least(other.values));
        let high = most(self.values).max(most(other.values));
        let best = self.best(self.values);
        Panel {
            axes: Axes::plain("Score D", "mean signed squared cosine · ↑ higher is better", Across::Jump),
            y: widen((low, high + NOTE_SPACE * (high - low))),
            alt: format!(
                "{} of jumps 0 to {}, from {} to {}, highest for jump {}.",
                self.name(),
                self.values.len() - 1,
                number(least(self.values), 3, ""),
                number(best, 3, ""),
                self.jump
            ),
            content: Content::Lines { series, notes: vec![(self.jump, best, format!("jump {}", self.jump))] },
            metric: None,
        }
    }
}

/// softmax(scores / temperature).
fn softmax(scores: &[f64], temperature: f64) -> Vec<f64> {
    let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|score| ((score - greatest) / temperature).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_softmax_sums_to_one_and_keeps_the_order() {
        let weights = softmax(&[0.3, 0.3005, 0.2], SCORE_TEMPERATURE);
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        // One temperature apart is a factor of e.
        assert!((weights[1] / weights[0] - std::f64::consts::E).abs() < 1e-6);
    }

    #[test]
    fn both_conventions_are_drawn() {
        let run = sample::run(12, &[5]);
        let settings = Setting::all(&run);
        let figure = figure_3(&settings[0]).unwrap();
        let labels: Vec<&str> = figure.legend.iter().map(|(_, label)| label.as_str()).collect();
        assert!(labels[0].starts_with("D over levels 0–11") && labels[0].ends_with("chosen)"), "{labels:?}");
        assert!(labels[1].starts_with("D over levels 1–12"), "{labels:?}");
    }
}
