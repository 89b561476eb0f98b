//! Attention of one query over the keys and values of the tokens that it sees.

use pulp::{Arch, Simd, WithSimd};

use crate::exp::exp;
use crate::soft_cap::bend;

/// Vectors of an output's sums that are in registers at a time.
const VECTORS: usize = 4;

/// What one head of one token attends to.
#[derive(Debug, Clone, Copy)]
pub struct Attend<'a> {
    /// The query q, (d).
    pub query: &'a [f32],
    /// The keys: a token's (d) begins `stride` values after that of the token before it.
    pub keys: &'a [f32],
    /// The values, likewise.
    pub values: &'a [f32],
    /// How far apart tokens are in `keys` and `values`.
    pub stride: usize,
    /// What multiplies the products of query and keys, usually 1/√d.
    pub scale: f32,
    /// c of a soft-cap: the scaled products s become c·tanh(s/c).
    pub soft_cap: Option<f32>,
}

impl Attend<'_> {
    /// softmax(scale·q·kᵀ)·v, (d), into `output`. `scores` is room for a value per token.
    ///
    /// The order of every sum depends on d and the number of tokens alone.
    ///
    /// # Panics
    /// If there are no tokens, or `output` is not as long as the query.
    pub fn into(self, scores: &mut Vec<f32>, output: &mut [f32]) {
        assert_eq!(output.len(), self.query.len(), "an output of {} values", self.query.len());
        assert!(!self.keys.is_empty() && self.keys.len() == self.values.len(), "as many values as keys");
        Arch::new().dispatch(One { attend: self, scores, output });
    }
}

struct One<'a, 'b> {
    attend: Attend<'a>,
    scores: &'b mut Vec<f32>,
    output: &'b mut [f32],
}

impl WithSimd for One<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Attend { query, keys, values, stride, scale, soft_cap } = self.attend;
        let width = query.len();
        self.scores.clear();
        // A closure would be compiled without the processor's vectors.
        for key in keys.chunks(stride) {
            self.scores.push(scale * dot(simd, query, &key[..width]));
        }
        if let Some(cap) = soft_cap {
            bend(simd, self.scores, cap);
        }
        let total = softmax(simd, self.scores);
        let share = simd.splat_f32s(1.0 / total);
        for (part, output) in self.output.chunks_mut(VECTORS * S::F32_LANES).enumerate() {
            let start = part * VECTORS * S::F32_LANES;
            let mut sums = [simd.splat_f32s(0.0); VECTORS];
            for (value, score) in values.chunks(stride).zip(self.scores.iter()) {
                let score = simd.splat_f32s(*score);
                let (vectors, rest) = S::as_simd_f32s(&value[start..start + output.len()]);
                for (sum, value) in sums.iter_mut().zip(vectors) {
                    *sum = simd.mul_add_e_f32s(score, *value, *sum);
                }
                if !rest.is_empty() {
                    let sum = &mut sums[vectors.len()];
                    *sum = simd.mul_add_e_f32s(score, simd.partial_load_f32s(rest), *sum);
                }
            }
            for (sum, output) in sums.into_iter().zip(output.chunks_mut(S::F32_LANES)) {
                simd.partial_store_f32s(output, simd.mul_f32s(sum, share));
            }
        }
    }
}

/// Σ x·y.
#[inline(always)]
fn dot<S: Simd>(simd: S, x: &[f32], y: &[f32]) -> f32 {
    let ((x, x_rest), (y, y_rest)) = (S::as_simd_f32s(x), S::as_simd_f32s(y));
    let mut sum = simd.splat_f32s(0.0);
    for (x, y) in x.iter().zip(y) {
        sum = simd.mul_add_e_f32s(*x, *y, sum);
    }
    if !x_rest.is_empty() {
        sum = simd.mul_add_e_f32s(simd.partial_load_f32s(x_rest), simd.partial_load_f32s(y_rest), sum);
    }
    simd.reduce_sum_f32s(sum)
}

/// Replaces each score by its power relative to the largest; returns their sum.
#[inline(always)]
fn softmax<S: Simd>(simd: S, scores: &mut [f32]) -> f32 {
    let largest = simd.splat_f32s(scores.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let mut sum = simd.splat_f32s(0.0);
    let (vectors, rest) = S::as_mut_simd_f32s(scores);
    for vector in vectors {
        *vector = exp(simd, simd.sub_f32s(*vector, largest));
        sum = simd.add_f32s(sum, *vector);
    }
    if !rest.is_empty() {
        let powers = exp(simd, simd.sub_f32s(simd.partial_load_f32s(rest), largest));
        simd.partial_store_f32s(rest, powers);
        // What is read behind the end is 0.
        sum = simd.add_f32s(sum, simd.partial_load_f32s(rest));
    }
    simd.reduce_sum_f32s(sum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        /// Against the definition in f64. Scores of size 10 that err by 1e-6 make powers that err by 1e-6 of
        /// themselves; with some rounding 1e-5.
        #[test]
        fn attention_is_that_in_f64(
            width in 1..140usize,
            tokens in 1..70usize,
            beside in 0..5usize,
            soft_cap in prop_oneof![Just(None), Just(Some(1.5f32))],
        ) {
            let value = |i: usize, seed: usize| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.5 - 1.0;
            let stride = width + beside;
            let length = tokens * stride - beside;
            let query: Vec<f32> = (0..width).map(|i| value(i, 1)).collect();
            let keys: Vec<f32> = (0..length).map(|i| value(i, 2)).collect();
            let values: Vec<f32> = (0..length).map(|i| value(i, 3)).collect();
            let scale = 3.0 / (width as f32).sqrt();
            let mut output = vec![0.0; width];
            let attend = Attend { query: &query, keys: &keys, values: &values, stride, scale, soft_cap };
            attend.into(&mut Vec::new(), &mut output);

            let product = |key: &[f32]| -> f64 { query.iter().zip(key).map(|(&q, &k)| f64::from(q) * f64::from(k)).sum() };
            let capped = |score: f64| soft_cap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh());
            let powers: Vec<f64> =
                keys.chunks(stride).map(|key| capped(f64::from(scale) * product(key)).exp()).collect();
            let total: f64 = powers.iter().sum();
            for (place, ours) in output.iter().enumerate() {
                let rows = values.chunks(stride).zip(&powers);
                let exact: f64 = rows.map(|(row, power)| f64::from(row[place]) * power / total).sum();
                prop_assert!((f64::from(*ours) - exact).abs() < 1e-5, "{ours} {exact}");
            }
        }
    }
}
