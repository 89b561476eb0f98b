//! The constant baseline: one distribution for every sample, that of the true top tokens in the
//! training set. A method below it has learned nothing.
//!
//! Smoothed after Witten and Bell (1991), which needs no parameter: of N training samples with T
//! distinct tokens, a token seen c times has c/(N + T), and the unseen ones share T/(N + T).

/// The baseline's distribution over V tokens.
pub(crate) struct Constant {
    counts: Vec<u32>,
    samples: f64,
    distinct: f64,
    /// Tokens by falling count, then by id.
    order: Vec<u32>,
}

impl Constant {
    /// The distribution of the training set's true top tokens, each below `vocab_size`.
    pub fn new(tokens: &[u32], vocab_size: usize) -> Self {
        let mut counts = vec![0u32; vocab_size];
        for &token in tokens {
            counts[token as usize] += 1;
        }
        let mut order: Vec<u32> = (0..vocab_size as u32).collect();
        order.sort_by_key(|&token| (std::cmp::Reverse(counts[token as usize]), token));
        let distinct = counts.iter().filter(|&&count| count > 0).count() as f64;
        Self { samples: tokens.len() as f64, distinct, counts, order }
    }

    /// The most likely token.
    pub fn top(&self) -> u32 {
        self.order.first().copied().unwrap_or(0)
    }

    /// How many tokens come before each, in order of probability.
    pub fn ranks(&self) -> Vec<u32> {
        let mut ranks = vec![0; self.order.len()];
        for (rank, &token) in (0..).zip(&self.order) {
            ranks[token as usize] = rank;
        }
        ranks
    }

    /// How many tokens come before this one, in order of probability.
    pub fn above(&self, token: u32) -> usize {
        self.order.iter().position(|&other| other == token).unwrap_or(self.order.len())
    }

    /// −ln of a token's probability.
    pub fn surprisal(&self, token: u32) -> f64 {
        let total = self.samples + self.distinct;
        let probability = match self.counts[token as usize] {
            0 => self.distinct / total / (self.counts.len() as f64 - self.distinct),
            count => f64::from(count) / total,
        };
        -probability.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_and_order_by_count() {
        let constant = Constant::new(&[3, 3, 1, 3, 4], 6);
        assert_eq!(constant.top(), 3);
        let above: Vec<_> = (0..6).map(|token| constant.above(token)).collect();
        assert_eq!(above, [3, 1, 4, 0, 2, 5]);
        let sum: f64 = (0..6).map(|token| (-constant.surprisal(token)).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
        // 5 samples, 3 distinct: token 3 has 3/8, the three unseen ones share 3/8.
        assert!((constant.surprisal(3) - (8.0f64 / 3.0).ln()).abs() < 1e-12);
        assert!((constant.surprisal(0) - 8f64.ln()).abs() < 1e-12);
    }
}
