//! The jumps of a file, and how good each of them is at each level.

use onejump_core::numbers::largest;
use onejump_core::shortcut::{ShortcutKind, Solver};
use onejump_simd::Distance;
use onejump_store::analyses::Criterion;

use crate::EvaluateError;
use crate::methods::Methods;
use crate::metrics::Outcome;

/// What the rows of a file of jumps have in common.
pub(crate) struct JumpSet {
    pub method: ShortcutKind,
    pub solver: Solver,
    pub rank: u32,
    /// Parameters of one jump.
    pub parameters: u64,
}

impl JumpSet {
    pub fn of(methods: &Methods) -> Result<Self, EvaluateError> {
        let none = || EvaluateError::Usage("a file of jumps without a jump; train it again".to_owned());
        let entry = methods.entries.first().ok_or_else(none)?;
        let card = methods.card(entry).ok_or_else(none)?;
        Ok(Self {
            method: card.kind,
            solver: card.solver,
            rank: card.rank.unwrap_or(0) as u32,
            parameters: entry.method.parameters,
        })
    }
}

/// The means of one jump at one level.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pair {
    pub precision_1: f64,
    pub surprisal: f64,
    pub mat_surprisal: f64,
    pub kl: f64,
    pub cosine: f64,
    pub signed_square: f64,
    /// The same with each sample weighted by the tokens of its text.
    pub signed_square_by_tokens: f64,
    pub mse: f64,
}

impl Pair {
    /// Of the samples of texts with so many tokens.
    pub fn of(outcomes: &[Outcome], lengths: &[u32]) -> Self {
        let n = outcomes.len() as f64;
        let tokens: f64 = lengths.iter().copied().map(f64::from).sum();
        let mut sum = Self::default();
        for (outcome, &length) in outcomes.iter().zip(lengths) {
            let Distance { cosine, squared_error } = outcome.approximation.unwrap_or_default();
            sum.precision_1 += f64::from(u8::from(outcome.agrees())) / n;
            sum.surprisal += outcome.surprisal / n;
            sum.mat_surprisal += outcome.mat_surprisal / n;
            sum.kl += outcome.kl.unwrap_or(f64::NAN) / n;
            sum.cosine += cosine / n;
            sum.signed_square += cosine * cosine.abs() / n;
            sum.signed_square_by_tokens += cosine * cosine.abs() * f64::from(length) / tokens;
            sum.mse += squared_error / n;
        }
        sum
    }

    /// How good the jump is by a criterion; larger is better.
    pub fn by(&self, criterion: Criterion) -> f64 {
        match criterion {
            Criterion::SignedSquare => self.signed_square,
            Criterion::Cosine => self.cosine,
            Criterion::Mse => -self.mse,
            Criterion::Kl => -self.kl,
            Criterion::SignedSquareByTokens => self.signed_square_by_tokens,
            Criterion::Precision1 => self.precision_1,
        }
    }
}

/// The place of the largest value, the first among equals.
pub(crate) fn argmax(values: &[f64]) -> usize {
    largest(values).unwrap_or(0)
}
