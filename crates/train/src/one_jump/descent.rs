//! Adam on the divergence from the true distribution, through the fused head.
//!
//! With u = x·A + c (n, r), v = u/s and s = √(mean((u·B)²)), the logits are v·P + bias·Eᵀ, where
//! P = B·diag(g)·Eᵀ over the tokens of the step. The loss of a sample is Σ p(t)·(ln p(t) − ln q(t)) over
//! its most likely tokens. The gradients are written out: with d = ∂L/∂logits (n, tokens),
//!
//! - ∂L/∂v = d·Pᵀ and ∂L/∂P = vᵀ·d;
//! - ∂L/∂u = (∂L/∂v − (∂L/∂v·v)·v·B·Bᵀ/H)/s, as s follows u;
//! - ∂L/∂B = ∂L/∂P·E·diag(g) − vᵀ·diag(∂L/∂v·v)·v·B/H, as s follows B.
//!
//! Behind a soft-cap c the logits are c·tanh(z/c), with z what they are here, and d is multiplied by 1 − tanh²(z/c).
//!
//! A step looks at [`VOCABULARY`] tokens: half of them are the most probable ones, the other half is drawn from
//! the rest, and each drawn token stands for an equal share of the rest.

use onejump_core::observe::{Observer, Task};
use onejump_core::seed::{self, Purpose};
use onejump_models::head::Head;
use onejump_tensor::transfer::to_device;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

use crate::TrainError;
use crate::config::DescentOptions;
use crate::linear::single;
use crate::one_jump::quadratic::Coordinates;
use crate::one_jump::truth::{TOP, TrueDistributions};
use crate::optimiser::{Adam, decay, finite, reorder};
use crate::passes::{Passes, Window};

/// So many tokens does a step look at where the vocabulary is larger.
pub const VOCABULARY: usize = 8192;

/// Decay of Adam's second moment: a training has a few hundred steps, not thousands.
const BETA_2: f64 = 0.99;

/// Added to the mean square of an approximation before its root: it may be 0.
const TINY: f64 = 1e-12;

/// What a step looks at, as the beginning of a line for the file's metadata.
pub(crate) fn describe(vocab_size: usize) -> String {
    format!(
        "divergence over the {} most likely tokens, {} tokens a step, β₂ {BETA_2}, relative rate",
        (TOP as usize).min(vocab_size),
        VOCABULARY.min(vocab_size),
    )
}

/// What a descent found: u = x·A + constant, ĥ = u·B.
pub(crate) struct DescendedJump {
    /// (H, r) f64.
    pub a: Tensor,
    /// (r, H) f64.
    pub b: Tensor,
    /// (r) f64.
    pub constant: Tensor,
    /// Mean divergence per epoch, in nats.
    pub curve: Vec<f64>,
}

/// Descends from `start` (A and B). The states of `passes` are of length about 1; `truth` is of all samples.
pub(crate) fn descend(
    passes: &mut Passes,
    truth: &TrueDistributions,
    head: &Head,
    coordinates: &Coordinates,
    start: &(Tensor, Tensor),
    options: &DescentOptions,
    observer: &dyn Observer,
) -> Result<DescendedJump, TrainError> {
    let mut jump = JumpParameters::new(coordinates, start, options.device)?;
    let mut vocabulary = Vocabulary::new(head, &truth.mean, options.seed)?;
    let mut order = Vec::new();
    let mut random = seed::stream(options.seed, Purpose::Order, 0);
    let rate = options.learning_rate * jump.initial_size;
    let batches = passes.batches();
    let steps = batches as usize * options.epochs;
    let batch_size = passes.batch_size();
    let meter = observer.begin(Task { name: "train", unit: "steps", total: steps as u64 });
    let (mut step, mut curve) = (0, Vec::with_capacity(options.epochs));
    for epoch in 1..=options.epochs {
        // Added up on the device, which nobody waits for within an epoch.
        let mut total = Tensor::f_zeros([], (Kind::Double, options.device))?;
        passes.again(|window| {
            reorder(&mut order, window.states.size2()?.0, &mut random);
            for rows in order.chunks_exact(batch_size as usize) {
                observer.check()?;
                let batch = Batch::of(rows, window, truth)?;
                total += jump.gradients(&batch, &vocabulary.draw()?, head)?;
                jump.adam.update(rate * decay(step as f64 / steps as f64))?;
                step += 1;
                meter.advance(1);
            }
            Ok(())
        })?;
        let loss = total.f_double_value(&[])? / batches as f64;
        finite(loss, epoch, options)?;
        curve.push(loss);
    }
    drop(meter);
    jump.found(curve)
}

