//! What drafting pays on a machine: a model's costs, and how often each shortcut is right.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files::{self, FileError};

/// How drafts stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// At most so many, one behind the other.
    Chain(usize),
    /// So many of the best tokens of one look, which all may come next.
    Siblings(usize),
}

impl Shape {
    /// How many drafts there are at most.
    pub fn drafts(self) -> usize {
        let (Self::Chain(drafts) | Self::Siblings(drafts)) = self;
        drafts
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(drafts) => to.pad(&format!("a chain of {drafts}")),
            Self::Siblings(count) => to.pad(&format!("{count} siblings")),
        }
    }
}

/// What `onejump-generate tune` measures of a model and some shortcuts on a machine, a small JSON file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// SHA-256 of the checkpoint.
    pub model_sha256: String,
    /// What the model's weights were rounded to, or a GPU computed in; none where they are exact and on the CPU.
    #[serde(default)]
    pub weights: Option<String>,
    /// Threads, as they were asked for; 0 is one for each processor.
    pub threads: usize,
    /// What passes cost.
    pub costs: Costs,
    /// How many of its own tokens the model wrote for it.
    pub tokens: usize,
    /// What drafts without a look have right.
    pub without_looks: WithoutLooks,
    /// Each shortcut at each level.
    pub readings: Vec<Reading>,
    /// What pays most; none if nothing is faster than without drafts.
    pub best: Option<Reading>,
}

/// What a pass costs, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// T: one token through all blocks and the head.
    pub token_ms: f64,
    /// kb/T for k = 1: a block's share of that.
    pub block_share: f64,
    /// v(n): what n rows together cost over one, from n = 1 on.
    pub rows: Vec<f64>,
}

/// The share of tokens that drafters without a look have right; a jump is worth something above these alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WithoutLooks {
    /// What came behind the last few tokens before.
    pub ngram: f64,
    /// What comes most often behind the last token in the other texts.
    pub bigram: f64,
}

/// A shortcut at a level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The file's SHA-256; none for the model's own head.
    pub jump_sha256: Option<String>,
    /// The file, as it was given.
    pub jump: Option<String>,
    /// The level.
    pub level: usize,
    /// α_m for m from 1 on: the share of tokens that are among the m best of a look.
    pub acceptance: Vec<f64>,
    /// e/T: what a look costs over a token.
    pub look_share: f64,
    /// The drafts with which it pays most.
    pub shape: Shape,
    /// S: how many times as fast as without drafts.
    pub speedup: f64,
}

impl Reading {
    /// α_m: the share of tokens that are among the m best of a look, from m = 1 on; 0 where it was not measured.
    pub fn right(&self, best: usize) -> f64 {
        best.checked_sub(1).and_then(|place| self.acceptance.get(place)).copied().unwrap_or(0.0)
    }

    /// How many tokens a step adds: a chain all up to the first that is wrong, siblings two if one of them is right.
    pub fn tokens(&self) -> f64 {
        match self.shape {
            Shape::Chain(drafts) => (0..=drafts).map(|power| self.right(1).powi(power as i32)).sum(),
            Shape::Siblings(count) => 1.0 + self.right(count.max(1)),
        }
    }
}

impl Costs {
    /// S: the tokens that a step adds over what it costs.
    pub fn speedup(&self, reading: &Reading) -> f64 {
        reading.tokens() / self.step(reading)
    }

    /// What a step costs over a token, with c = (kb + e)/T.
    ///
    /// Chain of γ drafts: γ·c + kb/T + v(γ+1)·(1 − kb/T). Each of the γ tokens that a draft follows goes through k blocks
    /// alone and is looked at; so does the last draft, without a look; and all go through the other blocks together.
    ///
    /// m siblings: c + v(m)·kb/T + v(m+1)·(1 − kb/T). The token that they follow goes through k blocks alone, they do
    /// together, and all go through the others.
    pub fn step(&self, reading: &Reading) -> f64 {
        let early = reading.level as f64 * self.block_share;
        let rows = |count: usize| self.rows.get(count - 1).or(self.rows.last()).copied().unwrap_or(1.0);
        let look = early + reading.look_share;
        match reading.shape {
            Shape::Chain(drafts) => drafts as f64 * look + early + rows(drafts + 1) * (1.0 - early),
            Shape::Siblings(count) => look + rows(count.max(1)) * early + rows(count + 1) * (1.0 - early),
        }
    }

