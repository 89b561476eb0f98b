//! What drafting pays on a machine: a model's costs, and how often each shortcut is right.

use std::path::Path;

use onejump_core::files;
use serde::{Deserialize, Serialize};

use crate::GenerateError;

/// What `onejump-generate tune` measures of a model and some shortcuts on a machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// SHA-256 of the checkpoint.
    pub model_sha256: String,
    /// Threads, as they were asked for; 0 is one for each processor.
    pub threads: usize,
    /// What passes cost.
    pub costs: Costs,
    /// How many of its own tokens the model wrote for it.
    pub tokens: usize,
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

/// A shortcut at a level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The file's SHA-256; none for the model's own head.
    pub jump_sha256: Option<String>,
    /// The file, as it was given.
    pub jump: Option<String>,
    /// The level.
    pub level: usize,
    /// α: the share of tokens that it has right.
    pub acceptance: f64,
    /// e/T: what a look costs over a token.
    pub look_share: f64,
    /// γ: with how many drafts it pays most.
    pub drafts: usize,
    /// S: how many times as fast as without drafts.
    pub speedup: f64,
}

impl Costs {
    /// S of a chain of `drafts` drafts: tokens of a step over what it costs,
    /// [(1 − α^(γ+1))/(1 − α)] / [γ·c + kb/T + v(γ+1)·(1 − kb/T)] with c = (kb + e)/T.
    ///
    /// Each of the γ tokens that a draft follows goes through k blocks alone and is looked at; so does the last draft,
    /// without a look; and all go through the other blocks together.
    pub fn speedup(&self, level: usize, acceptance: f64, look_share: f64, drafts: usize) -> f64 {
        let early = level as f64 * self.block_share;
        let tokens: f64 = (0..=drafts).map(|power| acceptance.powi(power as i32)).sum();
        tokens / self.step(early, look_share, drafts)
    }

    /// What a step of `drafts` drafts costs over a token.
    fn step(&self, early: f64, look_share: f64, drafts: usize) -> f64 {
        let together = self.rows.get(drafts).or(self.rows.last()).copied().unwrap_or(1.0);
        drafts as f64 * (early + look_share) + early + together * (1.0 - early)
    }

    /// The reading with the number of drafts that pays most.
    pub fn best(&self, reading: Reading) -> Reading {
        let speedup = |drafts| self.speedup(reading.level, reading.acceptance, reading.look_share, drafts);
        let most = self.rows.len().saturating_sub(1).max(1);
        let drafts = (1..=most).max_by(|a, b| speedup(*a).total_cmp(&speedup(*b))).unwrap_or(1);
        Reading { drafts, speedup: speedup(drafts), ..reading }
    }
}

impl Card {
    /// Reads a card.
    ///
    /// # Errors
    /// [`GenerateError::File`] if it cannot be read or is none.
    pub fn read(path: &Path) -> Result<Self, GenerateError> {
        Ok(files::read_json(path)?)
    }

    /// Writes it, atomically.
    ///
    /// # Errors
    /// [`GenerateError::File`] if it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), GenerateError> {
        Ok(files::write_json(path, self)?)
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

    /// By hand: 10 blocks that cost 0.08 of a token each, three rows 1.1 of one.
    #[test]
    fn speedups_are_those_of_the_formula() {
        let costs = Costs { token_ms: 5.0, block_share: 0.08, rows: vec![1.0, 1.05, 1.1] };
        let close = |ours: f64, expected: f64| assert!((ours - expected).abs() < 1e-12, "{ours} {expected}");
        close(costs.speedup(5, 0.5, 0.1, 1), 1.5 / (0.5 + 0.4 + 1.05 * 0.6));
        close(costs.speedup(5, 0.5, 0.1, 2), 1.75 / (1.0 + 0.4 + 1.1 * 0.6));
        // A table at level 0 costs nothing: all that counts is what rows cost together.
        close(costs.speedup(0, 1.0, 0.0, 2), 3.0 / 1.1);
        close(costs.speedup(0, 0.0, 0.0, 1), 1.0 / 1.05);
        let reading = |acceptance, look_share| Reading {
            jump_sha256: None,
            jump: None,
            level: 0,
            acceptance,
            look_share,
            drafts: 0,
            speedup: 0.0,
        };
        let best = costs.best(reading(0.9, 0.01));
        assert_eq!((best.drafts, best.speedup > 2.0), (2, true));
        assert!(costs.best(reading(0.1, 0.3)).speedup < 1.0);
    }
}