/// Pairs of a sample and an exit level.
struct Batch {
    /// (n, H).
    x: Tensor,
    /// (n, T).
    tokens: Tensor,
    /// (n, T).
    probabilities: Tensor,
}

impl Batch {
    /// Some rows of a window; row i is of the sample i mod the window's samples.
    fn of(rows: &[i64], window: &Window, truth: &TrueDistributions) -> Result<Self, TrainError> {
        let rows = to_device(&Tensor::f_from_slice(rows)?, window.states.device())?;
        let samples = rows.f_remainder(window.samples)?.f_add_scalar(window.first)?;
        Ok(Self {
            x: window.states.f_index_select(0, &rows)?,
            tokens: truth.tokens.f_index_select(0, &samples)?,
            probabilities: truth.probabilities.f_index_select(0, &samples)?,
        })
    }
}

/// The tokens of a step.
struct Tokens {
    /// E of these tokens, (tokens, H).
    rows: Tensor,
    /// bias·Eᵀ, where the norm has a bias, (tokens).
    shift: Option<Tensor>,
    /// ln of how many tokens each stands for, (tokens).
    ln_weight: Tensor,
    /// How many tokens each stands for, (tokens).
    weight: Tensor,
    /// Of every token of the vocabulary its place here, or -1, (V).
    place: Tensor,
}

impl Tokens {
    /// The logits of v·P, each plus ln of how many tokens it stands for; and ∂logit/∂(v·P) behind a soft-cap.
    fn logits(
        &self,
        v: &Tensor,
        p: &Tensor,
        soft_cap: Option<f64>,
    ) -> Result<(Tensor, Option<Tensor>), TrainError> {
        let Some(cap) = soft_cap else {
            let constant = match &self.shift {
                Some(shift) => self.ln_weight.f_add(shift)?,
                None => self.ln_weight.shallow_clone(),
            };
            return Ok((constant.f_addmm(v, p)?, None));
        };
        let products = match &self.shift {
            Some(shift) => shift.f_addmm(v, p)?,
            None => v.f_mm(p)?,
        };
        let bent = products.f_div_scalar(cap)?.f_tanh()?;
        let slope = bent.f_square()?.f_neg()?.f_add_scalar(1.0)?;
        Ok((bent.f_mul_scalar(cap)?.f_add(&self.ln_weight)?, Some(slope)))
    }
}

/// Draws the tokens of a step.
struct Vocabulary<'a> {
    head: &'a Head,
    /// The most probable tokens, in every step.
    always: Vec<i64>,
    /// The others.
    rest: Vec<i64>,
    random: ChaCha8Rng,
}

impl<'a> Vocabulary<'a> {
    fn new(head: &'a Head, mean: &Tensor, seed: u64) -> Result<Self, TrainError> {
        let vocab = head.vocab_size();
        let mut always = Vec::<i64>::try_from(mean.f_argsort_stable(true, 0, true)?)?;
        let rest = if vocab > VOCABULARY { always.split_off(VOCABULARY / 2) } else { Vec::new() };
        Ok(Self { head, always, rest, random: seed::stream(seed, Purpose::Tokens, 0) })
    }

