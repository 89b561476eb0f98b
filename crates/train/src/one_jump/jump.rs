//! A jump's parameters in the coordinates of the descent, and the gradients of the divergence.
//!
//! With u = x·A + c (n, r), y = u·B, s = √(mean(y²)) and v = u/s, the logits are v·P + bias·Eᵀ, where
//! P = B·diag(g)·Eᵀ over the tokens of the step. The gradients are written out: with d = ∂L/∂logits (n, tokens) and
//! a = Σ d ⊙ (v·P), by row,
//!
//! - ∂L/∂v = d·Pᵀ and ∂L/∂P = vᵀ·d;
//! - ∂L/∂u = (∂L/∂v − a·(y/s)·Bᵀ/H)/s, as s follows u;
//! - ∂L/∂B = ∂L/∂P·E·diag(g) − vᵀ·diag(a)·(y/s)/H, as s follows B.
//!
//! A residual has, for each level, u = (x·A) ⊙ scale + shift and y = u·B + α·x. With X = x·diag(g)·Eᵀ (n, tokens) its
//! logits are v·P + α/s·X + bias·Eᵀ, a has Σ d ⊙ (α/s·X) besides, and
//!
//! - ∂L/∂α = (Σ d ⊙ X − a·(y/s)·xᵀ/H)/s.
//!
//! X is the one product as large as the full head's: no gradient needs another.
//!
//! Behind a soft-cap c the logits are c·tanh(z/c), with z what they are here, and d is multiplied by 1 − tanh²(z/c).

use onejump_models::head::Head;
use tch::{Device, Kind, Tensor};

use crate::TrainError;
use crate::linear::single;
use crate::one_jump::quadratic::{Coordinates, Start};
use crate::one_jump::tokens::{Tokens, Truths, divergence};
use crate::optimiser::Adam;

/// Decay of Adam's second moment: a training has a few hundred steps, not thousands.
pub(crate) const BETA_2: f64 = 0.99;

/// Added to the mean square of an approximation before its root: it may be 0.
const TINY: f64 = 1e-12;

/// The rate of a residual's numbers of a level, as a multiple of the matrices': with the matrices' own, α would still grow
/// when the descent ends.
const OWN_RATE: f64 = 8.0;

/// Pairs of a sample and an exit level.
pub(crate) struct Batch {
    /// (n, H), or (n, 2·H) beside the tokens before.
    pub x: Tensor,
    /// 1 where a pair is of a level, else 0, (n, L).
    pub levels: Tensor,
    /// Of the samples.
    pub truths: Truths,
}

/// A', B' and what else there is in one flat vector.
pub(crate) struct JumpParameters {
    pub adam: Adam,
    parameters: Views,
    slopes: Views,
    /// W_in, of the width of x, and W_out, (H, H), f32; both are symmetric.
    input: Tensor,
    output: Tensor,
    /// Root mean square of the initial A'.
    pub initial_size: f64,
}

/// L levels; a jump without a residual has one row for all of them.
struct Views {
    /// (H, r), or (2·H, r).
    a: Tensor,
    /// (r, H).
    b: Tensor,
    /// c of a one-jump, (1, r); (L, r).
    shift: Tensor,
    residual: Option<ResidualViews>,
}

struct ResidualViews {
    /// (L, r).
    scale: Tensor,
    /// (L, 1).
    alpha: Tensor,
}

/// Sizes of the parts of the flat vector.
#[derive(Clone, Copy)]
struct Shape {
    /// H, or 2·H beside the tokens before.
    inputs: i64,
    hidden: i64,
    rank: i64,
    /// L of a residual.
    levels: Option<i64>,
}

impl Views {
    fn of(flat: &Tensor, shape: Shape) -> Result<Self, TrainError> {
        let Shape { inputs, hidden, rank, levels } = shape;
        let mut start = 0;
        let mut next = |rows: i64, columns: i64| -> Result<Tensor, TrainError> {
            let part = flat.f_narrow(0, start, rows * columns)?.f_view([rows, columns])?;
            start += rows * columns;
            Ok(part)
        };
        Ok(Self {
            a: next(inputs, rank)?,
            b: next(rank, hidden)?,
            shift: next(levels.unwrap_or(1), rank)?,
            residual: match levels {
                Some(levels) => Some(ResidualViews { scale: next(levels, rank)?, alpha: next(levels, 1)? }),
                None => None,
            },
        })
    }
}

/// A batch on its way to the logits.
struct Forward {
    /// The centred B, (r, H).
    b: Tensor,
    /// x·A, (n, r).
    projected: Tensor,
    /// 1/s, (n, 1).
    inverse_scale: Tensor,
    /// (n, r).
    v: Tensor,
    /// y/s, (n, H).
    scaled: Tensor,
    /// (r, tokens).
    p: Tensor,
    residual: Option<ResidualForward>,
    /// (n, tokens).
    logits: Tensor,
    /// ∂logit/∂product behind a soft-cap, (n, tokens).
    slope: Option<Tensor>,
}

