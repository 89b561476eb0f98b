//! How a token is chosen from logits.

use onejump_core::seed::{Purpose, stream};
use rand_chacha::rand_core::Rng;

use crate::GenerateError;

/// The rules of a choice, in the order in which transformers applies them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// What logits are divided by; 0 always takes the most likely token.
    pub temperature: f64,
    /// Only so many of the most likely tokens; 0 for all.
    pub top_k: usize,
    /// Only the most likely tokens that have this probability together.
    pub top_p: f64,
    /// Only tokens that are at least this many times as likely as the most likely one.
    pub min_p: f64,
    /// Logits of tokens that are in the text are divided by this where they are positive, and multiplied where not.
    pub repeat_penalty: f32,
    /// Random numbers depend on this and on the token's position alone.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repeat_penalty: 1.0, seed: 0 }
    }
}

impl Sampling {
    /// Refuses numbers that make no sense.
    ///
    /// # Errors
    /// [`GenerateError::Range`].
    pub fn check(&self) -> Result<(), GenerateError> {
        let numbers = [
            ("the temperature", self.temperature, 0.0..=f64::MAX, "possible are 0 and more"),
            ("top-p", self.top_p, f64::MIN_POSITIVE..=1.0, "possible is what is above 0, up to 1"),
            ("min-p", self.min_p, 0.0..=1.0, "possible is 0 to 1"),
            (
                "the penalty on repetition",
                self.repeat_penalty.into(),
                f64::MIN_POSITIVE..=f64::MAX,
                "possible is what is above 0",
            ),
        ];
        match numbers.into_iter().find(|(_, found, range, _)| !range.contains(found)) {
            Some((what, found, _, expected)) => Err(GenerateError::Range { what, found, expected }),
            None => Ok(()),
        }
    }

    /// The token that follows a text, from its logits (V).
    ///
    /// # Errors
    /// [`GenerateError::NotFinite`] if the logits are not numbers.
    pub fn choose(&self, logits: &mut [f32], text: &[i64]) -> Result<i64, GenerateError> {
        if !logits.iter().all(|logit| logit.is_finite()) {
            return Err(GenerateError::NotFinite { position: text.len() - 1 });
        }
        self.penalise(logits, text);
        let best = (0..logits.len()).fold(0, |best, id| if logits[id] > logits[best] { id } else { best });
        if self.temperature == 0.0 {
            return Ok(best as i64);
        }
        let candidates = self.candidates(logits, logits[best]);
        let total: f64 = candidates.iter().map(|(_, power)| power).sum();
        let mut rng = stream(self.seed, Purpose::Draw, text.len() as u64);
        // 53 random bits: all that f64 holds below 1.
        let drawn = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64 * total;
        let mut sum = 0.0;
        let chosen = candidates.iter().find(|(_, power)| {
            sum += power;
            drawn < sum
        });
        Ok(chosen.or(candidates.last()).map_or(best, |(id, _)| *id) as i64)
    }

    fn penalise(&self, logits: &mut [f32], text: &[i64]) {
        if self.repeat_penalty == 1.0 {
            return;
        }
        let mut seen = text.to_vec();
        seen.sort_unstable();
        seen.dedup();
        for id in seen {
            let logit = &mut logits[id as usize];
            *logit = if *logit > 0.0 { *logit / self.repeat_penalty } else { *logit * self.repeat_penalty };
        }
    }

