//! Intervals by a bootstrap over sentences: one sample is one sentence, so resampling the samples
//! resamples the sentences. All statistics see the same resamples, so differences are paired.

use onejump_core::seed::{Purpose, below, stream};
use tch::{Kind, Tensor};

use crate::EvaluateError;

/// Resamples.
pub const RESAMPLES: usize = 1000;

/// The percentiles that an interval reaches from and to: it covers 95 %.
const PERCENTILES: [f64; 2] = [0.025, 0.975];

/// The mean of a value over the samples, with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Interval {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

/// How often each resample draws each sample.
pub(crate) struct Bootstrap {
    /// (resamples, N) f64.
    counts: Tensor,
}

impl Bootstrap {
    /// The resamples of so many samples.
    pub fn new(samples: usize, seed: u64) -> Result<Self, EvaluateError> {
        let mut counts = vec![0f64; RESAMPLES * samples];
        for (resample, counts) in counts.chunks_exact_mut(samples.max(1)).enumerate() {
            let mut rng = stream(seed, Purpose::Bootstrap, resample as u64);
            for _ in 0..samples {
                counts[below(&mut rng, samples as u64) as usize] += 1.0;
            }
        }
        Ok(Self { counts: Tensor::f_from_slice(&counts)?.f_view([RESAMPLES as i64, -1])? })
    }

    /// The interval of each column: values of one kind, one per sample.
    pub fn intervals(&self, columns: &[Vec<f64>]) -> Result<Vec<Interval>, EvaluateError> {
        if columns.is_empty() {
            return Ok(Vec::new());
        }
        let samples = self.counts.size2()?.1;
        let stacked = Tensor::f_from_slice(&columns.concat())?.f_view([-1, samples])?; // (columns, N)
        let means = stacked.f_mm(&self.counts.f_transpose(0, 1)?)?.f_div_scalar(samples as f64)?;
        let percentiles = Tensor::f_from_slice(&PERCENTILES)?.f_to_kind(Kind::Double)?;
        let ends = means.f_quantile(&percentiles, 1, false, "linear")?; // (2, columns)
        let (low, high) = (Vec::<f64>::try_from(ends.f_get(0)?)?, Vec::<f64>::try_from(ends.f_get(1)?)?);
        let mean = |column: &Vec<f64>| column.iter().sum::<f64>() / samples as f64;
        Ok((0..columns.len())
            .map(|index| Interval { mean: mean(&columns[index]), low: low[index], high: high[index] })
            .collect())
    }

    /// The interval of one column.
    pub fn interval(&self, column: Vec<f64>) -> Result<Interval, EvaluateError> {
        Ok(self.intervals(&[column])?[0])
    }
}

/// a − b, sample by sample.
pub(crate) fn minus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// What each sample has of the three quality measures: the outcomes at one level, or their mean over
/// several levels.
#[derive(Debug, Clone, Default)]
pub(crate) struct PerSample {
    pub precision_1: Vec<f64>,
    pub surprisal: Vec<f64>,
    pub kl: Vec<f64>,
}

impl PerSample {
    /// The mean over levels, each given as one f32 triple per sample.
    pub fn mean<'a>(levels: impl ExactSizeIterator<Item = &'a Vec<Quality>>) -> Self {
        let count = levels.len() as f64;
        let mut sums = Self::default();
        for level in levels {
            for (sum, get) in sums.columns_mut().into_iter().zip(Quality::GET) {
                sum.resize(level.len(), 0.0);
                sum.iter_mut().zip(level).for_each(|(sum, quality)| *sum += f64::from(get(quality)) / count);
            }
        }
        sums
    }

    /// In the order precision, surprisal, KL.
    pub fn columns(&self) -> [&Vec<f64>; 3] {
        [&self.precision_1, &self.surprisal, &self.kl]
    }

    fn columns_mut(&mut self) -> [&mut Vec<f64>; 3] {
        [&mut self.precision_1, &mut self.surprisal, &mut self.kl]
    }

    /// The intervals of the three measures.
    pub fn intervals(&self, bootstrap: &Bootstrap) -> Result<[Interval; 3], EvaluateError> {
        let intervals = bootstrap.intervals(&self.columns().map(Clone::clone))?;
        Ok([intervals[0], intervals[1], intervals[2]])
    }
}

/// One sample at one level, small enough to keep for every pair of jump and level.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quality {
    precise: bool,
    surprisal: f32,
    kl: f32,
}

impl Quality {
    const GET: [fn(&Self) -> f32; 3] =
        [|quality| f32::from(u8::from(quality.precise)), |quality| quality.surprisal, |quality| quality.kl];

    /// What an outcome says of these measures.
    pub fn of(outcome: &crate::metrics::Outcome) -> Self {
        Self {
            precise: outcome.agrees(),
            surprisal: outcome.surprisal as f32,
            kl: outcome.kl.unwrap_or(f64::NAN) as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mean of n values with standard deviation s has a 95 % interval of about ±1.96·s/√n; the ends of
    /// 1,000 resamples wander by about 7 % of that.
    #[test]
    fn an_interval_is_that_of_the_normal_distribution() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i * 7919 % 400)).collect();
        let bootstrap = Bootstrap::new(400, 0).unwrap();
        let interval = bootstrap.interval(values.clone()).unwrap();
        let deviation = (400.0f64 * 400.0 - 1.0).sqrt() / 12f64.sqrt();
        let half = 1.96 * deviation / 20.0;
        assert_eq!(interval.mean, 199.5);
        assert!((interval.low - (199.5 - half)).abs() < 0.15 * half, "{interval:?} {half}");
        assert!((interval.high - (199.5 + half)).abs() < 0.15 * half, "{interval:?} {half}");
        assert_eq!(bootstrap.interval(values.clone()).unwrap(), interval);
        // Paired: a constant difference has no width.
        let shifted: Vec<f64> = values.iter().map(|value| value + 2.0).collect();
        let difference = bootstrap.interval(minus(&shifted, &values)).unwrap();
        assert!((difference.high - difference.low).abs() < 1e-9 && (difference.mean - 2.0).abs() < 1e-12);
    }
}
