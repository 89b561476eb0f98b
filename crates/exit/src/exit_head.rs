//! The logits of a shortcut's approximation.
//!
//! A final RMSNorm is linear up to one scalar, so for a low-rank map with u = norm(h)·A the logits are
//! (u·P)/s with P = B·diag(g)·Eᵀ (r, V), computed once per map, and s = √(mean(ĥ²) + ε). Per sample
//! that is H/r times fewer operations than the full head. A LayerNorm also takes the mean away, which
//! is linear too: the rows of B lose theirs beforehand; and its bias adds the constant bias·Eᵀ.
//!
//! A soft-cap of logits (Gemma 2) is applied to the products, block by block, before they are looked at.
//!
//! The N×V logits are never whole in memory: a scan keeps of them what the metrics need.

use std::sync::Arc;

use onejump_models::head::Head;
use onejump_shortcuts::map::{Map, Projection};
use onejump_simd::{Panels, RowScan, soft_cap};
use onejump_tensor::rows::values;
use tch::{Kind, Tensor};

use crate::ExitError;
use crate::look::{Answer, Best, Look, Ranking};
use crate::shared_head::SharedHead;

/// A map with the head behind it.
pub struct ExitHead {
    first: First,
    /// P or Eᵀ.
    panels: Arc<Panels>,
    head: Head,
}

enum First {
    Identity,
    Full { map: Map },
    LowRank { projection: Projection, b: Tensor },
}

/// What a shortcut makes of a batch of hidden states.
pub struct Approximated {
    /// ĥ, (n, H).
    pub hidden: Tensor,
    /// ĥ after the final norm, (n, H).
    pub normed: Tensor,
    /// What the panels are multiplied with: u/s (n, r), or what `normed` is.
    factor: Tensor,
}

impl ExitHead {
    /// The head behind a map; `None` is the identity.
    ///
    /// # Errors
    /// [`ExitError::HiddenSize`] if map and head are of different models.
    pub fn new(map: Option<&Map>, head: &SharedHead) -> Result<Self, ExitError> {
        check_size(map, head)?;
        let (first, panels) = match map {
            None => (First::Identity, head.unembedding()?),
            Some(map) => match (map, map.projection()?) {
                (Map::LowRank { b, .. }, Some(projection)) => {
                    let panels = Arc::new(head.projected(b)?);
                    (First::LowRank { projection, b: b.shallow_clone() }, panels)
                }
                _ => (First::Full { map: map.shallow_clone() }, head.unembedding()?),
            },
        };
        Ok(Self { first, panels, head: head.head().shallow_clone() })
    }

    /// The model's own head behind a map. For fewer states than the map's rank it is cheaper than the fused one, which
    /// needs P first; the logits are the same up to rounding.
    ///
    /// # Errors
    /// As [`ExitHead::new`].
    pub fn unfused(map: &Map, head: &SharedHead) -> Result<Self, ExitError> {
        check_size(Some(map), head)?;
        let first = First::Full { map: map.shallow_clone() };
        Ok(Self { first, panels: head.unembedding()?, head: head.head().shallow_clone() })
    }

    /// The same; the tensors are shared, not copied. A clone can be sent to another thread.
    pub fn shallow_clone(&self) -> Self {
        Self {
            first: match &self.first {
                First::Identity => First::Identity,
                First::Full { map } => First::Full { map: map.shallow_clone() },
                First::LowRank { projection, b } => First::LowRank {
                    projection: Projection {
                        matrix: projection.matrix.shallow_clone(),
                        constant: projection.constant.shallow_clone(),
                    },
                    b: b.shallow_clone(),
                },
            },
            panels: Arc::clone(&self.panels),
            head: self.head.shallow_clone(),
        }
    }

