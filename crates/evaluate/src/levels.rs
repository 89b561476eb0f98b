//! One exit level: every method's approximations, logits and outcomes.

use onejump_exit::{ExitHead, SharedHead};
use onejump_simd::{RowScan, distances};
use onejump_store::truth::Truth;
use onejump_tensor::rows::values;
use tch::{Kind, Tensor};

use crate::EvaluateError;
use crate::metrics::Outcome;

/// Samples at a time: each batch reads all of the unembedding. A multiple of the rows that products compute
/// together.
pub(crate) const CHUNK: i64 = 32 * onejump_simd::ROWS as i64;

/// The final hidden states, and what a thread needs beside them. Tensors can be sent to a thread, not shared between
/// them.
pub(crate) struct FinalStates {
    /// h_K, (N, H).
    pub targets: Tensor,
    /// The same after the final norm, (N, H).
    pub normed_targets: Tensor,
    /// How mean logits under the true distributions are found, for KL divergences.
    pub means: Means,
    pub head: SharedHead,
}

/// How the means of logits under the true distributions p are found.
pub(crate) enum Means {
    /// No KL divergence is asked for.
    None,
    /// As products with Eᵀp, (N, H).
    Expected(Tensor),
    /// From all V logits: behind a soft-cap they are no products.
    OfLogits,
}

impl Means {
    fn shallow_clone(&self) -> Self {
        match self {
            Self::None => Self::None,
            Self::Expected(expected) => Self::Expected(expected.shallow_clone()),
            Self::OfLogits => Self::OfLogits,
        }
    }
}

/// Samples whose true and approximate logits are in memory together where all V are needed.
const LOGIT_ROWS: i64 = 16;

impl FinalStates {
    pub fn shallow_clone(&self) -> Self {
        Self {
            targets: self.targets.shallow_clone(),
            normed_targets: self.normed_targets.shallow_clone(),
            means: self.means.shallow_clone(),
            head: self.head.shallow_clone(),
        }
    }

    /// −ln of the true probability of the given token of each sample in a range of rows.
    pub fn mat_surprisals(
        &self,
        truth: &Truth,
        start: i64,
        tokens: &[i64],
    ) -> Result<Vec<f64>, EvaluateError> {
        let rows = tokens.len() as i64;
        let chosen = self.head.head().unembedding.f_index_select(0, &Tensor::f_from_slice(tokens)?)?; // (n, H)
        let logits = self.normed_targets.f_narrow(0, start, rows)?.f_mul(&chosen)?;
        let logits = logits.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?;
        let logits = values(&self.head.head().capped(logits)?)?;
        let totals = &truth.logsumexp[start as usize..start as usize + tokens.len()];
        Ok(totals.iter().zip(logits).map(|(&total, logit)| f64::from(total) - f64::from(logit)).collect())
    }

