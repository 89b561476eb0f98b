//! The logits of a shortcut's approximation.
//!
//! A final RMSNorm is linear up to one scalar, so for a low-rank map with u = norm(h)·A the logits are
//! (u·P)/s with P = B·diag(g)·Eᵀ (r, V), computed once per map, and s = √(mean(ĥ²) + ε). Per sample
//! that is H/r times fewer operations than the full head. A LayerNorm also takes the mean away, which
//! is linear too: the rows of B lose theirs beforehand; and its bias adds the constant bias·Eᵀ.
//!
//! The N×V logits are never whole in memory: they come in blocks of columns, and a scan keeps of them
//! what the metrics need.

use onejump_models::head::Head;
use onejump_shortcuts::map::{Map, Projection};
use pulp::Arch;
use tch::{Kind, Tensor};

use crate::EvaluateError;
use crate::scan::RowScan;

/// Columns in a block: with 128 samples its logits are 1 MB, and stay in the processor's cache.
const BLOCK: i64 = 2048;

/// A map with the head behind it.
pub struct ExitHead {
    first: First,
    /// P (r, V) or Eᵀ (H, V), in blocks of columns.
    blocks: Vec<Block>,
    head: Head,
}

/// Some columns of P or Eᵀ, and what is added to their logits where the norm's bias is not yet in them.
struct Block {
    matrix: Tensor,
    /// (columns).
    constant: Option<Tensor>,
}

impl Block {
    fn shallow_clone(&self) -> Self {
        Self {
            matrix: self.matrix.shallow_clone(),
            constant: self.constant.as_ref().map(Tensor::shallow_clone),
        }
    }
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
    /// What the blocks of the unembedding are multiplied with: (n, r) or (n, H).
    factor: Tensor,
}

