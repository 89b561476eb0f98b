//! The logits of a shortcut's approximation.
//!
//! The final RMSNorm is linear up to one scalar, so for a low-rank map with u = norm(h)·A the logits
//! are (u·P)/s with P = B·diag(g)·Eᵀ (r, V), computed once per map, and s = √(mean(ĥ²) + ε). Per
//! sample that is H/r times fewer operations than the full head.

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
    blocks: Vec<Tensor>,
    /// E, (V, H).
    unembedding: Tensor,
    /// g of the final norm.
    gain: Tensor,
    eps: f64,
}

enum First {
    Identity,
    Full { w: Tensor },
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
            Some(Map::Full { w }) => First::Full { w: w.shallow_clone() },
            Some(map @ Map::LowRank { b, .. }) => {
                let projection = map
                    .projection()?
                    .ok_or_else(|| EvaluateError::Usage("a low-rank map without a projection".to_owned()))?;
                First::LowRank { projection, b: b.shallow_clone() }
            }
        };
        let gain = head.norm.weight.shallow_clone();
        let gained = match &first {
            First::LowRank { b, .. } => Some(b.f_mul(&gain)?), // B·diag(g), (r, H)
            _ => None,
        };
        let unembedding = head.unembedding.weight.shallow_clone();
        let (vocab, mut start) = (unembedding.size2()?.0, 0);
        let mut blocks = Vec::new();
        while start < vocab {
            let columns = BLOCK.min(vocab - start);
            let block = unembedding.f_narrow(0, start, columns)?.f_transpose(0, 1)?; // (H, columns)
            blocks.push(match &gained {
                Some(gained) => gained.f_mm(&block)?, // (r, columns)
                None => block,
            });
            start += columns;
        }
        Ok(Self { first, blocks, unembedding, gain, eps: head.norm.eps })
    }

    /// The same; the tensors are shared, not copied. A clone can be sent to another thread.
    pub fn shallow_clone(&self) -> Self {
        Self {
            first: match &self.first {
                First::Identity => First::Identity,
                First::Full { w } => First::Full { w: w.shallow_clone() },
                First::LowRank { projection, b } => First::LowRank {
                    projection: Projection {
                        matrix: projection.matrix.shallow_clone(),
                        constant: projection.constant.shallow_clone(),
                    },
                    b: b.shallow_clone(),
                },
            },
            blocks: self.blocks.iter().map(Tensor::shallow_clone).collect(),
            unembedding: self.unembedding.shallow_clone(),
            gain: self.gain.shallow_clone(),
            eps: self.eps,
        }
    }

    /// ĥ of hidden states (n, H), ready for [`ExitHead::scan`].
    ///
    /// # Errors
    /// [`EvaluateError::Shortcut`] if `hidden` has another width.
    pub fn approximate(&self, hidden: &Tensor) -> Result<Approximated, EvaluateError> {
        let (u, hidden) = match &self.first {
            First::Identity => (None, hidden.shallow_clone()),
            First::Full { w } => (None, hidden.f_mm(w)?),
            First::LowRank { projection, b } => {
                let u = projection.apply(hidden)?; // (n, r)
                let hidden = u.f_mm(b)?;
                (Some(u), hidden)
            }
        };
        let mean_square = hidden.f_square()?.f_mean_dim([-1i64].as_slice(), true, None)?;
        let inverse_scale = mean_square.f_add_scalar(self.eps)?.f_rsqrt()?; // 1/s, (n, 1)
        let normed = hidden.f_mul(&inverse_scale)?.f_mul_(&self.gain)?;
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
        let chosen = self.unembedding.f_index_select(0, &Tensor::f_from_slice(tokens)?)?; // (n, H)
        let products = approximated.normed.f_mul(&chosen)?;
        Ok(Vec::<f32>::try_from(products.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?)?)
    }

    /// Scans all logits of each sample; `tokens` and `references` are as [`ExitHead::logits_of`] has them.
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
            let columns = block.size2()?.1;
            if buffer.size() != [rows as i64, columns] {
                buffer =
                    Tensor::f_empty([rows as i64, columns], (Kind::Float, approximated.hidden.device()))?;
                values.resize(rows * columns as usize, 0f32);
            }
            let _ = approximated.factor.f_mm_out(&buffer, block)?; // (n, columns)
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