    /// KL(p ‖ q) of a range of rows, for approximations with the given ln Σ exp.
    ///
    /// With true logits z and the shortcut's ẑ, KL = Σ p·(z − ẑ) − lse(z) + lse(ẑ), and
    /// Σ p·(z − ẑ) = (norm(h_K) − norm(ĥ))·(Eᵀp): H operations instead of V, where the head has no soft-cap.
    fn divergences(
        &self,
        truth: &Truth,
        start: i64,
        normed: &Tensor,
        logsumexp: &[f64],
    ) -> Result<Option<Vec<f64>>, EvaluateError> {
        let rows = logsumexp.len() as i64;
        let targets = self.normed_targets.f_narrow(0, start, rows)?;
        let products = match &self.means {
            Means::None => return Ok(None),
            Means::Expected(expected) => {
                let products = targets.f_sub(normed)?.f_mul(&expected.f_narrow(0, start, rows)?)?;
                let products = products.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Double)?;
                Vec::<f64>::try_from(products)?
            }
            Means::OfLogits => self.logits_apart(&targets, normed)?,
        };
        let totals = &truth.logsumexp[start as usize..start as usize + logsumexp.len()];
        let kl = |((product, &ours), &theirs): ((f64, &f64), &f32)| product - f64::from(theirs) + ours;
        Ok(Some(products.into_iter().zip(logsumexp).zip(totals).map(kl).collect()))
    }

    /// Σ p·(z − ẑ) from all logits z and ẑ, of final states and approximations (n, H) behind the norm.
    fn logits_apart(&self, targets: &Tensor, normed: &Tensor) -> Result<Vec<f64>, EvaluateError> {
        let (head, count) = (self.head.head(), targets.size2()?.0);
        let mut sums = Vec::with_capacity(count as usize);
        for start in (0..count).step_by(LOGIT_ROWS as usize) {
            let rows = LOGIT_ROWS.min(count - start);
            let theirs = head.logits_of_normed(&targets.f_narrow(0, start, rows)?)?; // (n, V)
            let ours = head.logits_of_normed(&normed.f_narrow(0, start, rows)?)?;
            let apart = theirs.f_softmax(1, Kind::Float)?.f_mul_(&theirs.f_sub(&ours)?)?;
            let apart = apart.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Double)?;
            sums.extend(Vec::<f64>::try_from(apart)?);
        }
        Ok(sums)
    }
}