    /// ĥ of hidden states (n, H), ready for its logits.
    ///
    /// # Errors
    /// [`ExitError::Shortcut`] if `hidden` has another width.
    pub fn approximate(&self, hidden: &Tensor) -> Result<Approximated, ExitError> {
        let (u, hidden) = match &self.first {
            First::Identity => (None, hidden.shallow_clone()),
            First::Full { map } => (None, map.apply(hidden)?),
            First::LowRank { projection, b } => {
                let u = projection.apply(hidden)?; // (n, r)
                let hidden = u.f_mm(b)?;
                (Some(u), hidden)
            }
        };
        let centred = self.head.norm.centred(&hidden)?;
        let inverse_scale = self.head.norm.inverse_scale(&centred)?; // 1/s, (n, 1)
        let mut normed = centred.f_mul(&inverse_scale)?.f_mul_(self.head.norm.weight())?;
        if let Some(bias) = self.head.norm.bias() {
            normed = normed.f_add_(bias)?;
        }
        let factor = match u {
            Some(u) => u.f_mul(&inverse_scale)?,
            None => normed.shallow_clone(),
        };
        Ok(Approximated { hidden, normed, factor })
    }

    /// The logits of one token per sample, (n).
    ///
    /// # Errors
    /// [`ExitError::Torch`] if there are more tokens than samples.
    pub fn logits_of(&self, approximated: &Approximated, tokens: &[i64]) -> Result<Vec<f32>, ExitError> {
        let chosen = self.head.unembedding.f_index_select(0, &Tensor::f_from_slice(tokens)?)?; // (n, H)
        let products = approximated.normed.f_mul(&chosen)?;
        let products = products.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?;
        let mut logits = values(&products)?;
        if let Some(cap) = self.head.soft_cap {
            soft_cap(&mut logits, cap as f32);
        }
        Ok(logits)
    }

    /// Scans all logits of each sample; `tokens` and `references` are as [`ExitHead::logits_of`] has them.
    ///
    /// # Errors
    /// [`ExitError::Torch`] if libtorch cannot give the values.
    pub fn scan(
        &self,
        approximated: &Approximated,
        tokens: &[i64],
        references: &[f32],
    ) -> Result<Vec<RowScan>, ExitError> {
        let started = tokens.iter().zip(references);
        let mut scans: Vec<_> = started.map(|(&token, &logit)| RowScan::new(token as usize, logit)).collect();
        self.logits(approximated, |row, first, logits| {
            scans[row].add(logits, first);
        })?;
        Ok(scans)
    }

    /// Shows all logits of each sample to `take`, as [`Panels::products`] has it.
    fn logits(
        &self,
        approximated: &Approximated,
        mut take: impl FnMut(usize, usize, &[f32]),
    ) -> Result<(), ExitError> {
        let factor = values(&approximated.factor)?;
        let Some(cap) = self.head.soft_cap else {
            self.panels.products(&factor, take);
            return Ok(());
        };
        let mut capped = Vec::new();
        self.panels.products(&factor, |row, first, products| {
            capped.clear();
            capped.extend_from_slice(products);
            soft_cap(&mut capped, cap as f32);
            take(row, first, &capped);
        });
        Ok(())
    }

    /// What the shortcut answers at hidden states (n, H).
    ///
    /// # Errors
    /// [`ExitError::Shortcut`] if `hidden` has another width.
    pub fn look(&self, hidden: &Tensor) -> Result<Vec<Look>, ExitError> {
        let approximated = self.approximate(hidden)?;
        let rows = approximated.hidden.size2()?.0 as usize;
        // No token is asked about: any reference will do.
        let scans = self.scan(&approximated, &vec![0; rows], &vec![0.0; rows])?;
        Ok(scans.iter().map(Look::of).collect())
    }

    /// The `count` best tokens at hidden states (n, H); fewer where the vocabulary is smaller.
    ///
    /// # Errors
    /// As [`ExitHead::look`].
    pub fn best(&self, hidden: &Tensor, count: usize) -> Result<Vec<Best>, ExitError> {
        let approximated = self.approximate(hidden)?;
        let rows = approximated.hidden.size2()?.0 as usize;
        // No token is asked about: any reference will do.
        let answers = self.answers(&approximated, &vec![0; rows], &vec![0.0; rows], count)?;
        Ok(answers.into_iter().map(|answer| answer.best).collect())
    }

