//! The forms in which a matrix's values are stored, and how each is widened to f32.
//!
//! The values of a row make chunks of planes of 16. Narrow values of several planes share words of 32 bits: the values
//! of a plane are in the same bits of all words, so a shift widens a whole vector of them.

use half::{bf16, f16};
use onejump_core::words::{UnknownWord, Word};
use pulp::{Scalar, Simd};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::blocks::{BLOCK, Block, FINE_BLOCK, FINE_LARGEST, Q4_LARGEST};

/// Values of a plane.
pub(crate) const PLANE: usize = 16;

/// A form of storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Self>)]
pub enum Format {
    /// 32 bits.
    F32,
    /// 16 bits, as many of them exponent as f32 has.
    Bf16,
    /// 16 bits, of IEEE 754.
    F16,
    /// 9 bits a value, in blocks of 32: a scale and 8-bit whole numbers. llama.cpp's Q8_0, and what has fewer bits without
    /// an offset (Q5_0).
    Q8,
    /// 6 bits a value, in blocks of 32: a scale, an offset and 4-bit whole numbers. llama.cpp's Q4_1, Q4_0 and Q4_K.
    Q4,
    /// 12 bits a value, in blocks of 16: a scale, an offset and 8-bit whole numbers. llama.cpp's other K types, and Q5_1.
    Q8k,
}

impl Word for Format {
    const WHAT: &'static str = "format of weights";
}

impl Format {
    /// The bytes of a row of a matrix: whole chunks.
    pub(crate) fn row_bytes(self, inputs: usize) -> usize {
        fn bytes<C: Chunk>(inputs: usize) -> usize {
            inputs.div_ceil(C::VALUES) * size_of::<C>()
        }
        match self {
            Self::F32 => bytes::<F32Chunk>(inputs),
            Self::Bf16 => bytes::<Bf16Chunk>(inputs),
            Self::F16 => bytes::<F16Chunk>(inputs),
            Self::Q8 => bytes::<Q8Chunk>(inputs),
            Self::Q4 => bytes::<Q4Chunk>(inputs),
            Self::Q8k => bytes::<Q8kChunk>(inputs),
        }
    }
}

/// Some values of a row in one of the formats.
pub(crate) trait Chunk: Copy + Send + Sync {
    /// Planes of a chunk.
    const PLANES: usize;

    /// How many values that are.
    const VALUES: usize = Self::PLANES * PLANE;

    /// A vector of a plane, widened. That is exact: no format has more bits than f32.
    fn vector<S: Simd>(&self, simd: S, plane: usize, vector: usize) -> S::f32s;

    /// The nearest values that the format has, of as many as a chunk has, or fewer at the end of a row; none if one of
    /// them is too large for it.
    fn nearest(values: &[f32]) -> Option<Self>;

    /// The chunk that has these very values; none if there is none.
    fn exactly(values: &[f32]) -> Option<Self> {
        let same =
            |chunk: &Self| values.iter().enumerate().all(|(place, value)| chunk.value(place) == *value);
        Self::nearest(values).filter(same)
    }

    /// One of the values, widened.
    fn value(&self, place: usize) -> f32 {
        self.vector(Scalar, place / PLANE, place % PLANE)
    }
}

/// Four planes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct F32Chunk([[f32; PLANE]; 4]);

/// Words of two values each: planes 0 and 1, then 2 and 3.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bf16Chunk([[u32; PLANE]; 2]);

/// The same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct F16Chunk([[u32; PLANE]; 2]);

/// Words of four whole numbers each, raised so that they have no sign. Two planes are a block, which has a scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Q8Chunk {
    scales: [f32; 2],
    words: [u32; PLANE],
}

/// What is added to the whole numbers of 8 bits.
const Q8_RAISED: f32 = 128.0;

/// Words of eight whole numbers each. Two planes are a block, which has a scale and an offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Q4Chunk {
    scales: [f32; 4],
    offsets: [f32; 4],
    words: [u32; PLANE],
}

/// Words of four whole numbers each, raised so that they have no sign. A plane is a block, which has a scale and an offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Q8kChunk {
    scales: [f32; 4],
    offsets: [f32; 4],
    words: [u32; PLANE],
}

