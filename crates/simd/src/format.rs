//! The forms in which a matrix's values are stored, and how each is widened to f32.
//!
//! 64 values of a row make a chunk of four planes of 16. Narrow values of several planes share words of 32 bits: the
//! values of a plane are in the same bits of all words, so a shift widens a whole vector of them.

use half::{bf16, f16};
use pulp::{Scalar, Simd};

/// Values of a plane.
pub(crate) const PLANE: usize = 16;

/// Planes of a chunk.
pub(crate) const PLANES: usize = 4;

/// Values that are stored together. Rows of a matrix are stored in whole chunks.
pub(crate) const CHUNK: usize = PLANES * PLANE;

/// A form of storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// 32 bits.
    F32,
    /// 16 bits, as many of them exponent as f32 has.
    Bf16,
    /// 16 bits, of IEEE 754.
    F16,
    /// Blocks of 32 values: an f16 scale and 8-bit whole numbers, 8.5 bits a value (llama.cpp's Q8_0).
    Q8,
}

/// 64 values of a row in one of the formats.
pub(crate) trait Chunk: Copy + Send + Sync {
    /// A vector of a plane, widened. That is exact: no format has more bits than f32.
    fn vector<S: Simd>(&self, simd: S, plane: usize, vector: usize) -> S::f32s;

    /// The nearest values that the format has; none if one of them is too large for it.
    fn nearest(values: &[f32; CHUNK]) -> Option<Self>;

    /// All values, widened.
    fn widen(&self) -> [f32; CHUNK] {
        std::array::from_fn(|place| self.vector(Scalar, place / PLANE, place % PLANE))
    }
}

/// Four planes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct F32Chunk([[f32; PLANE]; PLANES]);

/// Words of two values each: planes 0 and 1, then 2 and 3.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bf16Chunk([[u32; PLANE]; 2]);

/// The same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct F16Chunk([[u32; PLANE]; 2]);

/// Words of four whole numbers each. Two planes are a block, which has a scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Q8Chunk {
    scales: [f16; 2],
    words: [u32; PLANE],
}

/// The largest of the whole numbers.
const Q8_LARGEST: f32 = 127.0;

/// Values of a block.
const Q8_BLOCK: usize = 32;

impl Chunk for F32Chunk {
    #[inline(always)]
    fn vector<S: Simd>(&self, _: S, plane: usize, vector: usize) -> S::f32s {
        S::as_simd_f32s(&self.0[plane]).0[vector]
    }

    fn nearest(values: &[f32; CHUNK]) -> Option<Self> {
        Some(Self(std::array::from_fn(|plane| std::array::from_fn(|place| values[plane * PLANE + place]))))
    }
}

impl Chunk for Bf16Chunk {
    #[inline(always)]
    fn vector<S: Simd>(&self, simd: S, plane: usize, vector: usize) -> S::f32s {
        // The upper half of an f32 is a bf16.
        let words = S::as_simd_u32s(&self.0[plane / 2]).0[vector];
        simd.transmute_f32s_u32s(upper_half(simd, words, plane % 2))
    }

    fn nearest(values: &[f32; CHUNK]) -> Option<Self> {
        let nearest = values.map(bf16::from_f32);
        let all = nearest.iter().all(|value| value.is_finite());
        all.then(|| Self(words_of_two(nearest.map(bf16::to_bits))))
    }
}

impl Chunk for F16Chunk {
    #[inline(always)]
    fn vector<S: Simd>(&self, simd: S, plane: usize, vector: usize) -> S::f32s {
        let words = S::as_simd_u32s(&self.0[plane / 2]).0[vector];
        f16_in_upper_half(simd, upper_half(simd, words, plane % 2))
    }

    fn nearest(values: &[f32; CHUNK]) -> Option<Self> {
        let nearest = values.map(f16::from_f32);
        let all = nearest.iter().all(|value| value.is_finite());
        all.then(|| Self(words_of_two(nearest.map(f16::to_bits))))
    }
}

impl Chunk for Q8Chunk {
    #[inline(always)]
    fn vector<S: Simd>(&self, simd: S, plane: usize, vector: usize) -> S::f32s {
        /// 2²³: the lowest bits of an f32 of this size are a whole number.
        const WHOLE: f32 = 8_388_608.0;
        let all = |bits| simd.splat_u32s(bits);
        // q + 128 for the whole number q, which is then positive.
        let words = simd.xor_u32s(S::as_simd_u32s(&self.words).0[vector], all(0x8080_8080));
        let bytes = simd.wrapping_dyn_shr_u32s(words, all(8 * plane as u32));
        let raised = simd.or_u32s(simd.and_u32s(bytes, all(0xff)), all(WHOLE.to_bits()));
        let whole = simd.sub_f32s(simd.transmute_f32s_u32s(raised), simd.splat_f32s(WHOLE + 128.0));
        // A product of 11 and 8 bits fits into the 24 of f32.
        let bits = u32::from(self.scales[plane / 2].to_bits()) << 16;
        simd.mul_f32s(simd.splat_f32s(f16_in_upper_half(Scalar, bits)), whole)
    }