/// The outcome of each sample: a map with the head behind it, on the states (N, H) of one level.
pub(crate) fn outcomes(
    name: &str,
    exit: &ExitHead,
    states: &Tensor,
    finals: &FinalStates,
    truth: &Truth,
) -> Result<Vec<Outcome>, EvaluateError> {
    let (count, width) = states.size2()?;
    let hidden_size = width as usize;
    let mut outcomes = Vec::with_capacity(count as usize);
    let mut start = 0;
    while start < count {
        let rows = CHUNK.min(count - start);
        let range = start as usize..(start + rows) as usize;
        let approximated = exit.approximate(&states.f_narrow(0, start, rows)?)?;
        let true_tokens: Vec<i64> = truth.tokens[range].iter().map(|&token| i64::from(token)).collect();
        let references = exit.logits_of(&approximated, &true_tokens)?;
        let scans = exit.scan(&approximated, &true_tokens, &references)?;
        let tops: Vec<i64> = scans.iter().map(|scan| scan.top as i64).collect();
        let mat_surprisals = finals.mat_surprisals(truth, start, &tops)?;
        let targets = values(&finals.targets.f_narrow(0, start, rows)?)?;
        let distances = distances(&values(&approximated.hidden)?, &targets, hidden_size);
        let logsumexp: Vec<f64> = scans.iter().map(RowScan::logsumexp).collect();
        let divergences = finals.divergences(truth, start, &approximated.normed, &logsumexp)?;
        for (row, scan) in scans.iter().enumerate() {
            let probability = |logit: f32| (f64::from(logit) - logsumexp[row]).exp();
            let outcome = Outcome {
                above: scan.above,
                surprisal: logsumexp[row] - f64::from(references[row]),
                mat_surprisal: mat_surprisals[row],
                approximation: Some(distances[row]),
                kl: divergences.as_ref().map(|divergences| divergences[row]),
                probabilities: (probability(scan.largest), probability(scan.second)),
            };
            if !outcome.surprisal.is_finite() || !distances[row].squared_error.is_finite() {
                return Err(EvaluateError::Usage(format!(
                    "{name} yields NaN or infinity for sample {}; train it again",
                    start as usize + row
                )));
            }
            outcomes.push(outcome);
        }
        start += rows;
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use onejump_models::head::Head;
    use onejump_models::norm::Norm;
    use onejump_shortcuts::map::Map;
    use tch::Device;

    /// Every outcome against the definitions in f64, with and without a soft-cap, through a fused head and a full one. f32
    /// sums of a dozen values of order 1, and a soft-cap exact to 2e-7 of itself: 1e-4.
    #[test]
    fn outcomes_are_those_of_the_definitions() {
        tch::manual_seed(8);
        let random = |size: &[i64]| Tensor::randn(size, (Kind::Float, Device::Cpu));
        let (samples, hidden, vocab) = (37, 12, 500);
        for soft_cap in [None, Some(2.5)] {
            let norm = Norm::Rms { weight: random(&[hidden]), eps: 1e-6 };
            let head = Head { norm, unembedding: random(&[vocab, hidden]), soft_cap };
            let (states, targets) = (random(&[samples, hidden]), random(&[samples, hidden]));
            let maps = [
                Map::LowRank { norm: None, a: random(&[hidden, 3]), b: random(&[3, hidden]) },
                Map::Full { w: random(&[hidden, hidden]), bias: None },
                Map::Residual {
                    alpha: random(&[1]),
                    scale: random(&[3]),
                    shift: random(&[3]),
                    a: random(&[hidden, 3]),
                    b: random(&[3, hidden]),
                },
            ];
            let shared = SharedHead::new(&head);
            let exact = |states: &Tensor| -> Tensor {
                let x = states.to_kind(Kind::Double);
                let square = x.square().mean_dim([-1i64].as_slice(), true, Kind::Double);
                let normed = x * (square + 1e-6).rsqrt() * head.norm.weight();
                let logits = normed.mm(&head.unembedding.to_kind(Kind::Double).transpose(0, 1));
                soft_cap.map_or(logits.shallow_clone(), |cap| (&logits / cap).tanh() * cap)
            };
            let theirs = exact(&targets); // (N, V)
            let tokens: Vec<i64> = theirs.argmax(1, false).try_into().unwrap();
            let lse: Vec<f64> = theirs.logsumexp([1i64].as_slice(), false).try_into().unwrap();
            let truth = Truth {
                tokens: tokens.iter().map(|&token| token as u32).collect(),
                logsumexp: lse.iter().map(|&value| value as f32).collect(),
            };
            let normed_targets = head.norm.forward(&targets).unwrap();
            let means = match soft_cap {
                Some(_) => Means::OfLogits,
                None => {
                    let p = theirs.softmax(1, Kind::Double).to_kind(Kind::Float);
                    Means::Expected(p.mm(&head.unembedding))
                }
            };
            let finals = FinalStates {
                targets: targets.shallow_clone(),
                normed_targets,
                means,
                head: shared.shallow_clone(),
            };
            for map in &maps {
                let exit = ExitHead::new(Some(map), &shared).unwrap();
                let found = outcomes("test", &exit, &states, &finals, &truth).unwrap();
                let ours = exact(&map.apply(&states).unwrap());
                let ln_q = ours.log_softmax(1, Kind::Double);
                let ln_p = theirs.log_softmax(1, Kind::Double);
                let kl =
                    (ln_p.exp() * (&ln_p - &ln_q)).sum_dim_intlist([1i64].as_slice(), false, Kind::Double);
                for (row, outcome) in found.iter().enumerate() {
                    let at = |tensor: &Tensor, token: i64| tensor.double_value(&[row as i64, token]);
                    let top = ours.get(row as i64).argmax(0, false).int64_value(&[]);
                    let near = |found: f64, exact: f64| (found - exact).abs() < 1e-4;
                    assert!(near(outcome.surprisal, -at(&ln_q, tokens[row])), "{soft_cap:?} {row}");
                    assert!(near(outcome.mat_surprisal, -at(&ln_p, top)), "{soft_cap:?} {row}");
                    assert!(near(outcome.probabilities.0, at(&ln_q, top).exp()), "{soft_cap:?} {row}");
                    let kl = kl.double_value(&[row as i64]);
                    assert!(near(outcome.kl.unwrap(), kl), "{soft_cap:?} {row}: {:?} {kl}", outcome.kl);
                    let own = at(&ours, tokens[row]);
                    let above = ours.get(row as i64).gt(own + 1e-5).sum(Kind::Int64).int64_value(&[]);
                    assert_eq!(outcome.above as i64, above, "{soft_cap:?} {row}");
                }
            }
        }
    }
}
