//! What scoring adds up: part by part, so that neither the order nor the place in which parts are scored changes a digit
//! of what they come to.

use std::iter;

use onejump_core::bootstrap::{RESAMPLES, drawn, ends};
use onejump_core::numbers::largest;
use onejump_core::results::Sureness;
use onejump_core::shortcut::LevelConvention;
use onejump_store::tables::Score;
use onejump_tensor::threads;
use rayon::prelude::*;

use crate::ScoreError;

/// The sums over all samples, by part, in the order of the parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Sums {
    /// K: the jumps are of levels 0..K-1, and are applied at levels 0..=K.
    pub blocks: usize,
    /// Those of each part.
    pub parts: Vec<PartSums>,
}

/// The sums over the samples of one part.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PartSums {
    /// Its number in the capture.
    pub part: usize,
    /// How many samples they are over.
    pub samples: usize,
    /// Σ C of every jump at every level, (K + 1, K).
    pub cosines: Vec<f64>,
    /// Σ sgn(C)·C², (K + 1, K).
    pub signed_squares: Vec<f64>,
    /// What a bootstrap draws.
    pub texts: TextSums,
}

/// The sums of each text: over its samples, and over the levels of a convention.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TextSums {
    /// The texts' numbers in the input.
    pub ids: Vec<u64>,
    /// How many samples each has.
    pub samples: Vec<u64>,
    /// Σ sgn(C)·C² over levels 0..K-1 of every jump, (texts, K).
    pub exit: Vec<f64>,
    /// The same over levels 1..K.
    pub eq5: Vec<f64>,
}

impl TextSums {
    /// Texts of these samples, in which those of a text lie side by side, with nothing added yet.
    pub(crate) fn of(text_ids: &[u64], jumps: usize) -> Self {
        let texts: Vec<&[u64]> = text_ids.chunk_by(|one, next| one == next).collect();
        let zeros = || vec![0.0; texts.len() * jumps];
        Self {
            ids: texts.iter().map(|text| text[0]).collect(),
            samples: texts.iter().map(|text| text.len() as u64).collect(),
            exit: zeros(),
            eq5: zeros(),
        }
    }

    /// Adds what each text has at one level.
    pub(crate) fn add(&mut self, level: usize, blocks: usize, values: &[f64]) {
        let conventions = [(LevelConvention::Exit, &mut self.exit), (LevelConvention::Eq5, &mut self.eq5)];
        for (convention, sums) in conventions {
            if convention.levels(blocks).contains(&level) {
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
        }
    }

    fn values(&self, convention: LevelConvention) -> &[f64] {
        match convention {
            LevelConvention::Exit => &self.exit,
            LevelConvention::Eq5 => &self.eq5,
        }
    }
}

impl Sums {
    /// How many samples they are over.
    pub fn samples(&self) -> usize {
        self.parts.iter().map(|part| part.samples).sum()
    }

    /// Mean cosine and mean signed square of every jump at every level 0..=K, jump by jump.
    pub fn scores(&self) -> Vec<Score> {
        let samples = self.samples() as f64;
        let mean = |place: usize, of: fn(&PartSums) -> &Vec<f64>| {
            self.parts.iter().filter_map(|part| of(part).get(place)).sum::<f64>() / samples
        };
        let score = |jump: usize, level: usize| {
            let place = level * self.blocks + jump;
            Score {
                jump,
                level,
                mean_cosine: mean(place, |part| &part.cosines),
                mean_signed_square: mean(place, |part| &part.signed_squares),
            }
        };
        (0..self.blocks).flat_map(|jump| (0..=self.blocks).map(move |level| score(jump, level))).collect()
    }

    /// How sure a choice by D is: the same choice among texts that are drawn again.
    ///
    /// # Errors
    /// [`ScoreError`] if the system refuses threads.
    pub fn sureness(&self, convention: LevelConvention, seed: u64) -> Result<Sureness, ScoreError> {
        let (samples, sums) = self.texts(convention);
        let jumps = self.blocks;
        let draw = |resample: usize| -> Vec<f64> {
            let (mut d, mut drawn_samples) = (vec![0.0; jumps], 0);
            for text in drawn(seed, resample, samples.len()) {
                drawn_samples += samples[text];
                let values = &sums[text * jumps..][..jumps];
                d.iter_mut().zip(values).for_each(|(d, value)| *d += value);
            }
            let all = drawn_samples as f64 * self.blocks as f64;
            d.into_iter().map(|sum| sum / all).collect()
        };
        let draws: Vec<Vec<f64>> =
            threads::pool()?.install(|| (0..RESAMPLES).into_par_iter().map(draw).collect());
        let mut chosen = vec![0u32; jumps];
        draws.iter().filter_map(|d| largest(d)).for_each(|jump| chosen[jump] += 1);
        let interval = |jump: usize| {
            let values = draws.iter().map(|d| d[jump]).collect();
            ends(values).unwrap_or([f64::NAN; 2])
        };
        let (d_low, d_high) = (0..jumps).map(interval).map(|[low, high]| (low, high)).unzip();
        let share = |count: u32| f64::from(count) / RESAMPLES as f64;
        Ok(Sureness { draws: RESAMPLES, shares: chosen.into_iter().map(share).collect(), d_low, d_high })
    }

