//! Intervals by a bootstrap over texts: a resample draws as many texts as there are, each with all of its samples, since
//! the samples of one text are no independent ones. With one sample of each text that is a bootstrap over samples. All
//! statistics see the same resamples, so differences are paired.

use onejump_core::bootstrap::{PERCENTILES, RESAMPLES, drawn};
use tch::{Kind, Tensor};

use crate::EvaluateError;

/// The mean of a value over the samples, with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Interval {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

/// How often each resample draws each text.
pub(crate) struct Bootstrap {
    /// (resamples, texts) f64.
    counts: Tensor,
    /// How many samples each text has; none where each has one.
    sizes: Option<Vec<usize>>,
}

impl Bootstrap {
    /// The resamples of samples of these texts, in which those of a text lie side by side.
    pub fn new(text_ids: &[u64], seed: u64) -> Result<Self, EvaluateError> {
        let sizes: Vec<usize> = text_ids.chunk_by(|one, next| one == next).map(<[u64]>::len).collect();
        let texts = sizes.len();
        let mut counts = vec![0f64; RESAMPLES * texts];
        for (resample, counts) in counts.chunks_exact_mut(texts.max(1)).enumerate() {
            drawn(seed, resample, texts).for_each(|text| counts[text] += 1.0);
        }
        let counts = Tensor::f_from_slice(&counts)?.f_view([RESAMPLES as i64, -1])?;
        Ok(Self { counts, sizes: (texts < text_ids.len()).then_some(sizes) })
    }

    /// The interval of each column: values of one kind, one per sample.
    pub fn intervals(&self, columns: &[Vec<f64>]) -> Result<Vec<Interval>, EvaluateError> {
        if columns.is_empty() {
            return Ok(Vec::new());
        }
        let means = self.means(columns)?;
        let percentiles = Tensor::f_from_slice(&PERCENTILES)?.f_to_kind(Kind::Double)?;
        let ends = means.f_quantile(&percentiles, 1, false, "linear")?; // (2, columns)
        let (low, high) = (Vec::<f64>::try_from(ends.f_get(0)?)?, Vec::<f64>::try_from(ends.f_get(1)?)?);
        let mean = |column: &Vec<f64>| column.iter().sum::<f64>() / column.len() as f64;
        Ok((0..columns.len())
            .map(|index| Interval { mean: mean(&columns[index]), low: low[index], high: high[index] })
            .collect())
    }

    /// The mean of each column in each resample, (columns, resamples).
    fn means(&self, columns: &[Vec<f64>]) -> Result<Tensor, EvaluateError> {
        let (texts, drawn) = (self.counts.size2()?.1, self.counts.f_transpose(0, 1)?);
        let of_texts = |columns: &[f64]| Tensor::f_from_slice(columns)?.f_view([-1, texts]);
        let Some(sizes) = &self.sizes else {
            return Ok(of_texts(&columns.concat())?.f_mm(&drawn)?.f_div_scalar(texts as f64)?);
        };
        // A resample has as many samples as its texts have.
        let sums: Vec<f64> = columns.iter().flat_map(|column| sums(column, sizes)).collect();
        let sizes: Vec<f64> = sizes.iter().map(|&size| size as f64).collect();
        Ok(of_texts(&sums)?.f_mm(&drawn)?.f_div(&of_texts(&sizes)?.f_mm(&drawn)?)?)
    }

    /// The interval of one column.
    pub fn interval(&self, column: Vec<f64>) -> Result<Interval, EvaluateError> {
        Ok(self.intervals(&[column])?[0])
    }
}

/// The sum of the values of each text, for texts of so many samples.
fn sums(values: &[f64], sizes: &[usize]) -> Vec<f64> {
    let mut rest = values;
    let sum = |&size: &usize| {
        let (of_text, others) = rest.split_at(size.min(rest.len()));
        rest = others;
        of_text.iter().sum()
    };
    sizes.iter().map(sum).collect()
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

    /// 1 where the true token is first, else 0.
    pub fn precise(&self) -> f64 {
        f64::from(u8::from(self.precise))
    }

    /// In nats.
    pub fn surprisal(&self) -> f64 {
        f64::from(self.surprisal)
    }

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
        let bootstrap = Bootstrap::new(&(0..400).collect::<Vec<_>>(), 0).unwrap();
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

    /// Samples of a text that are all alike say no more than one of them: the interval is that of the texts, where one
    /// over samples would be narrower by √8.
    #[test]
    fn copies_of_a_sample_make_no_interval_narrower() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i * 7919 % 400)).collect();
        let one = Bootstrap::new(&(0..400).collect::<Vec<_>>(), 0).unwrap().interval(values.clone()).unwrap();
        let texts: Vec<u64> = (0..400).flat_map(|text| [text; 8]).collect();
        let copies: Vec<f64> = values.iter().flat_map(|&value| [value; 8]).collect();
        let eight = Bootstrap::new(&texts, 0).unwrap().interval(copies).unwrap();
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(close(one.mean, eight.mean) && close(one.low, eight.low) && close(one.high, eight.high));
    }

    /// Texts of 1 to 5 samples: the mean is that of the samples, and the interval that of a ratio of sums over texts,
    /// whose deviation is √(Σ (s_t − m·n_t)²) / N for sums s and sizes n. The ends wander as above.
    #[test]
    fn texts_of_many_samples_count_for_as_many() {
        let sizes: Vec<usize> = (0..600).map(|text| 1 + text * 31 % 5).collect();
        let ids: Vec<u64> = (0..600u64).zip(&sizes).flat_map(|(text, &size)| vec![text; size]).collect();
        let values: Vec<f64> =
            ids.iter().zip(0..).map(|(&text, i)| (text * 7919 % 97) as f64 + f64::from(i % 7)).collect();
        let interval = Bootstrap::new(&ids, 3).unwrap().interval(values.clone()).unwrap();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let apart = |(sum, &size): (f64, &usize)| (sum - mean * size as f64).powi(2);
        let half =
            1.96 * sums(&values, &sizes).into_iter().zip(&sizes).map(apart).sum::<f64>().sqrt() / count;
        assert_eq!(interval.mean, mean);
        for (end, expected) in [(interval.low, mean - half), (interval.high, mean + half)] {
            assert!((end - expected).abs() < 0.15 * half, "{interval:?} {mean} {half}");
        }
    }
}