impl Chunk for F32Chunk {
    const PLANES: usize = 4;

    #[inline(always)]
    fn vector<S: Simd>(&self, _: S, plane: usize, vector: usize) -> S::f32s {
        S::as_simd_f32s(&self.0[plane]).0[vector]
    }

    fn nearest(values: &[f32]) -> Option<Self> {
        let mut chunk = Self([[0.0; PLANE]; 4]);
        chunk.0.as_flattened_mut()[..values.len()].copy_from_slice(values);
        Some(chunk)
    }
}

impl Chunk for Bf16Chunk {
    const PLANES: usize = 4;

    #[inline(always)]
    fn vector<S: Simd>(&self, simd: S, plane: usize, vector: usize) -> S::f32s {
        // The upper half of an f32 is a bf16.
        let words = S::as_simd_u32s(&self.0[plane / 2]).0[vector];
        simd.transmute_f32s_u32s(upper_half(simd, words, plane % 2))
    }

    fn nearest(values: &[f32]) -> Option<Self> {
        let all = values.iter().all(|value| bf16::from_f32(*value).is_finite());
        all.then(|| {
            Self(words_of_two(|place| values.get(place).map_or(0, |value| bf16::from_f32(*value).to_bits())))
        })
    }
}

impl Chunk for F16Chunk {
    const PLANES: usize = 4;

    #[inline(always)]
    fn vector<S: Simd>(&self, simd: S, plane: usize, vector: usize) -> S::f32s {
        let words = S::as_simd_u32s(&self.0[plane / 2]).0[vector];
        f16_in_upper_half(simd, upper_half(simd, words, plane % 2))
    }

    fn nearest(values: &[f32]) -> Option<Self> {
        let all = values.iter().all(|value| f16::from_f32(*value).is_finite());
        all.then(|| {
            Self(words_of_two(|place| values.get(place).map_or(0, |value| f16::from_f32(*value).to_bits())))
        })
    }
}

impl Chunk for Q8Chunk {
    const PLANES: usize = 4;

    #[inline(always)]
    fn vector<S: Simd>(&self, simd: S, plane: usize, vector: usize) -> S::f32s {
        let whole = whole::<S, 8>(simd, S::as_simd_u32s(&self.words).0[vector], plane, Q8_RAISED);
        simd.mul_f32s(simd.splat_f32s(self.scales[plane / 2]), whole)
    }

    fn nearest(values: &[f32]) -> Option<Self> {
        Self::of(values, |block| Some(Block::of_8_bits(block)))
    }

    fn exactly(values: &[f32]) -> Option<Self> {
        Self::of(values, |block| Block::of_multiples(block, Q8_RAISED as u32 - 1))
    }
}

impl Q8Chunk {
    fn of(values: &[f32], block: impl Fn(&[f32]) -> Option<Block<BLOCK>>) -> Option<Self> {
        let mut chunk = Self { scales: [0.0; 2], words: [0; PLANE] };
        for (index, values) in values.chunks(BLOCK).enumerate() {
            let Block { scale, whole, .. } = block(values)?;
            chunk.scales[index] = scale;
            lay(&mut chunk.words, index, 8, whole.map(raised));
        }
        chunk.scales.iter().all(|scale| scale.is_finite()).then_some(chunk)
    }
}

impl Chunk for Q4Chunk {
    const PLANES: usize = 8;

    #[inline(always)]
    fn vector<S: Simd>(&self, simd: S, plane: usize, vector: usize) -> S::f32s {
        let whole = whole::<S, 4>(simd, S::as_simd_u32s(&self.words).0[vector], plane, 0.0);
        // The product of a scale and 4 bits is exact: fused or not, only the sum is rounded.
        let [scale, offset] = [self.scales, self.offsets].map(|all| simd.splat_f32s(all[plane / 2]));
        simd.mul_add_e_f32s(scale, whole, offset)
    }

    fn nearest(values: &[f32]) -> Option<Self> {
        Self::of(values, |block| Some(Block::of_4_bits(block)))
    }

    fn exactly(values: &[f32]) -> Option<Self> {
        Self::of(values, |block| Block::of_spaced(block, Q4_LARGEST))
    }
}

