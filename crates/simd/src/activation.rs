//! The functions between the two products of a feed-forward part.

use pulp::{Arch, Simd, WithSimd};

use crate::exp::exp;

/// A function of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x / (1 + e⁻ˣ).
    Silu,
    /// x·Φ(x), with Φ the normal distribution function.
    Gelu,
    /// GPT-2's approximation of it: x·(1 + tanh(√(2/π)·(x + 0.044715·x³))) / 2.
    GeluTanh,
}

impl Activation {
    /// Replaces each value by the function of it. What a value becomes does not depend on the others.
    pub fn apply(self, values: &mut [f32]) {
        Arch::new().dispatch(Each { activation: self, values });
    }
}

struct Each<'a> {
    activation: Activation,
    values: &'a mut [f32],
}

impl WithSimd for Each<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (vectors, rest) = S::as_mut_simd_f32s(self.values);
        for vector in vectors {
            *vector = of(simd, self.activation, *vector);
        }
        if !rest.is_empty() {
            let last = of(simd, self.activation, simd.partial_load_f32s(rest));
            simd.partial_store_f32s(rest, last);
        }
    }
}

/// A function rather than a closure, which would be compiled without the processor's vectors.
#[inline(always)]
fn of<S: Simd>(simd: S, activation: Activation, x: S::f32s) -> S::f32s {
    match activation {
        Activation::Silu => sigmoid_times(simd, x, x),
        Activation::Gelu => gelu(simd, x),
        Activation::GeluTanh => gelu_tanh(simd, x),
    }
}

/// x / (1 + e⁻ᶻ).
#[inline(always)]
fn sigmoid_times<S: Simd>(simd: S, x: S::f32s, z: S::f32s) -> S::f32s {
    // The power is at most e⁸⁸, which is still finite; the quotient is then so close to 0 that the limit changes nothing.
    let power = exp(simd, simd.min_f32s(simd.splat_f32s(88.0), simd.neg_f32s(z)));
    simd.div_f32s(x, simd.add_f32s(simd.splat_f32s(1.0), power))
}

/// (1 + tanh(z)) / 2 = 1 / (1 + e⁻²ᶻ).
#[inline(always)]
fn gelu_tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    /// 2·√(2/π), to the precision of f32.
    const FACTOR: f32 = 1.595_769;
    const CUBE: f32 = 0.044_715;
    let all = |value| simd.splat_f32s(value);
    let series = simd.mul_add_e_f32s(simd.mul_f32s(x, x), all(CUBE), all(1.0));
    sigmoid_times(simd, x, simd.mul_f32s(simd.mul_f32s(x, all(FACTOR)), series))
}

/// x·Φ(x) with Φ(x) = 1 − Q(|x|) above 0 and Q(|x|) below, where Q(z) = t·(a polynomial in t)·e^(−z²/2), t = 1/(1 + p·z)
/// (Abramowitz and Stegun 7.1.26). Q errs by 7.5e-8 at most.
#[inline(always)]
fn gelu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    /// 0.3275911 / √2.
    const P: f32 = 0.231_641_9;
    /// Half of the formula's coefficients, from that of t⁵ down.
    const SERIES: [f32; 5] = [0.530_702_7, -0.726_576, 0.710_706_85, -0.142_248_37, 0.127_414_8];
    let all = |value| simd.splat_f32s(value);
    let size = simd.abs_f32s(x);
    let t = simd.div_f32s(all(1.0), simd.mul_add_e_f32s(size, all(P), all(1.0)));
    let [first, rest @ ..] = SERIES;
    let mut series = all(first);
    for coefficient in rest {
        series = simd.mul_add_e_f32s(series, t, all(coefficient));
    }
    let power = exp(simd, simd.mul_f32s(simd.mul_f32s(size, size), all(-0.5)));
    let tail = simd.mul_f32s(simd.mul_f32s(series, t), power);
    let positive = simd.greater_than_f32s(x, all(0.0));
    simd.mul_f32s(x, simd.select_f32s(positive, simd.sub_f32s(all(1.0), tail), tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Φ by Simpson's rule in f64, whose error is far below 1e-9 at this step.
    fn normal(x: f64) -> f64 {
        let (steps, density) = (2000, |z: f64| (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt());
        let step = x / f64::from(steps);
        let sum: f64 = (0..=steps)
            .map(|i| {
                let weight = if i == 0 || i == steps { 1.0 } else { f64::from(2 + 2 * (i % 2)) };
                weight * density(f64::from(i) * step)
            })
            .sum();
        0.5 + sum * step / 3.0
    }

    /// Errors of 1e-7 of the probability times |x| ≤ 9, and as much from rounding: 2e-6.
    #[test]
    fn activations_are_those_of_the_definitions() {
        let x: Vec<f32> = (-900..=900).map(|i| i as f32 * 0.01).collect();
        let tanh = |x: f64| {
            x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh()) / 2.0
        };
        let functions: [(Activation, &dyn Fn(f64) -> f64); 3] = [
            (Activation::Silu, &|x| x / (1.0 + (-x).exp())),
            (Activation::Gelu, &|x| x * normal(x)),
            (Activation::GeluTanh, &tanh),
        ];
        for (activation, function) in functions {
            let mut all = x.clone();
            activation.apply(&mut all);
            for (&x, &ours) in x.iter().zip(&all) {
                let exact = function(f64::from(x));
                assert!((f64::from(ours) - exact).abs() < 2e-6, "{activation:?}({x}): {ours} {exact}");
            }
            // One by one they are the same, bit for bit; far away they are 0 or x.
            for (&x, &together) in x.iter().zip(&all) {
                let mut alone = [x];
                activation.apply(&mut alone);
                assert_eq!(alone[0].to_bits(), together.to_bits());
            }
            let mut far = [-1e4, 1e4, f32::NAN];
            activation.apply(&mut far);
            assert!(far[0].abs() < 1e-30 && far[1] == 1e4 && far[2].is_nan(), "{activation:?}: {far:?}");
        }
    }
}