    fn draw(&mut self) -> Result<Tokens, TrainError> {
        let drawn = (VOCABULARY / 2).min(self.rest.len());
        for index in 0..drawn {
            let other = index + seed::below(&mut self.random, (self.rest.len() - index) as u64) as usize;
            self.rest.swap(index, other);
        }
        let stands_for = self.rest.len() as f32 / drawn.max(1) as f32;
        let ids: Vec<i64> = self.always.iter().chain(&self.rest[..drawn]).copied().collect();
        let mut weight = vec![1f32; self.always.len()];
        weight.resize(ids.len(), stands_for);
        let there = |tensor: Tensor| to_device(&tensor, self.head.unembedding.device());
        let (ids, weight) = (there(Tensor::f_from_slice(&ids)?)?, there(Tensor::f_from_slice(&weight)?)?);
        let rows = self.head.unembedding.f_index_select(0, &ids)?;
        let ln_weight = weight.f_log()?;
        let shift = self.head.norm.bias().map(|bias| rows.f_mv(bias)).transpose()?;
        let place = Tensor::f_full([self.head.vocab_size() as i64], -1, (Kind::Int64, rows.device()))?;
        let places = Tensor::f_arange(ids.size1()?, (Kind::Int64, rows.device()))?;
        Ok(Tokens { rows, shift, ln_weight, weight, place: place.f_scatter(0, &ids, &places)? })
    }
}

/// A', B' and the constant in one flat vector, in the coordinates of the descent.
struct JumpParameters {
    adam: Adam,
    parameters: Views,
    slopes: Views,
    /// W_in and W_out, (H, H) f32; both are symmetric.
    input: Tensor,
    output: Tensor,
    /// Root mean square of the initial A'.
    initial_size: f64,
}

struct Views {
    /// (H, r).
    a: Tensor,
    /// (r, H).
    b: Tensor,
    /// (1, r).
    constant: Tensor,
}

impl Views {
    fn of(flat: &Tensor, hidden: i64, rank: i64) -> Result<Self, TrainError> {
        let matrix = hidden * rank;
        Ok(Self {
            a: flat.f_narrow(0, 0, matrix)?.f_view([hidden, rank])?,
            b: flat.f_narrow(0, matrix, matrix)?.f_view([rank, hidden])?,
            constant: flat.f_narrow(0, 2 * matrix, rank)?.f_view([1, rank])?,
        })
    }
}

impl JumpParameters {
    /// The start in these coordinates, with columns of A' and rows of B' of length about 1: the length of
    /// an approximation does not matter.
    fn new(coordinates: &Coordinates, start: &(Tensor, Tensor), device: Device) -> Result<Self, TrainError> {
        let (hidden, rank) = start.0.size2()?;
        let normalised = |x: Tensor| -> Result<Tensor, TrainError> {
            let columns = x.f_norm()?.double_value(&[]) / (rank as f64).sqrt();
            Ok(single(&x.f_div_scalar(columns.max(f64::MIN_POSITIVE))?)?.f_reshape([-1])?)
        };
        let a = normalised(coordinates.input.1.f_mm(&start.0)?)?;
        let b = normalised(start.1.f_mm(&coordinates.output.1)?)?;
        let constant = a.f_zeros_like()?.f_narrow(0, 0, rank)?;
        let adam = Adam::new(Tensor::f_cat(&[a, b, constant], 0)?.f_to_device(device)?, BETA_2)?;
        Ok(Self {
            parameters: Views::of(&adam.parameters, hidden, rank)?,
            slopes: Views::of(&adam.gradients, hidden, rank)?,
            adam,
            input: single(&coordinates.input.0)?.f_to_device(device)?,
            output: single(&coordinates.output.0)?.f_to_device(device)?,
            initial_size: 1.0 / (hidden as f64).sqrt(),
        })
    }