impl Q4Chunk {
    fn of(values: &[f32], block: impl Fn(&[f32]) -> Option<Block<BLOCK>>) -> Option<Self> {
        let mut chunk = Self { scales: [0.0; 4], offsets: [0.0; 4], words: [0; PLANE] };
        for (index, values) in values.chunks(BLOCK).enumerate() {
            let Block { scale, offset, whole } = block(values)?;
            (chunk.scales[index], chunk.offsets[index]) = (scale, offset);
            lay(&mut chunk.words, index, 4, whole.map(|whole| whole as u32));
        }
        let finite = chunk.scales.iter().chain(&chunk.offsets).all(|value| value.is_finite());
        finite.then_some(chunk)
    }
}

impl Chunk for Q8kChunk {
    const PLANES: usize = 4;

    #[inline(always)]
    fn vector<S: Simd>(&self, simd: S, plane: usize, vector: usize) -> S::f32s {
        let whole = whole::<S, 8>(simd, S::as_simd_u32s(&self.words).0[vector], plane, Q8_RAISED);
        // As in Q4.
        let [scale, offset] = [self.scales, self.offsets].map(|all| simd.splat_f32s(all[plane]));
        simd.mul_add_e_f32s(scale, whole, offset)
    }

    fn nearest(values: &[f32]) -> Option<Self> {
        Self::of(values, |block| Some(Block::of_8_bits_spaced(block)))
    }

    fn exactly(values: &[f32]) -> Option<Self> {
        let multiples = |block: &[f32]| Block::of_multiples(block, FINE_LARGEST + 1);
        Self::of(values, |block| multiples(block).or_else(|| Block::of_spaced(block, FINE_LARGEST)))
    }
}

impl Q8kChunk {
    fn of(values: &[f32], block: impl Fn(&[f32]) -> Option<Block<FINE_BLOCK>>) -> Option<Self> {
        let mut chunk = Self { scales: [0.0; 4], offsets: [0.0; 4], words: [0; PLANE] };
        for (index, values) in values.chunks(FINE_BLOCK).enumerate() {
            let Block { scale, offset, whole } = block(values)?;
            (chunk.scales[index], chunk.offsets[index]) = (scale, offset);
            lay(&mut chunk.words, index, 8, whole.map(raised));
        }
        let finite = chunk.scales.iter().chain(&chunk.offsets).all(|value| value.is_finite());
        finite.then_some(chunk)
    }
}

/// A whole number of 8 bits without its sign.
fn raised(whole: i8) -> u32 {
    (i32::from(whole) + Q8_RAISED as i32) as u32
}

/// Lays the whole numbers of a block into the words of its planes.
fn lay<const N: usize>(words: &mut [u32; PLANE], block: usize, bits: usize, whole: [u32; N]) {
    for (plane, whole) in whole.as_chunks::<PLANE>().0.iter().enumerate() {
        let shift = bits * (block * N / PLANE + plane);
        words.iter_mut().zip(whole).for_each(|(word, whole)| *word |= whole << shift);
    }
}

/// The whole numbers of B bits that a plane has in words, which hold them `raised`.
#[inline(always)]
fn whole<S: Simd, const B: u32>(simd: S, words: S::u32s, plane: usize, raised: f32) -> S::f32s {
    /// 2²³: the lowest bits of an f32 of this size are a whole number.
    const WHOLE: f32 = 8_388_608.0;
    let all = |bits| simd.splat_u32s(bits);
    let shifted = simd.wrapping_dyn_shr_u32s(words, all(B * plane as u32));
    let whole = simd.or_u32s(simd.and_u32s(shifted, all((1 << B) - 1)), all(WHOLE.to_bits()));
    simd.sub_f32s(simd.transmute_f32s_u32s(whole), simd.splat_f32s(WHOLE + raised))
}

