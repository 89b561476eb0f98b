//! Sums over samples that become [`Metrics`]; over all samples, and without those at position 0.

use onejump_core::results::Metrics;
use onejump_simd::Distance;

/// What one sample contributes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Outcome {
    /// How many tokens are strictly more likely to the shortcut than the true top token.
    pub above: usize,
    /// −ln p_shortcut(true top token).
    pub surprisal: f64,
    /// −ln p_true(shortcut's top token).
    pub mat_surprisal: f64,
    /// Of ĥ from h_K; none for a method without ĥ.
    pub approximation: Option<Distance>,
    /// KL(true distribution ‖ shortcut's); none where the expected rows were not read.
    pub kl: Option<f64>,
    /// The shortcut's two largest probabilities.
    pub probabilities: (f64, f64),
}

impl Outcome {
    /// Whether the shortcut's most likely token is the true one.
    pub fn agrees(&self) -> bool {
        self.above == 0
    }
}

/// Sums of outcomes.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    samples: f64,
    precise: [f64; 3],
    surprisal: f64,
    mat_surprisal: f64,
    cosine: f64,
    squared_error: f64,
    approximated: f64,
}

/// How many numbers [`Sums`] are.
const SUMS: usize = 9;

/// How many numbers a [`Tally`] is.
pub(crate) const TALLY: usize = 2 * SUMS;

/// p of the reported precisions.
const PRECISIONS: [usize; 3] = [1, 5, 10];

impl Sums {
    fn values(&self) -> [f64; SUMS] {
        let [p1, p5, p10] = self.precise;
        let Self { samples, surprisal, mat_surprisal, cosine, squared_error, approximated, .. } = *self;
        [samples, p1, p5, p10, surprisal, mat_surprisal, cosine, squared_error, approximated]
    }

    fn of_values(values: [f64; SUMS]) -> Self {
        let [samples, p1, p5, p10, surprisal, mat_surprisal, cosine, squared_error, approximated] = values;
        let precise = [p1, p5, p10];
        Self { samples, precise, surprisal, mat_surprisal, cosine, squared_error, approximated }
    }

    fn join(&mut self, other: &Self) {
        let mut values = self.values();
        values.iter_mut().zip(other.values()).for_each(|(ours, theirs)| *ours += theirs);
        *self = Self::of_values(values);
    }

    fn add(&mut self, outcome: &Outcome) {
        self.samples += 1.0;
        for (sum, p) in self.precise.iter_mut().zip(PRECISIONS) {
            *sum += f64::from(u8::from(outcome.above < p));
        }
        self.surprisal += outcome.surprisal;
        self.mat_surprisal += outcome.mat_surprisal;
        if let Some(Distance { cosine, squared_error }) = outcome.approximation {
            self.cosine += cosine;
            self.squared_error += squared_error;
            self.approximated += 1.0;
        }
    }

    /// The means; `variation` is Σ‖h_K − mean h_K‖². None if there were no samples.
    fn metrics(&self, variation: f64) -> Option<Metrics> {
        if self.samples == 0.0 {
            return None;
        }
        let n = self.samples;
        let approximated = self.approximated == n;
        Some(Metrics {
            precision_1: self.precise[0] / n,
            precision_5: self.precise[1] / n,
            precision_10: self.precise[2] / n,
            surprisal: self.surprisal / n,
            mat_surprisal: self.mat_surprisal / n,
            cosine: approximated.then_some(self.cosine / n),
            relative_mse: (approximated && variation > 0.0).then_some(self.squared_error / variation),
        })
    }
}

/// The sums of one method at one level.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    all: Sums,
    without_0: Sums,
}

/// Σ‖h_K − mean h_K‖² over all samples, and without those at position 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variation {
    pub all: f64,
    pub without_0: f64,
}

impl Tally {
    /// The sums over all samples, with their positions.
    pub fn of(positions: &[u32], outcomes: &[Outcome]) -> Self {
        let mut tally = Self::default();
        for (&position, outcome) in positions.iter().zip(outcomes) {
            tally.add(position, outcome);
        }
        tally
    }

    /// The sums over these samples and others.
    pub fn join(&mut self, other: &Self) {
        self.all.join(&other.all);
        self.without_0.join(&other.without_0);
    }

    /// As numbers, which [`Self::of_values`] takes back.
    pub fn values(&self) -> [f64; TALLY] {
        let (all, without_0) = (self.all.values(), self.without_0.values());
        std::array::from_fn(|place| if place < SUMS { all[place] } else { without_0[place - SUMS] })
    }

    pub fn of_values(values: &[f64; TALLY]) -> Self {
        let half = |start: usize| Sums::of_values(std::array::from_fn(|place| values[start + place]));
        Self { all: half(0), without_0: half(SUMS) }
    }

    /// How many of the samples are at position 0.
    pub fn at_0(&self) -> usize {
        (self.all.samples - self.without_0.samples) as usize
    }

    pub fn add(&mut self, position: u32, outcome: &Outcome) {
        self.all.add(outcome);
        if position > 0 {
            self.without_0.add(outcome);
        }
    }

    /// The metrics over all samples, and without those at position 0 if any others exist.
    pub fn metrics(&self, variation: Variation) -> Option<(Metrics, Option<Metrics>)> {
        Some((self.all.metrics(variation.all)?, self.without_0.metrics(variation.without_0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_0_is_in_one_of_the_two_means() {
        let outcome = |above, cosine, squared_error| Outcome {
            above,
            surprisal: 2.0,
            mat_surprisal: 1.0,
            approximation: Some(Distance { cosine, squared_error }),
            ..Outcome::default()
        };
        let mut tally = Tally::default();
        tally.add(0, &outcome(0, 1.0, 0.0));
        tally.add(3, &outcome(6, 0.5, 4.0));
        let (all, without_0) = tally.metrics(Variation { all: 8.0, without_0: 4.0 }).unwrap();
        assert_eq!((all.precision_1, all.precision_5, all.precision_10), (0.5, 0.5, 1.0));
        assert_eq!((all.cosine, all.relative_mse), (Some(0.75), Some(0.5)));
        // The same from the sums of each sample, written and read.
        let mut joined = Tally::default();
        for (position, outcome) in [(0, outcome(0, 1.0, 0.0)), (3, outcome(6, 0.5, 4.0))] {
            let mut one = Tally::default();
            one.add(position, &outcome);
            joined.join(&Tally::of_values(&one.values()));
        }
        assert_eq!(joined.metrics(Variation { all: 8.0, without_0: 4.0 }).unwrap(), (all, without_0));
        assert_eq!(joined.at_0(), 1);
        let without_0 = without_0.unwrap();
        assert_eq!((without_0.precision_1, without_0.precision_10), (0.0, 1.0));
        assert_eq!(without_0.relative_mse, Some(1.0));
    }
}