    /// Writes the gradients of a batch's mean divergence, and returns it, a f64 on the device.
    fn gradients(&mut self, batch: &Batch, tokens: &Tokens, head: &Head) -> Result<Tensor, TrainError> {
        let (samples, hidden) = batch.x.size2()?;
        let b = head.norm.centred(&self.parameters.b.f_mm(&self.output)?)?; // (r, H)
        let u = self.parameters.constant.f_addmm(&batch.x, &self.input.f_mm(&self.parameters.a)?)?;
        let square = u.f_mm(&b)?.f_square_()?.f_mean_dim([1i64].as_slice(), true, None)?;
        let inverse_scale = square.f_add_scalar(TINY)?.f_rsqrt()?; // 1/s, (n, 1)
        let v = u.f_mul(&inverse_scale)?; // (n, r)
        let p = b.f_mul(head.norm.weight())?.f_mm(&tokens.rows.f_transpose(0, 1)?)?; // (r, tokens)
        let (logits, slope) = tokens.logits(&v, &p, head.soft_cap)?; // (n, tokens)
        let (loss, mut d) = divergence(&logits, batch, tokens)?;
        let _ = d.f_div_scalar_(samples as f64)?;
        if let Some(slope) = slope {
            let _ = d.f_mul_(&slope)?;
        }

        let dv = d.f_mm(&p.f_transpose(0, 1)?)?; // (n, r)
        let dp = v.f_transpose(0, 1)?.f_mm(&d)?; // (r, tokens)
        let along = dv.f_mul(&v)?.f_sum_dim_intlist([1i64].as_slice(), true, None)?; // (n, 1)
        let along = along.f_div_scalar(hidden as f64)?;
        let scaled = v.f_mm(&b)?; // (n, H)
        let du = dv.f_sub(&scaled.f_mm(&b.f_transpose(0, 1)?)?.f_mul_(&along)?)?.f_mul_(&inverse_scale)?;
        let through_scale = v.f_mul(&along)?.f_transpose(0, 1)?.f_mm(&scaled)?; // (r, H)
        let db = dp.f_mm(&tokens.rows)?.f_mul_(head.norm.weight())?.f_sub_(&through_scale)?;

        let slopes = &mut self.slopes;
        slopes.a.f_copy_(&self.input.f_mm(&batch.x.f_transpose(0, 1)?.f_mm(&du)?)?)?;
        slopes.b.f_copy_(&head.norm.centred(&db)?.f_mm(&self.output)?)?;
        slopes.constant.f_copy_(&du.f_sum_dim_intlist([0i64].as_slice(), true, None)?)?;
        Ok(loss)
    }

    fn found(&self, curve: Vec<f64>) -> Result<DescendedJump, TrainError> {
        let double = |tensor: &Tensor| tensor.f_to_kind(Kind::Double);
        Ok(DescendedJump {
            a: double(&self.input)?.f_mm(&double(&self.parameters.a)?)?,
            b: double(&self.parameters.b)?.f_mm(&double(&self.output)?)?,
            constant: double(&self.parameters.constant)?.f_squeeze_dim(0)?,
            curve,
        })
    }
}

/// The mean divergence of a batch, and ∂(sum of the divergences)/∂logits, (n, tokens).
fn divergence(logits: &Tensor, batch: &Batch, tokens: &Tokens) -> Result<(Tensor, Tensor), TrainError> {
    let (samples, top) = batch.tokens.size2()?;
    let places = tokens.place.f_index_select(0, &batch.tokens.f_view([-1])?)?.f_view([samples, top])?;
    let absent = places.f_lt(0)?;
    let places = places.f_clamp_min(0)?;
    let stands_for = tokens.weight.f_index_select(0, &places.f_view([-1])?)?.f_view([samples, top])?;
    // A token that was drawn stands for those that were not, on both sides of the divergence.
    let p = batch.probabilities.f_mul(&stands_for)?.f_masked_fill(&absent, 0.0)?; // (n, T)
    let q = logits.f_log_softmax(-1, None)?; // (n, tokens)
    let ln_q = q.f_gather(1, &places, false)?.f_sub(&stands_for.f_log()?)?;
    let ln_p = batch.probabilities.f_clamp_min(f64::from(f32::MIN_POSITIVE))?.f_log()?;
    let loss = ln_p.f_sub(&ln_q)?.f_mul_(&p)?.f_sum(Kind::Double)?.f_div_scalar(samples as f64)?;
    let mass = p.f_sum_dim_intlist([1i64].as_slice(), true, None)?;
    let d = q.f_exp()?.f_mul_(&mass)?.f_scatter_add(1, &places, &p.f_neg()?)?;
    Ok((loss, d))
}

#[cfg(test)]
mod tests {
    use super::*;
    use onejump_core::observe::Silent;
    use onejump_models::norm::Norm;