    /// How many samples each text has, and its sums, (texts, K). A text may have samples in two parts that follow each
    /// other.
    fn texts(&self, convention: LevelConvention) -> (Vec<u64>, Vec<f64>) {
        let (mut samples, mut sums, mut last): (Vec<u64>, Vec<f64>, _) = (Vec::new(), Vec::new(), None);
        for texts in self.parts.iter().map(|part| &part.texts) {
            let rows = texts.values(convention).chunks_exact(self.blocks.max(1));
            for ((&id, &count), values) in texts.ids.iter().zip(&texts.samples).zip(rows) {
                if last == Some(id) {
                    let place = sums.len() - self.blocks;
                    samples.iter_mut().last().into_iter().for_each(|samples| *samples += count);
                    iter::zip(&mut sums[place..], values).for_each(|(sum, value)| *sum += value);
                } else {
                    samples.push(count);
                    sums.extend_from_slice(values);
                }
                last = Some(id);
            }
        }
        (samples, sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two jumps, and texts of two samples of which one is in the next part.
    fn sums(cut: usize) -> Sums {
        let ids: Vec<u64> = (0..400).map(|sample| sample / 2).collect();
        // Jump 0 is better in half of the texts by 1, jump 1 in the others by 0.95.
        let value = |sample: usize, jump: usize| match ids[sample] % 2 == jump as u64 {
            true => 1.0 - 0.05 * jump as f64,
            false => 0.0,
        };
        let part = |part: usize, samples: std::ops::Range<usize>| {
            let mut texts = TextSums::of(&ids[samples.clone()], 2);
            let mut by_text = vec![0.0; texts.ids.len() * 2];
            let first = ids[samples.start];
            for sample in samples.clone() {
                for jump in 0..2 {
                    by_text[(ids[sample] - first) as usize * 2 + jump] += value(sample, jump);
                }
            }
            // At levels 0 and 1 of two exit levels, and at none of the last.
            texts.add(0, 2, &by_text);
            texts.add(1, 2, &by_text);
            PartSums { part, samples: samples.len(), texts, ..PartSums::default() }
        };
        Sums { blocks: 2, parts: vec![part(0, 0..cut), part(1, cut..400)] }
    }

    /// A draw of c even texts among 200 has D = c/200 for jump 0 and 0.95·(200 − c)/200 for jump 1, so it chooses jump 0 from
    /// c = 98 on: of a binomial with n = 200 and p = 1/2 that is a share of 0.638, by Python's `math.comb`. 1,000 draws
    /// have a deviation of 0.015, and four of them are 0.06.
    #[test]
    fn a_near_choice_is_said_to_be_one() {
        let sure = sums(200).sureness(LevelConvention::Exit, 0).unwrap();
        assert_eq!(sure.draws, 1000);
        assert!((sure.shares[0] - 0.638).abs() < 0.06, "{sure:?}");
        assert!((sure.shares[0] + sure.shares[1] - 1.0).abs() < 1e-12);
        assert_eq!(sure.next(0), Some((1, sure.shares[1])));
        // D of jump 0 is c/200: deviation √200/2/200 = 0.0354, so the interval is 0.5 ± 0.069; ends wander by a tenth.
        assert!((sure.d_low[0] - 0.431).abs() < 0.01 && (sure.d_high[0] - 0.569).abs() < 0.01, "{sure:?}");
        // Over levels 1..K half as much was added.
        let eq5 = sums(200).sureness(LevelConvention::Eq5, 0).unwrap();
        assert!((eq5.d_low[0] - sure.d_low[0] / 2.0).abs() < 1e-12);
    }

    /// A text whose samples are in two parts is one text.
    #[test]
    fn a_cut_through_a_text_changes_nothing() {
        let whole = sums(200).sureness(LevelConvention::Exit, 5).unwrap();
        assert_eq!(sums(201).sureness(LevelConvention::Exit, 5).unwrap(), whole);
        assert!(sums(200).sureness(LevelConvention::Exit, 6).unwrap() != whole);
    }
}
