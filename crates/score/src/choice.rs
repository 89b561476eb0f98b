//! The choice of the one jump: D_m (Eq. 5) and its argmax.

use onejump_core::numbers::largest;
use onejump_core::shortcut::{LevelConvention, SCORE_TEMPERATURE, ShortcutKind};
use onejump_shortcuts::card::{Card, JumpChoice};
use onejump_shortcuts::file::{Maps, ShortcutFile};
use onejump_store::tables::Score;

use crate::ScoreError;
use crate::sums::Sums;

/// D_m of every jump under both conventions, the jump with the largest D_m under the one given, and how sure that is: `seed`
/// is that of the texts that are drawn again.
///
/// # Errors
/// [`ScoreError::Jump`] if there are no jumps, or no samples that they were scored on.
pub fn choose(sums: &Sums, levels: LevelConvention, seed: u64) -> Result<JumpChoice, ScoreError> {
    if sums.samples() == 0 {
        return Err(ScoreError::Jump("no samples are left to score the jumps on".into()));
    }
    let sureness = sums.sureness(levels, seed)?;
    Ok(JumpChoice { sureness: Some(sureness), ..by_scores(&sums.scores(), sums.blocks, levels)? })
}

fn by_scores(scores: &[Score], blocks: usize, levels: LevelConvention) -> Result<JumpChoice, ScoreError> {
    let d = |convention: LevelConvention| -> Vec<f64> {
        let mut sums = vec![0.0; blocks];
        for score in scores.iter().filter(|score| convention.levels(blocks).contains(&score.level)) {
            sums[score.jump] += score.mean_signed_square;
        }
        sums.into_iter().map(|sum| sum / blocks as f64).collect()
    };
    let (d_exit, d_eq5) = (d(LevelConvention::Exit), d(LevelConvention::Eq5));
    let mut choice = JumpChoice { level: 0, levels, d_exit, d_eq5, sureness: None };
    choice.level = largest(choice.d(levels))
        .ok_or_else(|| ScoreError::Jump("there are no jumps to choose from".into()))?;
    Ok(choice)
}

/// softmax(D / 5e-4): the paper's Fig. 3.
pub fn softmax(d: &[f64]) -> Vec<f64> {
    let largest = d.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = d.iter().map(|d| ((d - largest) / SCORE_TEMPERATURE).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// The chosen jump as a file of its own.
///
/// # Errors
/// [`ScoreError`] if the choice is not among the jumps, or they are no n-njtc.
pub fn one_jump(jumps: &ShortcutFile, choice: JumpChoice) -> Result<ShortcutFile, ScoreError> {
    if jumps.card.kind != ShortcutKind::NNjtc {
        return Err(ScoreError::Jump(format!(
            "the one jump is chosen among n-njtc, not {}",
            jumps.card.kind
        )));
    }
    let map = jumps.map_at(choice.level)?.shallow_clone();
    let loss = jumps.card.training_loss.get(choice.level).copied();
    let card = Card {
        kind: ShortcutKind::Ojfa,
        training_loss: loss.into_iter().collect(),
        loss_curves: None,
        held_out_curve: None,
        previous: false,
        choice: Some(choice),
        ..jumps.card.clone()
    };
    Ok(ShortcutFile { card, maps: Maps::One(Box::new(map)), previous: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_chosen_from_no_samples() {
        let sums = Sums { blocks: 2, parts: Vec::new() };
        let error = choose(&sums, LevelConvention::Exit, 0).unwrap_err().to_string();
        assert!(error.contains("no samples are left"), "{error}");
    }

    /// Two jumps, K = 2: jump 0 is better over levels 0..1, jump 1 over levels 1..2.
    #[test]
    fn the_two_conventions_are_kept_apart() {
        let values = [[0.9, 0.3, 0.1], [0.2, 0.4, 0.9]];
        let scores: Vec<Score> = (0..2)
            .flat_map(|jump| {
                (0..3).map(move |level| Score {
                    jump,
                    level,
                    mean_cosine: 0.0,
                    mean_signed_square: values[jump][level],
                })
            })
            .collect();
        let choice = by_scores(&scores, 2, LevelConvention::Exit).unwrap();
        assert_eq!((choice.level, choice.best(LevelConvention::Eq5)), (0, Some(1)));
        let close = |a: &[f64], b: [f64; 2]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-15);
        assert!(close(&choice.d_exit, [0.6, 0.3]) && close(&choice.d_eq5, [0.2, 0.65]), "{choice:?}");
        assert_eq!(by_scores(&scores, 2, LevelConvention::Eq5).unwrap().level, 1);
    }

    /// A difference of ln 3 temperatures is a ratio of 3.
    #[test]
    fn softmax_is_at_the_papers_temperature() {
        let weights = softmax(&[0.5, 0.5 + SCORE_TEMPERATURE * 3f64.ln()]);
        assert!((weights[1] - 0.75).abs() < 1e-9, "{weights:?}");
    }
}