/// Values of 16 bits in words: the first plane of two in the lower halves.
fn words_of_two(bits: impl Fn(usize) -> u16) -> [[u32; PLANE]; 2] {
    let value = |plane: usize, place: usize| u32::from(bits(plane * PLANE + place));
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
        for start in (0..=u16::MAX).step_by(F16Chunk::VALUES) {
            let bits = |place: usize| start + place as u16;
            let (halves, brains) = (F16Chunk(words_of_two(bits)), Bf16Chunk(words_of_two(bits)));
            for place in 0..F16Chunk::VALUES {
                let (half, brain) = (f16::from_bits(bits(place)), bf16::from_bits(bits(place)));
                if half.is_finite() {
                    assert_eq!(halves.value(place).to_bits(), half.to_f32().to_bits(), "{half:?}");
                }
                if brain.is_finite() {
                    assert_eq!(brains.value(place).to_bits(), brain.to_f32().to_bits(), "{brain:?}");
                }
            }
        }
    }

    /// Values that look random.
    fn values(count: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 37) % 61) as f32 * 0.013 - 0.4).collect()
    }

    fn widen<C: Chunk>(chunk: &C) -> Vec<f32> {
        (0..C::VALUES).map(|place| chunk.value(place)).collect()
    }

    /// What llama.cpp's reference computes from a block: q = round(x / (largest / 127)), and d·q in f32.
    #[test]
    fn a_block_of_8_bits_is_that_of_the_definition() {
        let values = values(Q8Chunk::VALUES);
        let ours = widen(&Q8Chunk::nearest(&values).unwrap());
        for (block, values) in values.chunks(BLOCK).enumerate() {
            let largest = values.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
            let scale = largest / 127.0;
            for (place, value) in values.iter().enumerate() {
                let expected = f16::from_f32(scale).to_f32() * (value * (1.0 / scale)).round();
                assert_eq!(ours[block * BLOCK + place], expected);
            }
        }
        assert_eq!(widen(&Q8Chunk::exactly(&ours).unwrap()), ours);
        let zeros = [0.0; Q8Chunk::VALUES];
        assert_eq!(widen(&Q8Chunk::exactly(&zeros).unwrap()), zeros);
    }

    /// And of 4 bits: q = round((x − least) / ((most − least) / 15)), and d·q + m in f32.
    #[test]
    fn a_block_of_4_bits_is_that_of_the_definition() {
        let values = values(Q4Chunk::VALUES);
        let ours = widen(&Q4Chunk::nearest(&values).unwrap());
        for (block, values) in values.chunks(BLOCK).enumerate() {
            let least = values.iter().copied().fold(f32::INFINITY, f32::min);
            let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let scale = (most - least) / 15.0;
            for (place, value) in values.iter().enumerate() {
                let whole = ((value - least) * (1.0 / scale)).round();
                let expected = f16::from_f32(scale).to_f32() * whole + f16::from_f32(least).to_f32();
                assert_eq!(ours[block * BLOCK + place], expected);
            }
        }
        assert_eq!(widen(&Q4Chunk::exactly(&ours).unwrap()), ours);
        for same in [0.0, -1.5, 3e-7] {
            let same = [f16::from_f32(same).to_f32(); Q4Chunk::VALUES];
            assert_eq!(widen(&Q4Chunk::exactly(&same).unwrap()), same);
        }
    }

    /// 255 steps between the ends, so none is further away than half of one; the scale has 16 digits.
    #[test]
    fn a_finer_block_is_near() {
        let values = values(Q8kChunk::VALUES);
        let ours = widen(&Q8kChunk::nearest(&values).unwrap());
        for (ours, values) in ours.chunks(FINE_BLOCK).zip(values.chunks(FINE_BLOCK)) {
            let least = values.iter().copied().fold(f32::INFINITY, f32::min);
            let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let half = (most - least) / 254.0 * 0.502;
            assert!(ours.iter().zip(values).all(|(ours, value)| (ours - value).abs() <= half));
        }
    }

    #[test]
    fn what_is_too_large_for_a_format_is_refused() {
        assert!(F16Chunk::nearest(&[70_000.0; 64]).is_none());
        assert!(Q8Chunk::nearest(&[1e9; 64]).is_none());
        assert!(Q4Chunk::nearest(&[1e9; 128]).is_none());
        assert!(Bf16Chunk::nearest(&[f32::MAX; 64]).is_none());
        assert!(Bf16Chunk::nearest(&[1e38; 64]).is_some());
    }
}