struct ResidualForward {
    /// The centred x, (n, H).
    x: Tensor,
    /// The scale of each row's level, (n, r).
    scale: Tensor,
    /// α/s, (n, 1).
    share: Tensor,
    /// X, (n, tokens).
    products: Tensor,
}

/// What a descent found: u = (x·A) ⊙ scale + shift, y = u·B + α·x.
pub(crate) struct DescendedJump {
    /// (H, r) f64, or (2·H, r).
    pub a: Tensor,
    /// (r, H) f64.
    pub b: Tensor,
    /// (1, r) f64, or (L, r) of a residual.
    pub shift: Tensor,
    pub residual: Option<DescendedResidual>,
}

pub(crate) struct DescendedResidual {
    /// (L, r) f64.
    pub scale: Tensor,
    /// (L) f64.
    pub alpha: Tensor,
}

impl JumpParameters {
    /// The start in these coordinates, with columns of A' and rows of B' of length about 1: the length of
    /// an approximation does not matter.
    pub fn new(coordinates: &Coordinates, start: &Start, device: Device) -> Result<Self, TrainError> {
        let ((inputs, rank), hidden) = (start.a.size2()?, start.b.size2()?.1);
        let normalised = |x: Tensor| -> Result<(Tensor, f64), TrainError> {
            let columns = (x.f_norm()?.double_value(&[]) / (rank as f64).sqrt()).max(f64::MIN_POSITIVE);
            Ok((single(&x.f_div_scalar(columns)?)?.f_reshape([-1])?, columns))
        };
        let (a, columns) = normalised(coordinates.input.1.f_mm(&start.a)?)?;
        let (b, rows) = normalised(start.b.f_mm(&coordinates.output.1)?)?;
        let levels = start.alpha.as_ref().map(|alpha| alpha.size1()).transpose()?;
        let shape = Shape { inputs, hidden, rank, levels };
        let filled = |value: f64, count: i64| Tensor::f_full([count], value, (Kind::Float, Device::Cpu));
        let mut parts = vec![a, b, filled(0.0, levels.unwrap_or(1) * rank)?];
        if let (Some(alpha), Some(levels)) = (&start.alpha, levels) {
            parts.extend([filled(1.0, levels * rank)?, single(&alpha.f_div_scalar(columns * rows)?)?]);
        }
        let mut adam = Adam::new(Tensor::f_cat(&parts, 0)?.f_to_device(device)?, BETA_2)?;
        if levels.is_some() {
            let rates = adam.parameters.f_ones_like()?;
            let matrices = (inputs + hidden) * rank;
            let _ = rates.f_narrow(0, matrices, rates.size1()? - matrices)?.f_fill_(OWN_RATE)?;
            adam = adam.with_rates(rates);
        }
        Ok(Self {
            parameters: Views::of(&adam.parameters, shape)?,
            slopes: Views::of(&adam.gradients, shape)?,
            adam,
            input: single(&coordinates.input.0)?.f_to_device(device)?,
            output: single(&coordinates.output.0)?.f_to_device(device)?,
            initial_size: 1.0 / (hidden as f64).sqrt(),
        })
    }

    fn forward(&self, batch: &Batch, tokens: &Tokens, head: &Head) -> Result<Forward, TrainError> {
        let views = &self.parameters;
        let tokens_by = |x: &Tensor| x.f_mul(head.norm.weight())?.f_mm(&tokens.rows.f_transpose(0, 1)?);
        let b = head.norm.centred(&views.b.f_mm(&self.output)?)?; // (r, H)
        let projected = batch.x.f_mm(&self.input.f_mm(&views.a)?)?; // (n, r)
        let p = tokens_by(&b)?; // (r, tokens)
        let normed = |y: &Tensor| {
            let square = y.f_square()?.f_mean_dim([1i64].as_slice(), true, None)?;
            square.f_add_scalar(TINY)?.f_rsqrt()
        };
        let (v, scaled, inverse_scale, residual, products) = match &views.residual {
            None => {
                let u = projected.f_add(&views.shift)?;
                let y = u.f_mm(&b)?; // (n, H)
                let inverse_scale = normed(&y)?;
                let v = u.f_mul(&inverse_scale)?;
                let products = v.f_mm(&p)?;
                (v, y.f_mul(&inverse_scale)?, inverse_scale, None, products)
            }
            Some(own) => {
                let x = head.norm.centred(&batch.x)?;
                let (scale, alpha) = (batch.levels.f_mm(&own.scale)?, batch.levels.f_mm(&own.alpha)?);
                let u = projected.f_mul(&scale)?.f_add_(&batch.levels.f_mm(&views.shift)?)?;
                let y = u.f_mm(&b)?.f_addcmul(&x, &alpha)?;
                let inverse_scale = normed(&y)?;
                let (v, share) = (u.f_mul(&inverse_scale)?, alpha.f_mul(&inverse_scale)?);
                let products = tokens_by(&x)?;
                let both = products.f_mul(&share)?.f_addmm(&v, &p)?;
                let residual = ResidualForward { x, scale, share, products };
                (v, y.f_mul(&inverse_scale)?, inverse_scale, Some(residual), both)
            }
        };
        let (logits, slope) = tokens.logits(products, head.soft_cap)?;
        Ok(Forward { b, projected, inverse_scale, v, scaled, p, residual, logits, slope })
    }