    /// The tokens among which is drawn, most likely first, with e^(logit/T) relative to the best.
    fn candidates(&self, logits: &[f32], best: f32) -> Vec<(usize, f64)> {
        let power = |logit: f32| (f64::from(logit - best) / self.temperature).exp();
        let mut ids: Vec<usize> = (0..logits.len()).collect();
        let order = |a: &usize, b: &usize| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b));
        if self.top_k > 0 && self.top_k < ids.len() {
            ids.select_nth_unstable_by(self.top_k - 1, order);
            ids.truncate(self.top_k);
        }
        ids.sort_unstable_by(order);
        let mut candidates: Vec<(usize, f64)> = ids.into_iter().map(|id| (id, power(logits[id]))).collect();
        if self.top_p < 1.0 {
            let total: f64 = candidates.iter().map(|(_, power)| power).sum();
            let mut before = 0.0;
            let kept = candidates.iter().take_while(|(_, power)| {
                let wanted = before < self.top_p * total;
                before += power;
                wanted
            });
            let kept = kept.count();
            candidates.truncate(kept.max(1));
        }
        // The best has the power 1.
        candidates.retain(|(_, power)| *power >= self.min_p);
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 6] = [0.5, 2.0, -1.0, 1.0, 2.0, 0.0];

    fn chosen(sampling: Sampling, text: &[i64]) -> i64 {
        let mut logits = LOGITS;
        sampling.choose(&mut logits, text).unwrap()
    }

    #[test]
    fn without_a_temperature_it_is_the_first_of_the_best() {
        assert_eq!(chosen(Sampling::default(), &[3]), 1);
        let penalty = Sampling { repeat_penalty: 1.5, ..Sampling::default() };
        assert_eq!(chosen(penalty, &[1, 1]), 4);
        // 2/1.5 of both is still above 1.
        assert_eq!(chosen(penalty, &[1, 4]), 1);
        assert_eq!(chosen(Sampling { repeat_penalty: 3.0, ..penalty }, &[1, 4]), 3);
        let error = Sampling::default().choose(&mut [0.0, f32::NAN], &[0]).unwrap_err();
        assert!(error.to_string().contains("behind token 0"));
    }

    /// 20,000 draws at a temperature of 0.7: a share's standard deviation is at most 0.0036, so 0.02 is never reached.
    #[test]
    fn shares_of_draws_are_the_probabilities() {
        for (sampling, kept) in [
            (Sampling { temperature: 0.7, ..Sampling::default() }, vec![0, 1, 2, 3, 4, 5]),
            (Sampling { temperature: 0.7, top_k: 3, ..Sampling::default() }, vec![1, 3, 4]),
            // The two best have 0.82 together, the three best 0.92.
            (Sampling { temperature: 0.7, top_p: 0.7, ..Sampling::default() }, vec![1, 4]),
            (Sampling { temperature: 0.7, top_p: 0.9, ..Sampling::default() }, vec![1, 3, 4]),
            // e^(−1/0.7) = 0.24, e^(−1.5/0.7) = 0.12.
            (Sampling { temperature: 0.7, min_p: 0.2, ..Sampling::default() }, vec![1, 3, 4]),
        ] {
            let draws = 20_000;
            let mut counts = [0u32; 6];
            for position in 1..=draws {
                counts[chosen(sampling, &vec![0; position]) as usize] += 1;
            }
            let power =
                |id: usize| if kept.contains(&id) { (f64::from(LOGITS[id]) / 0.7).exp() } else { 0.0 };
            let total: f64 = (0..6).map(power).sum();
            for (id, &count) in counts.iter().enumerate() {
                let share = f64::from(count) / draws as f64;
                assert!((share - power(id) / total).abs() < 0.02, "{sampling:?}: {counts:?}");
                assert!(power(id) > 0.0 || count == 0, "{sampling:?}: {counts:?}");
            }
        }
    }

    #[test]
    fn a_draw_depends_on_seed_and_position_alone() {
        let sampling = |seed| Sampling { temperature: 1.0, seed, ..Sampling::default() };
        let draws = |seed| (1..60).map(|length| chosen(sampling(seed), &vec![2; length])).collect::<Vec<_>>();
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused() {
        let plain = Sampling::default();
        assert!(plain.check().is_ok());
        for wrong in [
            Sampling { temperature: -1.0, ..plain },
            Sampling { temperature: f64::NAN, ..plain },
            Sampling { top_p: 0.0, ..plain },
            Sampling { min_p: 1.5, ..plain },
            Sampling { repeat_penalty: 0.0, ..plain },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}
