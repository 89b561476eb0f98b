//! One level at every position: its best tokens, and how likely it finds the model's own answer.

use onejump_exit::{Answer, Approximated, Candidate, ExitHead, SharedHead};
use tch::{Kind, Tensor};

use crate::LensError;

/// How many tokens of a level are kept.
pub const BEST: usize = 5;

/// Positions whose V logits are in memory together, twice, where a divergence is asked for.
const LOGIT_ROWS: i64 = 16;

/// What a level says at a position.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Its most likely tokens, [`BEST`] or as many as there are; the first is its answer.
    pub best: Vec<Likely>,
    /// −ln of the probability that it gives to the model's own answer, in nats.
    pub surprisal: f64,
    /// The place of the model's own answer: 1 is the most likely token.
    pub rank: usize,
    /// KL(model's distribution ‖ this one), in nats; none where it was not asked for.
    pub kl: Option<f64>,
    /// The probability of the token that the text goes on with; none at its end.
    pub next: Option<f64>,
}

/// A token and its probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likely {
    /// Its id.
    pub token: i64,
    /// Its probability.
    pub probability: f64,
}

impl Cell {
    /// The most likely token.
    pub fn answer(&self) -> Likely {
        self.best.first().copied().unwrap_or(Likely { token: 0, probability: 0.0 })
    }
}

/// What is asked of every level, by position.
pub(crate) struct Asked {
    /// The model's own answers.
    pub tokens: Vec<i64>,
    /// What the text goes on with.
    pub next: Vec<Option<i64>>,
}

/// The cells of approximated states; `references` are the logits of the tokens that are asked about. None where a number is
/// not finite.
pub(crate) fn cells(
    exit: &ExitHead,
    approximated: &Approximated,
    asked: &Asked,
    references: &[f32],
    kl: Option<Vec<f64>>,
) -> Result<Option<Vec<Cell>>, LensError> {
    let answers = exit.answers(approximated, &asked.tokens, references, BEST)?;
    // At the end of the text, where nothing follows, any token will do.
    let next: Vec<i64> = asked.next.iter().map(|next| next.unwrap_or(0)).collect();
    let next = exit.logits_of(approximated, &next)?;
    let cell = |(place, answer): (usize, Answer)| {
        let total = answer.best.logsumexp;
        let best = answer.best.tokens.iter();
        let likely =
            |best: &Candidate| Likely { token: best.token, probability: answer.best.probability(*best) };
        let kl = kl.as_ref().map(|kl| kl[place]);
        let cell = Cell {
            best: best.map(likely).collect(),
            surprisal: total - f64::from(references[place]),
            rank: answer.above + 1,
            kl,
            next: asked.next[place].map(|_| (f64::from(next[place]) - total).exp()),
        };
        let finite = cell.surprisal.is_finite() && kl.is_none_or(f64::is_finite) && !cell.best.is_empty();
        finite.then_some(cell)
    };
    Ok(answers.into_iter().enumerate().map(cell).collect())
}

/// What KL divergences are taken from: the final states behind the norm.
pub(crate) struct Divergence {
    /// (R, H).
    normed: Tensor,
    head: SharedHead,
}

impl Divergence {
    pub fn new(normed: Tensor, head: &SharedHead) -> Self {
        Self { normed, head: head.shallow_clone() }
    }

    /// The same; the tensors are shared, not copied.
    pub fn shallow_clone(&self) -> Self {
        Self::new(self.normed.shallow_clone(), &self.head)
    }

    /// Σ p·(ln p − ln q) over all V tokens, for approximations (R, H) behind the norm; in f64 from f32 logits.
    pub fn of(&self, normed: &Tensor) -> Result<Vec<f64>, LensError> {
        let (rows, _) = normed.size2()?;
        let mut divergences = Vec::with_capacity(rows as usize);
        for start in (0..rows).step_by(LOGIT_ROWS as usize) {
            let ln = |normed: &Tensor| -> Result<Tensor, LensError> {
                let normed = normed.f_narrow(0, start, LOGIT_ROWS.min(rows - start))?;
                Ok(self.head.head().logits_of_normed(&normed)?.f_log_softmax(1, Kind::Double)?) // (n, V)
            };
            let (ln_p, ln_q) = (ln(&self.normed)?, ln(normed)?);
            let terms = ln_p.f_exp()?.f_mul_(&ln_p.f_sub(&ln_q)?)?;
            let sums = terms.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Double)?;
            divergences.extend(Vec::<f64>::try_from(sums)?);
        }
        Ok(divergences)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onejump_models::head::Head;
    use onejump_models::norm::Norm;
    use onejump_shortcuts::map::Map;
    use tch::Device;