    /// The `count` best tokens of each sample, and the place of a given token; `tokens` and `references` are as
    /// [`ExitHead::logits_of`] has them.
    ///
    /// # Errors
    /// As [`ExitHead::scan`].
    pub fn answers(
        &self,
        approximated: &Approximated,
        tokens: &[i64],
        references: &[f32],
        count: usize,
    ) -> Result<Vec<Answer>, ExitError> {
        let started = tokens.iter().zip(references);
        let mut rankings: Vec<_> =
            started.map(|(&token, &logit)| Ranking::new(count, token as usize, logit)).collect();
        self.logits(approximated, |row, first, logits| rankings[row].add(logits, first))?;
        Ok(rankings.into_iter().map(Ranking::answer).collect())
    }
}

/// Refuses a map of another model than the head's.
fn check_size(map: Option<&Map>, head: &SharedHead) -> Result<(), ExitError> {
    let head = head.head().hidden_size();
    match map.map(Map::hidden_size).filter(|&size| size != head) {
        Some(shortcut) => Err(ExitError::HiddenSize { shortcut, head }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onejump_models::norm::Norm;
    use tch::Device;

    /// The fused head against the full one, for both norms, with and without a soft-cap. f32 sums of a few dozen values: 1e-4.
    #[test]
    fn the_fused_head_is_the_full_head() {
        tch::manual_seed(3);
        let random = |size: &[i64]| Tensor::randn(size, (Kind::Float, Device::Cpu));
        let (samples, hidden, rank, vocab) = (5, 12, 3, 2055);
        let norms = [
            Norm::Rms { weight: random(&[hidden]), eps: 1e-5 },
            Norm::Layer { weight: random(&[hidden]), bias: random(&[hidden]), eps: 1e-5 },
        ];
        for (norm, soft_cap) in norms.into_iter().zip([Some(2.0), None]) {
            let head = Head { norm, unembedding: random(&[vocab, hidden]), soft_cap };
            let map = Map::LowRank { norm: None, a: random(&[hidden, rank]), b: random(&[rank, hidden]) };
            let states = random(&[samples, hidden]);
            let logits = head.logits(&map.apply(&states).unwrap()).unwrap();
            let totals = Vec::<f32>::try_from(logits.logsumexp([1i64].as_slice(), false)).unwrap();
            let tops = Vec::<i64>::try_from(logits.argmax(1, false)).unwrap();

            let exit = ExitHead::new(Some(&map), &SharedHead::new(&head)).unwrap();
            let approximated = exit.approximate(&states).unwrap();
            let tokens = vec![vocab - 1; samples as usize];
            let references = exit.logits_of(&approximated, &tokens).unwrap();
            let scans = exit.scan(&approximated, &tokens, &references).unwrap();
            for (row, scan) in scans.iter().enumerate() {
                let own = logits.double_value(&[row as i64, vocab - 1]);
                assert!((f64::from(references[row]) - own).abs() < 1e-4);
                assert!(soft_cap.is_none_or(|cap| own.abs() < cap && f64::from(scan.largest) <= cap));
                assert!((scan.logsumexp() - f64::from(totals[row])).abs() < 1e-4);
                assert_eq!(scan.top as i64, tops[row]);
                let above = logits.get(row as i64).gt(own).sum(Kind::Int64).int64_value(&[]);
                assert!((scan.above as i64 - above).abs() <= 1, "a tie within rounding at most");
            }

            let answers = exit.answers(&approximated, &tokens, &references, 3).unwrap();
            assert_eq!(
                answers.iter().map(|answer| answer.best.clone()).collect::<Vec<_>>(),
                exit.best(&states, 3).unwrap()
            );
            let unfused = ExitHead::unfused(&map, &SharedHead::new(&head)).unwrap();
            let unfused = unfused.best(&states, 3).unwrap();
            for ((answer, scan), unfused) in answers.iter().zip(&scans).zip(&unfused) {
                assert_eq!((answer.above, answer.best.logsumexp), (scan.above, scan.logsumexp()));
                assert!((answer.best.logsumexp - unfused.logsumexp).abs() < 1e-4);
                for (fused, unfused) in answer.best.tokens.iter().zip(&unfused.tokens) {
                    assert!((fused.logit - unfused.logit).abs() < 1e-4);
                }
            }
        }
    }
}
