//! How sure looks are, and how often right, on text that the model writes itself.

use std::sync::Arc;

use onejump_core::observe::{Observer, Task};
use onejump_exit::Look;
use onejump_models::session::{Head, Model, Session};

use super::Gate;
use crate::GenerateError;
use crate::sampling::Sampling;

/// A look at a token's state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// The probability of its most likely token.
    pub confidence: f64,
    /// How many tokens are above the one that the model says at the end; 0 if that is its most likely token.
    pub rank: usize,
}

/// What looks said at each gate, for each token that the model wrote.
#[derive(Debug, Clone, Default)]
pub struct Calibration {
    /// The gates' levels, and K.
    levels: Vec<usize>,
    /// For each token what each gate saw.
    tokens: Vec<Vec<Seen>>,
    /// The texts, each with the length of its prompt.
    texts: Vec<(Vec<i64>, usize)>,
}

/// What a threshold would have done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    /// The share of tokens that are those of the full model.
    pub agreement: f64,
    /// The mean level at which tokens leave.
    pub mean_level: f64,
}

/// What the model writes is measured with so much of it.
#[derive(Debug, Clone, Copy)]
pub struct Amount<'a> {
    /// What it begins with, in tokens.
    pub prompts: &'a [Vec<i64>],
    /// How many tokens it adds to each.
    pub tokens: usize,
    /// Threads; 0 is one for each processor.
    pub threads: usize,
}

impl Seen {
    /// A look at logits (V), where the model says `token` at the end.
    fn at(logits: &[f32], token: i64) -> Self {
        let own = logits.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY);
        let above = |(id, &logit): (usize, &f32)| logit > own || (logit == own && (id as i64) < token);
        let rank = logits.iter().enumerate().filter(|&entry| above(entry)).count();
        Self { confidence: Look::at(logits).probability(), rank }
    }
}

/// The share of those that are true.
fn share(all: impl Iterator<Item = bool>) -> f64 {
    let (count, right) = all.fold((0u32, 0u32), |(count, right), one| (count + 1, right + u32::from(one)));
    f64::from(right) / f64::from(count.max(1))
}

impl Calibration {
    /// Lets the model write, in full and always the most likely token, and looks at every gate.
    ///
    /// # Errors
    /// [`GenerateError`] if the model refuses a prompt, or the observer asks to stop.
    pub fn measure(
        model: &Arc<Model>,
        head: &Head,
        gates: &[Gate],
        amount: Amount<'_>,
        observer: &dyn Observer,
    ) -> Result<Self, GenerateError> {
        let levels = gates.iter().map(|gate| gate.level).chain([model.blocks()]).collect();
        let (mut tokens, mut texts) = (Vec::new(), Vec::new());
        let total = (amount.prompts.len() * amount.tokens) as u64;
        let meter = observer.begin(Task { name: "calibrate", unit: "tokens", total });
        for prompt in amount.prompts {
            let mut session = Session::new(model, prompt.len() + amount.tokens, amount.threads)?;
            let before = prompt.len().saturating_sub(1);
            session.push(&prompt[..before])?;
            session.advance(model.blocks(), before)?;
            let mut text = prompt.clone();
            for _ in 0..amount.tokens {
                observer.check()?;
                let last = session.len();
                session.push(&text[last..])?;
                let mut looks = Vec::with_capacity(gates.len());
                for gate in gates {
                    session.advance(gate.level, last + 1)?;
                    looks.push(gate.head.look(&session, head, last)?);
                }
                session.advance(model.blocks(), last + 1)?;
                let token = Sampling::default().choose(&mut session.logits(head, last..last + 1)?, &text)?;
                tokens.push(looks.iter().map(|logits| Seen::at(logits, token)).collect());
                text.push(token);
                meter.advance(1);
            }
            texts.push((text, prompt.len()));
        }
        Ok(Self { levels, tokens, texts })
    }

    /// What the model wrote, each text with its prompt and the prompt's length.
    pub fn texts(&self) -> &[(Vec<i64>, usize)] {
        &self.texts
    }

    /// The share of tokens that are among the `best` of a gate's look.
    pub fn acceptance(&self, gate: usize, best: usize) -> f64 {
        share(self.tokens.iter().map(|seen| seen[gate].rank < best))
    }

    /// The share of tokens that a drafter without a look has right, of a text so far and the prompt and the rest of the
    /// other texts.
    pub fn without_looks(&self, next: impl Fn(&[i64], &[(Vec<i64>, usize)]) -> Option<i64>) -> f64 {
        share(self.texts.iter().enumerate().flat_map(|(index, (text, prompt))| {
            let others = [&self.texts[..index], &self.texts[index + 1..]].concat();
            let next = &next;
            (*prompt..text.len()).map(move |place| next(&text[..place], &others) == Some(text[place]))
        }))
    }

    /// What a threshold does.
    pub fn effect(&self, threshold: f64) -> Effect {
        let (mut right, mut levels) = (0, 0);
        for seen in &self.tokens {
            let gate = seen.iter().position(|seen| threshold < 1.0 && seen.confidence > threshold);
            right += usize::from(gate.is_none_or(|gate| seen[gate].rank == 0));
            levels += self.levels[gate.unwrap_or(seen.len())];
        }
        let count = self.tokens.len().max(1) as f64;
        Effect { agreement: right as f64 / count, mean_level: levels as f64 / count }
    }

    /// The lowest threshold from which on the agreement is never less than wanted; 1 if there is none below.
    pub fn threshold(&self, agreement: f64) -> f64 {
        let mut candidates: Vec<f64> = self.tokens.iter().flatten().map(|seen| seen.confidence).collect();
        candidates.push(0.0);
        candidates.sort_unstable_by(|a, b| b.total_cmp(a));
        candidates.dedup();
        let kept = candidates.into_iter().filter(|&threshold| threshold < 1.0);
        kept.take_while(|&threshold| self.effect(threshold).agreement >= agreement).last().unwrap_or(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(confidence: f64, right: bool) -> Seen {
        Seen { confidence, rank: usize::from(!right) }
    }

    #[test]
    fn the_threshold_is_the_lowest_that_agrees_enough() {
        let tokens = vec![
            vec![seen(0.9, true), seen(0.95, true)],
            vec![seen(0.8, false), seen(0.7, true)],
            vec![seen(0.3, false), seen(0.85, true)],
            vec![seen(0.2, false), seen(0.4, false)],
        ];
        let calibration = Calibration { levels: vec![2, 5, 9], tokens, texts: Vec::new() };
        assert_eq!((calibration.acceptance(0, 1), calibration.acceptance(1, 1)), (0.25, 0.75));
        assert_eq!(calibration.acceptance(0, 2), 1.0);
        // Never; one at level 2; wrong ones too; all at level 2.
        for (threshold, agreement, mean_level) in
            [(1.0, 1.0, 9.0), (0.88, 1.0, 7.25), (0.75, 0.75, 4.5), (0.0, 0.25, 2.0)]
        {
            assert_eq!(calibration.effect(threshold), Effect { agreement, mean_level }, "{threshold}");
        }
        for (agreement, threshold) in [(1.0, 0.8), (0.75, 0.4), (0.5, 0.3), (0.25, 0.0), (0.0, 0.0)] {
            assert_eq!(calibration.threshold(agreement), threshold, "{agreement}");
        }
        let never =
            Calibration { levels: vec![2, 9], tokens: vec![vec![seen(1.0, false)]], texts: Vec::new() };
        assert_eq!(never.threshold(0.5), 1.0);
    }
}
