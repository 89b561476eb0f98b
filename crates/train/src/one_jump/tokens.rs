//! The tokens that a step of the descent looks at, and the divergence over them.
//!
//! A step looks at [`VOCABULARY`] tokens: half of them are the most probable ones, the other half is drawn from
//! the rest, and each drawn token stands for an equal share of the rest.

use onejump_core::seed::{self, Purpose};
use onejump_models::head::Head;
use onejump_tensor::transfer::to_device;
use rand_chacha::ChaCha8Rng;
use tch::{Kind, Tensor};

use crate::TrainError;

/// So many tokens does a step look at where the vocabulary is larger.
pub const VOCABULARY: usize = 8192;

/// The tokens of a step.
pub(crate) struct Tokens {
    /// E of these tokens, (tokens, H).
    pub rows: Tensor,
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
    /// The logits of products (n, tokens) of an approximation behind the norm's gain with these rows, each plus ln of how
    /// many tokens it stands for; and ∂logit/∂product behind a soft-cap.
    pub fn logits(
        &self,
        products: Tensor,
        soft_cap: Option<f64>,
    ) -> Result<(Tensor, Option<Tensor>), TrainError> {
        let mut products = products;
        let Some(cap) = soft_cap else {
            let constant = match &self.shift {
                Some(shift) => self.ln_weight.f_add(shift)?,
                None => self.ln_weight.shallow_clone(),
            };
            return Ok((products.f_add_(&constant)?, None));
        };
        if let Some(shift) = &self.shift {
            products = products.f_add_(shift)?;
        }
        let bent = products.f_div_scalar(cap)?.f_tanh()?;
        let slope = bent.f_square()?.f_neg()?.f_add_scalar(1.0)?;
        Ok((bent.f_mul_scalar(cap)?.f_add(&self.ln_weight)?, Some(slope)))
    }
}

/// Draws the tokens of a step.
pub(crate) struct Vocabulary<'a> {
    head: &'a Head,
    /// The most probable tokens, in every step.
    always: Vec<i64>,
    /// The others.
    rest: Vec<i64>,
    random: ChaCha8Rng,
}

impl<'a> Vocabulary<'a> {
    /// Drawn from a stream of random numbers of the seed; `mean` is the mean true distribution.
    pub fn new(head: &'a Head, mean: &Tensor, seed: u64, stream: u64) -> Result<Self, TrainError> {
        let vocab = head.vocab_size();
        let mut always = Vec::<i64>::try_from(mean.f_argsort_stable(true, 0, true)?)?;
        let rest = if vocab > VOCABULARY { always.split_off(VOCABULARY / 2) } else { Vec::new() };
        Ok(Self { head, always, rest, random: seed::stream(seed, Purpose::Tokens, stream) })
    }

    pub fn draw(&mut self) -> Result<Tokens, TrainError> {
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

/// The most likely tokens of the samples of a batch.
pub(crate) struct Truths {
    /// (n, T).
    pub tokens: Tensor,
    /// (n, T).
    pub probabilities: Tensor,
}

/// The mean divergence of a batch, and ∂(sum of the divergences)/∂logits, (n, tokens).
pub(crate) fn divergence(
    logits: &Tensor,
    truth: &Truths,
    tokens: &Tokens,
) -> Result<(Tensor, Tensor), TrainError> {
    let (samples, top) = truth.tokens.size2()?;
    let places = tokens.place.f_index_select(0, &truth.tokens.f_view([-1])?)?.f_view([samples, top])?;
    let absent = places.f_lt(0)?;
    let places = places.f_clamp_min(0)?;
    let stands_for = tokens.weight.f_index_select(0, &places.f_view([-1])?)?.f_view([samples, top])?;
    // A token that was drawn stands for those that were not, on both sides of the divergence.
    let p = truth.probabilities.f_mul(&stands_for)?.f_masked_fill(&absent, 0.0)?; // (n, T)
    let q = logits.f_log_softmax(-1, None)?; // (n, tokens)
    let ln_q = q.f_gather(1, &places, false)?.f_sub(&stands_for.f_log()?)?;
    let ln_p = truth.probabilities.f_clamp_min(f64::from(f32::MIN_POSITIVE))?.f_log()?;
    let loss = ln_p.f_sub(&ln_q)?.f_mul_(&p)?.f_sum(Kind::Double)?.f_div_scalar(samples as f64)?;
    let mass = p.f_sum_dim_intlist([1i64].as_slice(), true, None)?;
    let d = q.f_exp()?.f_mul_(&mass)?.f_scatter_add(1, &places, &p.f_neg()?)?;
    Ok((loss, d))
}

#[cfg(test)]
mod tests {
    use super::*;
    use onejump_models::norm::Norm;
    use tch::Device;

    /// Over many draws the drawn tokens stand for all: Σ weight is V, and every token gets its turn.
    #[test]
    fn drawn_tokens_stand_for_the_vocabulary() {
        let vocab = 3 * VOCABULARY as i64;
        let mean = Tensor::arange(vocab, (Kind::Double, Device::Cpu));
        let norm = Norm::Rms { weight: Tensor::ones([2], (Kind::Float, Device::Cpu)), eps: 1e-5 };
        let unembedding = Tensor::zeros([vocab, 2], (Kind::Float, Device::Cpu));
        let head = Head { norm, unembedding, soft_cap: None };
        let mut vocabulary = Vocabulary::new(&head, &mean, 3, 0).unwrap();
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