    /// A batch's mean divergence, a f64 on the device.
    pub fn divergence(&self, batch: &Batch, tokens: &Tokens, head: &Head) -> Result<Tensor, TrainError> {
        let forward = self.forward(batch, tokens, head)?;
        Ok(divergence(&forward.logits, &batch.truths, tokens)?.0)
    }

    /// Writes the gradients of a batch's mean divergence, and returns it, a f64 on the device.
    pub fn gradients(&mut self, batch: &Batch, tokens: &Tokens, head: &Head) -> Result<Tensor, TrainError> {
        let (samples, hidden) = (batch.x.size2()?.0, self.parameters.b.size2()?.1);
        let Forward { b, projected, inverse_scale, v, scaled, p, residual, logits, slope } =
            self.forward(batch, tokens, head)?;
        let by_row = |x: Tensor| x.f_sum_dim_intlist([1i64].as_slice(), true, None); // (n, 1)
        let (loss, mut d) = divergence(&logits, &batch.truths, tokens)?;
        drop(logits);
        let _ = d.f_div_scalar_(samples as f64)?;
        if let Some(slope) = slope {
            let _ = d.f_mul_(&slope)?;
        }

        let dv = d.f_mm(&p.f_transpose(0, 1)?)?; // (n, r)
        let dp = v.f_transpose(0, 1)?.f_mm(&d)?; // (r, tokens)
        let mut along = by_row(dv.f_mul(&v)?)?;
        let on_x = residual.as_ref().map(|own| by_row(d.f_mul(&own.products)?)).transpose()?;
        if let (Some(own), Some(on_x)) = (&residual, &on_x) {
            along = along.f_addcmul(on_x, &own.share)?;
        }
        let along = along.f_div_scalar(hidden as f64)?; // a/H
        let du = dv.f_sub(&scaled.f_mm(&b.f_transpose(0, 1)?)?.f_mul_(&along)?)?.f_mul_(&inverse_scale)?;
        let through_scale = v.f_mul(&along)?.f_transpose(0, 1)?.f_mm(&scaled)?; // (r, H)
        let db = dp.f_mm(&tokens.rows)?.f_mul_(head.norm.weight())?.f_sub_(&through_scale)?;

        let slopes = &mut self.slopes;
        slopes.b.f_copy_(&head.norm.centred(&db)?.f_mm(&self.output)?)?;
        let levels = batch.levels.f_transpose(0, 1)?;
        let dprojected = match (&residual, &on_x, &mut slopes.residual) {
            (Some(own), Some(on_x), Some(slopes_of)) => {
                let through_scale = by_row(scaled.f_mul(&own.x)?)?.f_mul_(&along)?;
                let dalpha = on_x.f_sub(&through_scale)?.f_mul_(&inverse_scale)?;
                slopes_of.alpha.f_copy_(&levels.f_mm(&dalpha)?)?;
                slopes_of.scale.f_copy_(&levels.f_mm(&du.f_mul(&projected)?)?)?;
                slopes.shift.f_copy_(&levels.f_mm(&du)?)?;
                du.f_mul(&own.scale)?
            }
            _ => {
                slopes.shift.f_copy_(&du.f_sum_dim_intlist([0i64].as_slice(), true, None)?)?;
                du
            }
        };
        slopes.a.f_copy_(&self.input.f_mm(&batch.x.f_transpose(0, 1)?.f_mm(&dprojected)?)?)?;
        Ok(loss)
    }

