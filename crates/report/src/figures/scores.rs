//! Figure 3: the scores that chose the jump.

use onejump_core::shortcut::{LevelConvention, SCORE_TEMPERATURE};

use super::Figure;
use super::frame::{Axes, widen};
use super::panel::{Content, Panel, Series};
use super::style;
use crate::setting::Setting;
use crate::words::{self, number};

/// The space above the best score for its name, as a share of the range of scores.
const NOTE_SPACE: f64 = 0.12;

/// The softmax of the scores as in the paper, and the scores themselves.
pub fn figure_3(setting: &Setting) -> Option<Figure> {
    let choice = setting.choice?;
    let (decided, other) = match choice.levels {
        LevelConvention::Exit => (&choice.d_exit, &choice.d_eq5),
        LevelConvention::Eq5 => (&choice.d_eq5, &choice.d_exit),
    };
    if decided.is_empty() || decided.iter().chain(other).any(|score| !score.is_finite()) {
        return None;
    }
    let blocks = decided.len();
    let name = |convention: LevelConvention| {
        let levels = convention.levels(blocks);
        format!("D over levels {}–{}", levels.start, levels.end.saturating_sub(1))
    };
    let line = |label: String, style, values: &[f64]| Series {
        label,
        style,
        values: values.iter().copied().map(Some).collect(),
    };
    let (rival, rival_jump) = match choice.levels {
        LevelConvention::Exit => (LevelConvention::Eq5, choice.jump_eq5),
        LevelConvention::Eq5 => (LevelConvention::Exit, choice.jump_exit),
    };
    let series = vec![
        line(format!("{} (best: jump {rival_jump})", name(rival)), style::OTHER_SCORE, other),
        line(format!("{} (best: jump {}, chosen)", name(choice.levels), choice.jump), style::SCORE, decided),
    ];
    let weights = softmax(decided, SCORE_TEMPERATURE);
    let all = || decided.iter().chain(other).copied();
    let range = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let at = |values: &[f64]| values.get(choice.jump).copied().unwrap_or_default();
    let note = format!("jump {}: {}", choice.jump, number(at(&weights), 2, ""));
    let panels = vec![
        Panel {
            axes: Axes {
                title: "Softmax of the scores",
                unit: "softmax(D / 0.0005) · the highest is chosen",
                x: "jump m",
                tick: |value, step| super::number_tick(value, step, ""),
            },
            y: (0.0, 1.0),
            alt: format!("Softmax of the scores of jumps 0 to {}. {note}.", blocks - 1),
            content: Content::Bars { values: weights, chosen: choice.jump, note },
        },
        Panel {
            axes: Axes {
                title: "Score D",
                unit: "mean signed squared cosine · ↑ higher is better",
                x: "jump m",
                tick: |value, step| super::number_tick(value, step, ""),
            },
            y: widen((range.0, range.1 + NOTE_SPACE * (range.1 - range.0))),
            alt: format!(
                "{} of jumps 0 to {}, from {} to {}, highest for jump {}.",
                name(choice.levels),
                blocks - 1,
                number(decided.iter().copied().fold(f64::INFINITY, f64::min), 3, ""),
                number(at(decided), 3, ""),
                choice.jump
            ),
            content: Content::Lines {
                series: series.clone(),
                notes: vec![(choice.jump, at(decided), format!("jump {}", choice.jump))],
            },
        },
    ];
    let caption = format!(
        "The paper’s Fig. 3: a softmax at temperature {SCORE_TEMPERATURE} over the scores of the training \
         samples, beside the scores themselves, which the softmax hides where they are close below the best."
    );
    let title = format!("Scores of the jumps (rank {}, {})", choice.rank, words::solver(choice.solver));
    Some(Figure::new(format!("figure-3{}", setting.suffix()), title, caption, &series, panels))
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