    /// Every number of a cell against its definition in f64, with and without a soft-cap, through a fused head and a full
    /// one. f32 sums of a dozen values of order 1, and a soft-cap exact to 2e-7 of itself: 1e-4.
    #[test]
    fn cells_are_those_of_the_definitions() {
        tch::manual_seed(5);
        let random = |size: &[i64]| Tensor::randn(size, (Kind::Float, Device::Cpu));
        let (positions, hidden, vocab) = (37, 12, 500);
        for soft_cap in [None, Some(2.5)] {
            let norm = Norm::Rms { weight: random(&[hidden]), eps: 1e-6 };
            let head = Head { norm, unembedding: random(&[vocab, hidden]), soft_cap };
            let (states, finals) = (random(&[positions, hidden]), random(&[positions, hidden]));
            let exact = |states: &Tensor| -> Tensor {
                let x = states.to_kind(Kind::Double);
                let square = x.square().mean_dim([-1i64].as_slice(), true, Kind::Double);
                let normed = x * (square + 1e-6).rsqrt() * head.norm.weight();
                let logits = normed.mm(&head.unembedding.to_kind(Kind::Double).transpose(0, 1));
                soft_cap.map_or(logits.shallow_clone(), |cap| (&logits / cap).tanh() * cap)
            };
            let ln_p = exact(&finals).log_softmax(1, Kind::Double);
            let tokens: Vec<i64> = ln_p.argmax(1, false).try_into().unwrap();
            let next = (0..positions).map(|place| (place % 3 > 0).then_some(place)).collect();
            let asked = Asked { tokens, next };
            let shared = SharedHead::new(&head);
            let divergence = Divergence::new(head.norm.forward(&finals).unwrap(), &shared);
            for map in [
                Map::LowRank { norm: None, a: random(&[hidden, 3]), b: random(&[3, hidden]) },
                Map::Full { w: random(&[hidden, hidden]), bias: None },
            ] {
                let exit = ExitHead::new(Some(&map), &shared).unwrap();
                let approximated = exit.approximate(&states).unwrap();
                let references = exit.logits_of(&approximated, &asked.tokens).unwrap();
                let kl = divergence.of(&approximated.normed).unwrap();
                let cells = cells(&exit, &approximated, &asked, &references, Some(kl)).unwrap().unwrap();
                let ln_q = exact(&map.apply(&states).unwrap()).log_softmax(1, Kind::Double);
                let kl =
                    (ln_p.exp() * (&ln_p - &ln_q)).sum_dim_intlist([1i64].as_slice(), false, Kind::Double);
                let (largest, best) = ln_q.topk(BEST as i64, 1, true, true);
                for (place, cell) in cells.iter().enumerate() {
                    let row = place as i64;
                    let near =
                        |found: f64, exact: f64| assert!((found - exact).abs() < 1e-4, "{place}: {cell:?}");
                    let own = ln_q.double_value(&[row, asked.tokens[place]]);
                    near(cell.surprisal, -own);
                    near(cell.kl.unwrap(), kl.double_value(&[row]));
                    // A token within rounding of the model's answer may stand above it or below.
                    let above = |bound: f64| ln_q.get(row).gt(bound).sum(Kind::Int64).int64_value(&[]);
                    let places = above(own + 1e-4) + 1..=above(own - 1e-4);
                    assert!(places.contains(&(cell.rank as i64)), "{places:?}: {cell:?}");
                    for (at, likely) in cell.best.iter().enumerate() {
                        assert_eq!(likely.token, best.int64_value(&[row, at as i64]));
                        near(likely.probability, largest.double_value(&[row, at as i64]).exp());
                    }
                    let next = asked.next[place].map(|token| ln_q.double_value(&[row, token]).exp());
                    assert_eq!(cell.next.is_some(), next.is_some());
                    near(cell.next.unwrap_or(0.0), next.unwrap_or(0.0));
                }
            }
        }
    }
}