    /// The gradients and the loss against libtorch's own differentiation of the divergence through the full
    /// head, for both norms, with and without a soft-cap. f32 sums of a few dozen values of order 1: 1e-4.
    #[test]
    fn gradients_are_those_of_the_divergence() {
        tch::manual_seed(5);
        let random = |size: &[i64]| Tensor::randn(size, (Kind::Float, Device::Cpu));
        let (samples, hidden, rank, vocab) = (7, 10, 3, 40);
        let eps = 1e-9;
        let norms = || {
            [
                Norm::Rms { weight: random(&[hidden]), eps },
                Norm::Layer { weight: random(&[hidden]), bias: random(&[hidden]), eps },
            ]
        };
        let cases = [None, Some(1.5)].map(|cap| norms().map(|norm| (norm, cap)));
        for (norm, soft_cap) in cases.into_iter().flatten() {
            let head = Head { norm, unembedding: random(&[vocab, hidden]), soft_cap };
            let truth = TrueDistributions::of(&random(&[samples, hidden]), &head, &Silent).unwrap();
            let white = |scale: f64| {
                let matrix = random(&[hidden, hidden]) * scale;
                let symmetric = &matrix + matrix.transpose(0, 1);
                (symmetric.to_kind(Kind::Double), Tensor::eye(hidden, (Kind::Double, Device::Cpu)))
            };
            let coordinates = Coordinates { input: white(0.5), output: white(0.5) };
            let start = [&[hidden, rank], &[rank, hidden]].map(|size| random(size).to_kind(Kind::Double));
            let [a, b] = start;
            let mut model = JumpParameters::new(&coordinates, &(a, b), Device::Cpu).unwrap();
            model.adam.parameters.narrow(0, 2 * hidden * rank, rank).copy_(&random(&[rank]));
            let batch = Batch {
                x: random(&[samples, hidden]),
                tokens: truth.tokens.shallow_clone(),
                probabilities: truth.probabilities.shallow_clone(),
            };
            let tokens = Vocabulary::new(&head, &truth.mean, 0).unwrap().draw().unwrap();
            let loss = model.gradients(&batch, &tokens, &head).unwrap().double_value(&[]);

            let flat = model.adam.parameters.copy().set_requires_grad(true);
            let views = Views::of(&flat, hidden, rank).unwrap();
            let u = batch.x.mm(&model.input.mm(&views.a)) + &views.constant;
            let approximation = u.mm(&views.b.mm(&model.output));
            let mut q = head.norm.forward(&approximation).unwrap().mm(&head.unembedding.transpose(0, 1));
            if let Some(cap) = soft_cap {
                q = (q / cap).tanh() * cap;
            }
            let ln_q = q.log_softmax(-1, Kind::Float).gather(1, &batch.tokens, false);
            let p = &batch.probabilities;
            let expected = (p * (p.log() - ln_q)).sum(Kind::Float) / samples as f64;
            expected.backward();
            assert!((expected.double_value(&[]) - loss).abs() < 1e-4, "{loss} {expected:?}");
            let difference = (flat.grad() - &model.adam.gradients).abs().max().double_value(&[]);
            assert!(difference < 1e-4, "{difference}");
        }
    }

    /// Over many draws the drawn tokens stand for all: Σ weight is V, and every token gets its turn.
    #[test]
    fn drawn_tokens_stand_for_the_vocabulary() {
        let vocab = 3 * VOCABULARY as i64;
        let mean = Tensor::arange(vocab, (Kind::Double, Device::Cpu));
        let norm = Norm::Rms { weight: Tensor::ones([2], (Kind::Float, Device::Cpu)), eps: 1e-5 };
        let unembedding = Tensor::zeros([vocab, 2], (Kind::Float, Device::Cpu));
        let head = Head { norm, unembedding, soft_cap: None };
        let mut vocabulary = Vocabulary::new(&head, &mean, 3).unwrap();
        let mut drawn = Tensor::zeros([vocab], (Kind::Int64, Device::Cpu));
        for _ in 0..100 {
            let tokens = vocabulary.draw().unwrap();
            let weight = tokens.weight.sum(Kind::Double).double_value(&[]);
            assert!((weight - vocab as f64).abs() < 1.0, "{weight}");
            let present = tokens.place.ge(0);
            assert_eq!(present.sum(Kind::Int64).int64_value(&[]), VOCABULARY as i64);
            // The most probable ones have the largest index here.
            assert_eq!(present.narrow(0, vocab - 4096, 4096).all().int64_value(&[]), 1);
            drawn += present;
        }
        // One in five each time: no token is absent from 100 draws but once in 5e9.
        assert!(drawn.min().int64_value(&[]) > 0);
    }
}
