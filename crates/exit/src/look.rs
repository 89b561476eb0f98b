//! What a shortcut answers at a hidden state.

use onejump_simd::RowScan;

/// The answer at one hidden state: the most likely token, and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// The most likely token's id, the first among equals.
    pub token: i64,
    /// Its logit.
    pub logit: f32,
    /// The second largest logit; equal to the largest in a tie, and −∞ for a vocabulary of one token.
    pub second: f32,
    /// ln Σ exp of all logits.
    pub logsumexp: f64,
}

impl Look {
    pub(crate) fn of(scan: &RowScan) -> Self {
        let RowScan { top, largest, second, .. } = *scan;
        Self { token: top as i64, logit: largest, second, logsumexp: scan.logsumexp() }
    }

    /// A look at logits that are there, (V).
    pub fn at(logits: &[f32]) -> Self {
        let mut scan = RowScan::new(0, f32::INFINITY);
        scan.add(logits, 0);
        Self::of(&scan)
    }

    /// The probability of the most likely token.
    pub fn probability(&self) -> f64 {
        (f64::from(self.logit) - self.logsumexp).exp()
    }

    /// How much more likely it is than the second one.
    pub fn gap(&self) -> f64 {
        self.probability() - (f64::from(self.second) - self.logsumexp).exp()
    }
}

/// The best tokens at one hidden state.
#[derive(Debug, Clone, PartialEq)]
pub struct Best {
    /// The most likely tokens, most likely first; among equals the smaller id.
    pub tokens: Vec<Candidate>,
    /// ln Σ exp of all logits.
    pub logsumexp: f64,
}

impl Best {
    /// The best of logits that are there, (V).
    pub fn at(logits: &[f32], count: usize) -> Self {
        // No token is asked about: any reference will do.
        let mut ranking = Ranking::new(count, 0, 0.0);
        ranking.add(logits, 0);
        ranking.answer().best
    }

    /// The probability of a candidate.
    pub fn probability(&self, candidate: Candidate) -> f64 {
        (f64::from(candidate.logit) - self.logsumexp).exp()
    }
}

/// A token with its logit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Its id.
    pub token: i64,
    /// Its logit.
    pub logit: f32,
}

/// The best tokens at one hidden state, and the place of a given one among all.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The most likely tokens.
    pub best: Best,
    /// How many tokens are strictly more likely than the given one.
    pub above: usize,
}

/// The best of the logits so far.
pub(crate) struct Ranking {
    count: usize,
    scan: RowScan,
    /// Sorted, at most `count`.
    tokens: Vec<Candidate>,
}

impl Ranking {
    /// `reference` is the logit of `token`, whose place is asked for.
    pub fn new(count: usize, token: usize, reference: f32) -> Self {
        Self { count, scan: RowScan::new(token, reference), tokens: Vec::with_capacity(count + 1) }
    }

    /// Takes the logits of the tokens from `first` on, which come in the order of their ids. Few blocks hold one of
    /// the best; the others are read once, by the scan.
    pub fn add(&mut self, logits: &[f32], first: usize) {
        let largest = self.scan.add(logits, first);
        if largest <= self.least() {
            return;
        }
        for (token, &logit) in (first as i64..).zip(logits) {
            if logit > self.least() {
                let place = self.tokens.partition_point(|better| better.logit >= logit);
                self.tokens.insert(place, Candidate { token, logit });
                self.tokens.truncate(self.count);
            }
        }
    }

    /// What a logit must exceed to be among the best.
    fn least(&self) -> f32 {
        if self.tokens.len() < self.count {
            return f32::NEG_INFINITY;
        }
        self.tokens.last().map_or(f32::INFINITY, |last| last.logit)
    }

    pub fn answer(self) -> Answer {
        let best = Best { tokens: self.tokens, logsumexp: self.scan.logsumexp() };
        Answer { best, above: self.scan.above }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_those_of_a_sort() {
        let logits: Vec<f32> = (0..1000).map(|i| ((i * 389) % 500) as f32 * 0.01 - 2.0).collect();
        let mut sorted: Vec<usize> = (0..logits.len()).collect();
        sorted.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
        for count in [0, 1, 5, 1000, 2000] {
            for block in [7, 64, 1000] {
                let mut ranking = Ranking::new(count, 7, logits[7]);
                for (index, part) in logits.chunks(block).enumerate() {
                    ranking.add(part, index * block);
                }
                let Answer { best, above } = ranking.answer();
                assert_eq!(above, logits.iter().filter(|&&logit| logit > logits[7]).count());
                let tokens: Vec<usize> =
                    best.tokens.iter().map(|candidate| candidate.token as usize).collect();
                assert_eq!(tokens, sorted[..count.min(1000)]);
                assert!(best.tokens.iter().all(|found| found.logit == logits[found.token as usize]));
            }
        }
    }

    #[test]
    fn probabilities_follow_from_the_logits() {
        let mut scan = RowScan::new(0, 0.0);
        scan.add(&[0.0, 3f32.ln(), 0.0], 0);
        let look = Look::of(&scan);
        assert_eq!(look, Look::at(&[0.0, 3f32.ln(), 0.0]));
        // 3 of 3 + 1 + 1, and 1 of 5; f32 logarithms: 1e-6.
        assert_eq!(look.token, 1);
        assert!((look.probability() - 0.6).abs() < 1e-6 && (look.gap() - 0.4).abs() < 1e-6);
    }
}