impl ExitHead {
    /// The head behind a map; `None` is the identity.
    ///
    /// # Errors
    /// [`EvaluateError`] if map and head are of different hidden sizes.
    pub fn new(map: Option<&Map>, head: &Head) -> Result<Self, EvaluateError> {
        let first = match map {
            None => First::Identity,
            Some(map @ Map::Full { .. }) => First::Full { map: map.shallow_clone() },
            Some(map @ Map::LowRank { b, .. }) => {
                let projection = map
                    .projection()?
                    .ok_or_else(|| EvaluateError::Usage("a low-rank map without a projection".to_owned()))?;
                First::LowRank { projection, b: b.shallow_clone() }
            }
        };
        // What the blocks of Eᵀ are multiplied with beforehand: B·diag(g), without its rows' means.
        let gained = match &first {
            First::LowRank { b, .. } => Some(head.norm.centred(b)?.f_mul(head.norm.weight())?), // (r, H)
            _ => None,
        };
        let (vocab, mut start) = (head.unembedding.size2()?.0, 0);
        let mut blocks = Vec::new();
        while start < vocab {
            let columns = BLOCK.min(vocab - start);
            let transposed = head.unembedding.f_narrow(0, start, columns)?.f_transpose(0, 1)?; // (H, columns)
            blocks.push(match (&gained, head.norm.bias()) {
                (None, _) => Block { matrix: transposed, constant: None },
                (Some(gained), bias) => Block {
                    matrix: gained.f_mm(&transposed)?, // (r, columns)
                    constant: match bias {
                        Some(bias) => Some(bias.f_unsqueeze(0)?.f_mm(&transposed)?.f_squeeze_dim(0)?),
                        None => None,
                    },
                },
            });
            start += columns;
        }
        Ok(Self { first, blocks, head: head.shallow_clone() })
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
            blocks: self.blocks.iter().map(Block::shallow_clone).collect(),
            head: self.head.shallow_clone(),
        }
    }

    /// ĥ of hidden states (n, H), ready for its logits.
    ///
    /// # Errors
    /// [`EvaluateError::Shortcut`] if `hidden` has another width.
    pub fn approximate(&self, hidden: &Tensor) -> Result<Approximated, EvaluateError> {
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
    /// [`EvaluateError::Torch`] if there are more tokens than samples.
    pub fn logits_of(&self, approximated: &Approximated, tokens: &[i64]) -> Result<Vec<f32>, EvaluateError> {
        let chosen = self.head.unembedding.f_index_select(0, &Tensor::f_from_slice(tokens)?)?; // (n, H)
        let products = approximated.normed.f_mul(&chosen)?;
        Ok(Vec::<f32>::try_from(products.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?)?)
    }

    /// Scans all logits of each sample; `tokens` and `references` are as `logits_of` has them.
    pub(crate) fn scan(
        &self,
        approximated: &Approximated,
        tokens: &[i64],
        references: &[f32],
    ) -> Result<Vec<RowScan>, EvaluateError> {
        let rows = tokens.len();
        let started = tokens.iter().zip(references);
        let mut scans: Vec<_> = started.map(|(&token, &logit)| RowScan::new(token as usize, logit)).collect();
        let arch = Arch::new();
        let mut values = Vec::new();
        let mut buffer = Tensor::f_empty([0, 0], (Kind::Float, approximated.hidden.device()))?;
        let mut start = 0;
        for block in &self.blocks {
            let columns = block.matrix.size2()?.1;
            if buffer.size() != [rows as i64, columns] {
                buffer =
                    Tensor::f_empty([rows as i64, columns], (Kind::Float, approximated.hidden.device()))?;
                values.resize(rows * columns as usize, 0f32);
            }
            let _ = match &block.constant {
                Some(constant) => constant.f_addmm_out(&buffer, &approximated.factor, &block.matrix)?,
                None => approximated.factor.f_mm_out(&buffer, &block.matrix)?,
            }; // (n, columns)
            let count = values.len();
            buffer.f_copy_data(&mut values, count)?;
            for (scan, row) in scans.iter_mut().zip(values.chunks_exact(columns as usize)) {
                scan.add(arch, row, start);
            }
            start += columns as usize;
        }
        Ok(scans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onejump_models::norm::Norm;
    use tch::Device;

    /// The fused head against the full one, for both norms. f32 sums of a few dozen values: 1e-4.
    #[test]
    fn the_fused_head_is_the_full_head() {
        tch::manual_seed(3);
        let random = |size: &[i64]| Tensor::randn(size, (Kind::Float, Device::Cpu));
        let (samples, hidden, rank, vocab) = (5, 12, 3, BLOCK + 7);
        let norms = [
            Norm::Rms { weight: random(&[hidden]), eps: 1e-5 },
            Norm::Layer { weight: random(&[hidden]), bias: random(&[hidden]), eps: 1e-5 },
        ];
        for norm in norms {
            let head = Head { norm, unembedding: random(&[vocab, hidden]) };
            let map = Map::LowRank { norm: None, a: random(&[hidden, rank]), b: random(&[rank, hidden]) };
            let states = random(&[samples, hidden]);
            let logits = head.logits(&map.apply(&states).unwrap()).unwrap();
            let totals = Vec::<f32>::try_from(logits.logsumexp([1i64].as_slice(), false)).unwrap();
            let tops = Vec::<i64>::try_from(logits.argmax(1, false)).unwrap();

            let exit = ExitHead::new(Some(&map), &head).unwrap();
            let approximated = exit.approximate(&states).unwrap();
            let tokens = vec![vocab - 1; samples as usize];
            let references = exit.logits_of(&approximated, &tokens).unwrap();
            let scans = exit.scan(&approximated, &tokens, &references).unwrap();
            for (row, scan) in scans.iter().enumerate() {
                let own = logits.double_value(&[row as i64, vocab - 1]);
                assert!((f64::from(references[row]) - own).abs() < 1e-4);
                assert!((scan.logsumexp() - f64::from(totals[row])).abs() < 1e-4);
                assert_eq!(scan.top as i64, tops[row]);
                let above = logits.get(row as i64).gt(own).sum(Kind::Int64).int64_value(&[]);
                assert!((scan.above as i64 - above).abs() <= 1, "a tie within rounding at most");
            }
        }
    }
}
