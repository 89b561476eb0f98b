//! The soft-cap of logits (Gemma 2): values stay between −c and c, in the same order.

use pulp::{Arch, Simd, WithSimd};

use crate::exp::exp;

/// Replaces each x by c·tanh(x/c). The error is up to some 2e-7·c, whatever x.
pub fn soft_cap(values: &mut [f32], cap: f32) {
    Arch::new().dispatch(SoftCap { values, cap });
}

struct SoftCap<'a> {
    values: &'a mut [f32],
    cap: f32,
}

impl WithSimd for SoftCap<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        bend(simd, self.values, self.cap);
    }
}

/// The same in the vectors of a processor. What a value becomes does not depend on the others.
#[inline(always)]
pub fn bend<S: Simd>(simd: S, values: &mut [f32], cap: f32) {
    let (vectors, rest) = S::as_mut_simd_f32s(values);
    for vector in vectors {
        *vector = capped(simd, *vector, cap);
    }
    if !rest.is_empty() {
        let last = capped(simd, simd.partial_load_f32s(rest), cap);
        simd.partial_store_f32s(rest, last);
    }
}

/// c·tanh(x/c), with tanh(y) = 1 − 2/(e²ʸ + 1). A function rather than a closure, which would be compiled without the
/// processor's vectors.
#[inline(always)]
fn capped<S: Simd>(simd: S, x: S::f32s, cap: f32) -> S::f32s {
    /// Beyond it tanh is 1 in f32, and eˣ is not needed.
    const LARGEST: f32 = 40.0;
    let all = |value| simd.splat_f32s(value);
    // On x86, `min` returns its second argument where one is NaN.
    let y = simd.min_f32s(all(LARGEST), simd.mul_f32s(x, all(2.0 / cap)));
    let rest = simd.div_f32s(all(2.0), simd.add_f32s(exp(simd, y), all(1.0)));
    simd.mul_f32s(all(cap), simd.sub_f32s(all(1.0), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capped_values_are_those_in_f64() {
        for cap in [0.5f32, 1.5, 30.0] {
            for length in [1, 7, 16, 33, 1000] {
                let plain: Vec<f32> = (0..length).map(|i| ((i * 389) % 997) as f32 * 0.2 - 100.0).collect();
                let mut capped = plain.clone();
                soft_cap(&mut capped, cap);
                for (&x, &y) in plain.iter().zip(&capped) {
                    let exact = f64::from(cap) * (f64::from(x) / f64::from(cap)).tanh();
                    assert!((f64::from(y) - exact).abs() < 3e-7 * f64::from(cap), "{x} {y} {exact}");
                }
            }
        }
        let mut odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        soft_cap(&mut odd, 2.0);
        assert!(odd[0].is_nan() && odd[1] == 2.0 && odd[2] == -2.0, "{odd:?}");
    }
}