    /// The reading with the drafts that pay most, of chains no more than `longest`.
    pub fn best(&self, reading: Reading, longest: usize) -> Reading {
        let most = self.rows.len().saturating_sub(1).max(1);
        let chains = (1..=most.min(longest.max(1))).map(Shape::Chain);
        let shapes = chains.chain((2..=most.min(reading.acceptance.len())).map(Shape::Siblings));
        let readings = shapes.map(|shape| {
            let reading = Reading { shape, ..reading.clone() };
            Reading { speedup: self.speedup(&reading), ..reading }
        });
        readings.max_by(|a, b| a.speedup.total_cmp(&b.speedup)).unwrap_or(reading)
    }
}

impl Card {
    /// Reads a card.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be read or is none.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        files::read_json(path)
    }

    /// Writes it, atomically.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        files::write_json(path, self)
    }

    /// What pays most with a shortcut, or with the model's own head.
    pub fn best_of(&self, jump_sha256: Option<&str>) -> Option<&Reading> {
        let own = self.readings.iter().filter(|reading| reading.jump_sha256.as_deref() == jump_sha256);
        own.max_by(|a, b| a.speedup.total_cmp(&b.speedup))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(level: usize, acceptance: &[f64], look_share: f64, shape: Shape) -> Reading {
        let acceptance = acceptance.to_vec();
        Reading { jump_sha256: None, jump: None, level, acceptance, look_share, shape, speedup: 0.0 }
    }

    /// By hand: 10 blocks that cost 0.08 of a token each, three rows 1.1 of one.
    #[test]
    fn speedups_are_those_of_the_formulas() {
        let costs = Costs { token_ms: 5.0, block_share: 0.08, rows: vec![1.0, 1.05, 1.1] };
        let check = |level, acceptance: &[f64], look_share, shape, expected: f64| {
            let ours = costs.speedup(&reading(level, acceptance, look_share, shape));
            assert!((ours - expected).abs() < 1e-12, "{ours} {expected}");
        };
        check(5, &[0.5], 0.1, Shape::Chain(1), 1.5 / (0.5 + 0.4 + 1.05 * 0.6));
        check(5, &[0.5], 0.1, Shape::Chain(2), 1.75 / (1.0 + 0.4 + 1.1 * 0.6));
        check(5, &[0.5, 0.7], 0.1, Shape::Siblings(2), 1.7 / (0.5 + 1.05 * 0.4 + 1.1 * 0.6));
        // A table at level 0 costs nothing: all that counts is what rows cost together.
        check(0, &[1.0], 0.0, Shape::Chain(2), 3.0 / 1.1);
        check(0, &[0.0], 0.0, Shape::Chain(1), 1.0 / 1.05);
        check(0, &[0.2, 0.6], 0.0, Shape::Siblings(2), 1.6 / 1.1);
        let best = |acceptance: &[f64], look_share| {
            let best = costs.best(reading(0, acceptance, look_share, Shape::Chain(1)), 2);
            (best.shape, best.speedup > 1.0)
        };
        assert_eq!(best(&[0.9, 0.92], 0.01), (Shape::Chain(2), true));
        assert_eq!(best(&[0.2, 0.6], 0.01), (Shape::Siblings(2), true));
        assert!(!best(&[0.1, 0.12], 0.3).1);
        let alone = costs.best(reading(0, &[0.9, 0.92], 0.01, Shape::Chain(1)), 1);
        assert_eq!(alone.shape, Shape::Chain(1));
    }
}
