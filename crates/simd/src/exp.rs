//! The exponential function of a vector.

use pulp::Simd;

/// eˣ for x ≤ 88, with a relative error below 3e-7; e⁻⁸⁵ for every x below −85.
///
/// With x = n·ln 2 + r and |r| ≤ ln 2 / 2, eˣ = 2ⁿ·eʳ: eʳ is 1 + r + r²·(a polynomial), and n is added to its exponent.
#[inline(always)]
pub fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    /// Smaller x are raised to this: not far below it, eˣ is too small for a normal number.
    const SMALLEST: f32 = -85.0;
    /// 1.5·2²³: adding it rounds to a whole number, which is then in the lowest bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts: the first has few enough bits for n·LN_2_HIGH to be exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    /// The coefficients, from that of r⁵ down. The first four are chosen so that the largest relative error for
    /// |r| ≤ ln 2 / 2 is as small as possible, 1.05e-7; a Taylor polynomial needs one coefficient more for it.
    const SERIES: [f32; 6] = [0.008_312_52, 0.041_890_163, 0.166_671_14, 0.499_992_3, 1.0, 1.0];
    let all = |value| simd.splat_f32s(value);
    // On x86, `max` returns its second argument where one is NaN: in this order a NaN stays NaN.
    let x = simd.max_f32s(all(SMALLEST), x);
    let rounded = simd.mul_add_e_f32s(x, all(std::f32::consts::LOG2_E), all(ROUND));
    let n = simd.sub_f32s(rounded, all(ROUND));
    let r = simd.mul_add_e_f32s(n, all(-LN_2_HIGH), x);
    let r = simd.mul_add_e_f32s(n, all(-LN_2_LOW), r);
    let [first, rest @ ..] = SERIES;
    let mut series = all(first);
    for coefficient in rest {
        series = simd.mul_add_e_f32s(series, r, all(coefficient));
    }
    // eʳ is between 0.7 and 1.5 and n between −123 and 127, so the sum fits into the exponent's bits.
    let exponent = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(rounded), simd.splat_u32s(23));
    simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(series), exponent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::{Arch, WithSimd, bytemuck};

    /// The series errs by 1.05e-7 and rounding adds about as much, which is below 3e-7 together.
    #[test]
    fn exp_is_exact_to_3e_7() {
        struct Exp(f32);
        impl WithSimd for Exp {
            type Output = f32;

            fn with_simd<S: Simd>(self, simd: S) -> f32 {
                bytemuck::cast_slice::<S::f32s, f32>(&[exp(simd, simd.splat_f32s(self.0))])[0]
            }
        }
        for arch in [Arch::new(), Arch::Scalar] {
            let exp = |x| arch.dispatch(Exp(x));
            for step in 0..173_000 {
                let x = 88.0 - (step as f32) * 1e-3;
                let exact = f64::from(x).exp();
                assert!((f64::from(exp(x)) / exact - 1.0).abs() < 3e-7, "{x}: {} {exact}", exp(x));
            }
            assert!(exp(f32::NEG_INFINITY) < 1e-36);
        }
    }
}