    /// The jump of these parameters, outside the coordinates.
    pub fn found(&self) -> Result<DescendedJump, TrainError> {
        let double = |tensor: &Tensor| tensor.f_to_kind(Kind::Double);
        let views = &self.parameters;
        let residual = match &views.residual {
            Some(own) => Some(DescendedResidual {
                scale: double(&own.scale)?,
                alpha: double(&own.alpha)?.f_view([-1])?,
            }),
            None => None,
        };
        Ok(DescendedJump {
            a: double(&self.input)?.f_mm(&double(&views.a)?)?,
            b: double(&views.b)?.f_mm(&double(&self.output)?)?,
            shift: double(&views.shift)?,
            residual,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_jump::tokens::Vocabulary;
    use crate::one_jump::truth::TrueDistributions;
    use onejump_core::observe::Silent;
    use onejump_models::norm::Norm;

    /// The gradients and the loss against libtorch's own differentiation of the divergence through the full
    /// head, of a one-jump (also beside the tokens before) and a residual, for both norms, with and without a soft-cap.
    /// f32 sums of a few dozen values
    /// of order 1: 1e-4.
    #[test]
    fn gradients_are_those_of_the_divergence() {
        tch::manual_seed(5);
        let random = |size: &[i64]| Tensor::randn(size, (Kind::Float, Device::Cpu));
        let (samples, hidden, rank, vocab, levels) = (7, 10, 3, 40, 2);
        let eps = 1e-9;
        let norms = || {
            [
                Norm::Rms { weight: random(&[hidden]), eps },
                Norm::Layer { weight: random(&[hidden]), bias: random(&[hidden]), eps },
            ]
        };
        for (inputs, with_alpha, soft_cap) in [
            (hidden, false, None),
            (hidden, false, Some(1.5)),
            (2 * hidden, false, Some(1.5)),
            (hidden, true, None),
            (hidden, true, Some(1.5)),
        ] {
            for norm in norms() {
                let head = Head { norm, unembedding: random(&[vocab, hidden]), soft_cap };
                let truth = TrueDistributions::of(&random(&[samples, hidden]), &head, &Silent).unwrap();
                let white = |size: i64| {
                    let matrix = random(&[size, size]) * 0.5;
                    let symmetric = &matrix + matrix.transpose(0, 1);
                    (symmetric.to_kind(Kind::Double), Tensor::eye(size, (Kind::Double, Device::Cpu)))
                };
                let coordinates = Coordinates { input: white(inputs), output: white(hidden) };
                let double = |size: &[i64]| random(size).to_kind(Kind::Double);
                let alpha = with_alpha.then(|| double(&[levels]));
                let start = Start { a: double(&[inputs, rank]), b: double(&[rank, hidden]), alpha };
                let mut model = JumpParameters::new(&coordinates, &start, Device::Cpu).unwrap();
                // What begins at 0 or 1 could hide a mistake.
                let matrices = (inputs + hidden) * rank;
                let own = model.adam.parameters.size1().unwrap() - matrices;
                model.adam.parameters.narrow(0, matrices, own).copy_(&random(&[own]));
                let of_level = Tensor::from_slice(&[0i64, 1, 1, 0, 1, 0, 1]);
                let batch = Batch {
                    x: random(&[samples, inputs]),
                    levels: of_level.one_hot(levels).to_kind(Kind::Float),
                    truths: Truths {
                        tokens: truth.tokens.shallow_clone(),
                        probabilities: truth.probabilities.shallow_clone(),
                    },
                };
                let tokens = Vocabulary::new(&head, &truth.mean, 0, 0).unwrap().draw().unwrap();
                let loss = model.gradients(&batch, &tokens, &head).unwrap().double_value(&[]);
                let again = model.divergence(&batch, &tokens, &head).unwrap().double_value(&[]);
                assert_eq!(loss, again);

                let flat = model.adam.parameters.copy().set_requires_grad(true);
                let shape = Shape { inputs, hidden, rank, levels: with_alpha.then_some(levels) };
                let views = Views::of(&flat, shape).unwrap();
                let mut u = batch.x.mm(&model.input.mm(&views.a));
                let b = views.b.mm(&model.output);
                let approximation = match &views.residual {
                    None => (u + &views.shift).mm(&b),
                    Some(own) => {
                        u = u * own.scale.index_select(0, &of_level) + views.shift.index_select(0, &of_level);
                        u.mm(&b) + &batch.x * own.alpha.index_select(0, &of_level)
                    }
                };
                let mut q = head.norm.forward(&approximation).unwrap().mm(&head.unembedding.transpose(0, 1));
                if let Some(cap) = soft_cap {
                    q = (q / cap).tanh() * cap;
                }
                let ln_q = q.log_softmax(-1, Kind::Float).gather(1, &batch.truths.tokens, false);
                let p = &batch.truths.probabilities;
                let expected = (p * (p.log() - ln_q)).sum(Kind::Float) / samples as f64;
                expected.backward();
                assert!((expected.double_value(&[]) - loss).abs() < 1e-4, "{loss} {expected:?}");
                let difference = (flat.grad() - &model.adam.gradients).abs().max().double_value(&[]);
                assert!(difference < 1e-4, "residual {with_alpha}, {soft_cap:?}: {difference}");
            }
        }
    }
}
