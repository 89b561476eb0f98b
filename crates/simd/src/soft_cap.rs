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
    /// Beyond it tanh is 1 in f32, and eˣ is not needed.
    const LARGEST: f32 = 40.0;
    let (largest, twice) = (simd.splat_f32s(LARGEST), simd.splat_f32s(2.0 / cap));
    let (cap, one, double) = (simd.splat_f32s(cap), simd.splat_f32s(1.0), simd.splat_f32s(2.0));
    // tanh(y) = 1 − 2/(e²ʸ + 1). On x86, `min` returns its second argument where one is NaN.
    let capped = |x| {
        let y = simd.min_f32s(largest, simd.mul_f32s(x, twice));
        let rest = simd.div_f32s(double, simd.add_f32s(exp(simd, y), one));
        simd.mul_f32s(cap, simd.sub_f32s(one, rest))
    };
    let (vectors, rest) = S::as_mut_simd_f32s(values);
    for vector in vectors {
        *vector = capped(*vector);
    }
    if !rest.is_empty() {
        let last = capped(simd.partial_load_f32s(rest));
        simd.partial_store_f32s(rest, last);
    }
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