    /// The largest value becomes ±127, as in llama.cpp. Where the values are those of such a block, they come back.
    fn nearest(values: &[f32; CHUNK]) -> Option<Self> {
        let mut chunk = Self { scales: [f16::ZERO; 2], words: [0; PLANE] };
        for (block, values) in values.as_chunks::<Q8_BLOCK>().0.iter().enumerate() {
            let largest = values.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
            let scale = largest / Q8_LARGEST;
            let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
            chunk.scales[block] = f16::from_f32(scale);
            for (place, value) in values.iter().enumerate() {
                let whole = (value * inverse).round() as i8;
                let plane = block * Q8_BLOCK / PLANE + place / PLANE;
                chunk.words[place % PLANE] |= u32::from(whole as u8) << (8 * plane);
            }
        }
        chunk.scales.iter().all(|scale| scale.is_finite()).then_some(chunk)
    }
}

/// Values of 16 bits in words: the first plane of two in the lower halves.
fn words_of_two(values: [u16; CHUNK]) -> [[u32; PLANE]; 2] {
    let value = |plane: usize, place: usize| u32::from(values[plane * PLANE + place]);
    std::array::from_fn(|pair| {
        std::array::from_fn(|place| value(2 * pair, place) | value(2 * pair + 1, place) << 16)
    })
}

/// The lower (0) or upper (1) halves of words, in the upper halves; the rest is 0.
#[inline(always)]
fn upper_half<S: Simd>(simd: S, words: S::u32s, half: usize) -> S::u32s {
    if half == 0 {
        simd.wrapping_dyn_shl_u32s(words, simd.splat_u32s(16))
    } else {
        simd.and_u32s(words, simd.splat_u32s(0xffff_0000))
    }
}

/// The f16 in the upper halves of words, widened.
///
/// Its bits are moved to their places in an f32, and the exponent gets the other bias. What is below the normal f16 has
/// no leading 1: with the next larger exponent it is taken as if it had one, which is subtracted again. (To multiply
/// by the difference of the biases would be shorter, but slow: processors take long over f32 that are not normal.)
#[inline(always)]
fn f16_in_upper_half<S: Simd>(simd: S, words: S::u32s) -> S::f32s {
    const BIAS: u32 = (127 - 15) << 23;
    const ONE: u32 = 1 << 23;
    let all = |bits| simd.splat_u32s(bits);
    let sign = simd.and_u32s(words, all(0x8000_0000));
    let moved = simd.and_u32s(simd.wrapping_dyn_shr_u32s(words, all(3)), all(0x0fff_e000));
    let normal = simd.transmute_f32s_u32s(simd.add_u32s(moved, all(BIAS)));
    let with_one = simd.transmute_f32s_u32s(simd.add_u32s(moved, all(BIAS + ONE)));
    let below = simd.sub_f32s(with_one, simd.splat_f32s(f32::from_bits(BIAS + ONE)));
    let magnitude = simd.select_f32s(simd.less_than_u32s(moved, all(ONE)), below, normal);
    simd.transmute_f32s_u32s(simd.or_u32s(sign, simd.transmute_u32s_f32s(magnitude)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finite_f16_and_bf16_is_widened_to_itself() {
        for start in (0..=u16::MAX).step_by(CHUNK) {
            let bits: [u16; CHUNK] = std::array::from_fn(|place| start + place as u16);
            let (halves, brains) = (bits.map(f16::from_bits), bits.map(bf16::from_bits));
            let (half, brain) = (F16Chunk(words_of_two(bits)).widen(), Bf16Chunk(words_of_two(bits)).widen());
            for place in 0..CHUNK {
                if halves[place].is_finite() {
                    assert_eq!(half[place].to_bits(), halves[place].to_f32().to_bits(), "{:x}", bits[place]);
                }
                if brains[place].is_finite() {
                    assert_eq!(brain[place].to_bits(), brains[place].to_f32().to_bits(), "{:x}", bits[place]);
                }
            }
        }
    }

    /// What llama.cpp's reference computes from a block: q = round(x / (largest / 127)), and d·q in f32.
    #[test]
    fn a_block_of_8_bits_is_that_of_the_definition() {
        let values: [f32; CHUNK] = std::array::from_fn(|i| ((i * 37) % 61) as f32 * 0.013 - 0.4);
        let ours = Q8Chunk::nearest(&values).unwrap();
        let widened = ours.widen();
        for (block, values) in values.chunks(32).enumerate() {
            let largest = values.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
            let scale = largest / 127.0;
            for (place, value) in values.iter().enumerate() {
                let expected = f16::from_f32(scale).to_f32() * (value * (1.0 / scale)).round();
                assert_eq!(widened[block * 32 + place], expected);
            }
        }
        assert_eq!(Q8Chunk::nearest(&widened).unwrap().widen(), widened);
        assert_eq!(Q8Chunk::nearest(&[0.0; CHUNK]).unwrap().widen(), [0.0; CHUNK]);
    }

    #[test]
    fn what_is_too_large_for_a_format_is_refused() {
        assert!(F16Chunk::nearest(&[70_000.0; CHUNK]).is_none());
        assert!(Q8Chunk::nearest(&[1e9; CHUNK]).is_none());
        assert!(Bf16Chunk::nearest(&[f32::MAX; CHUNK]).is_none());
        assert!(Bf16Chunk::nearest(&[1e38; CHUNK]).is_some());
    }
}
