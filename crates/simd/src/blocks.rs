//! Values that were stored in blocks of whole numbers once: the scales are found again from the values.
//!
//! A checkpoint's reader widens blocks to f32, and layers are cut and put together after that. Whoever looks at 32
//! values finds out whether they are whole multiples of an f16, or equally spaced from an f16 on: then they
//! can be kept in as few bits as they had.

use half::f16;

/// Values of a block, which share a scale.
pub(crate) const BLOCK: usize = 32;

/// The largest whole number of 8 bits: its negative has to be one too.
const Q8_LARGEST: f32 = 127.0;

/// The largest whole number of 4 bits.
const Q4_LARGEST: f32 = 15.0;

/// Up to 32 values as whole numbers with a scale and an offset: scale · q + offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Block {
    pub scale: f16,
    pub offset: f16,
    /// q of each value.
    pub whole: [i8; BLOCK],
}

impl Block {
    /// One that has these very values; none if scale and offset do not fit, or a whole number lies outside.
    fn exactly(values: &[f32], scale: f16, offset: f16, least: f32, most: f32) -> Option<Self> {
        let (wide, shift) = (scale.to_f32(), offset.to_f32());
        if !(wide > 0.0 && wide.is_finite() && shift.is_finite()) {
            return None;
        }
        let (inverse, mut whole) = (1.0 / wide, [0; BLOCK]);
        for (whole, value) in whole.iter_mut().zip(values) {
            let quotient = (value - shift) * inverse;
            // The nearest whole number; `round` is a call for each value where the processor is not known to have it.
            let nearest = (quotient + if quotient < 0.0 { -0.5 } else { 0.5 }) as i32 as f32;
            if !(least..=most).contains(&nearest) || wide * nearest + shift != *value {
                return None;
            }
            *whole = nearest as i8;
        }
        Some(Self { scale, offset, whole })
    }

    /// Values as 8-bit multiples of a scale, the largest of them ±127, as in llama.cpp.
    pub fn of_8_bits(values: &[f32]) -> Self {
        let scale = largest(values) / Q8_LARGEST;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let whole = whole(values, |value| value * inverse);
        Self { scale: f16::from_f32(scale), offset: f16::ZERO, whole }
    }

    /// Values as 4-bit numbers from 0 for the least to 15 for the greatest, as in llama.cpp.
    pub fn of_4_bits(values: &[f32]) -> Self {
        let (least, most) = ends(values);
        let scale = (most - least) / Q4_LARGEST;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let whole = whole(values, |value| ((value - least) * inverse).clamp(0.0, Q4_LARGEST));
        Self { scale: f16::from_f32(scale), offset: f16::from_f32(least), whole }
    }

    /// The block of which all values are whole multiples of at most 127; none if there is none.
    pub fn of_multiples(values: &[f32]) -> Option<Self> {
        let largest = largest(values);
        if largest == 0.0 {
            return Some(Self { scale: f16::ZERO, offset: f16::ZERO, whole: [0; BLOCK] });
        }
        // Most blocks have a value of ±127; what had fewer bits, one of ±8 or ±16.
        let scales = (1..=Q8_LARGEST as u32).rev().map(|steps| f16::from_f32(largest / steps as f32));
        let block = |scale| Self::exactly(values, scale, f16::ZERO, -Q8_LARGEST, Q8_LARGEST);
        scales.filter_map(block).next()
    }

    /// The block of which all values are scale · q + offset with q from 0 to 15; none if there is none.
    pub fn of_spaced(values: &[f32]) -> Option<Self> {
        let (least, most) = ends(values);
        if least == most {
            let offset = f16::from_f32(least);
            return (offset.to_f32() == least).then_some(Self {
                scale: f16::ZERO,
                offset,
                whole: [0; BLOCK],
            });
        }
        // Most blocks have a 0 and a 15.
        let spans = (1..=Q4_LARGEST as u32).rev();
        let mut candidates = spans.flat_map(|span| {
            let scale = (most - least) / span as f32;
            (0..=Q4_LARGEST as u32 - span).map(move |first| (f16::from_f32(scale), first))
        });
        candidates.find_map(|(near, first)| {
            // The ends were rounded, so that their distance may lie beside the middle between two f16.
            let beside = [0i16, 1, -1].map(|step| f16::from_bits(near.to_bits().wrapping_add_signed(step)));
            beside.into_iter().find_map(|scale| {
                let offset = f16::from_f32(least - scale.to_f32() * first as f32);
                Self::exactly(values, scale, offset, 0.0, Q4_LARGEST)
            })
        })
    }
}

/// What each value becomes, rounded: halves away from 0.
fn whole(values: &[f32], scaled: impl Fn(f32) -> f32) -> [i8; BLOCK] {
    let mut whole = [0; BLOCK];
    whole.iter_mut().zip(values).for_each(|(whole, value)| *whole = scaled(*value).round() as i8);
    whole
}

/// The largest magnitude of any value.
fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

/// The least and the greatest value.
fn ends(values: &[f32]) -> (f32, f32) {
    let beyond = (f32::INFINITY, f32::NEG_INFINITY);
    values.iter().fold(beyond, |(least, most), &value| (least.min(value), most.max(value)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn widened(block: &Block) -> [f32; BLOCK] {
        block.whole.map(|whole| block.scale.to_f32() * f32::from(whole) + block.offset.to_f32())
    }

    fn normal() -> impl Strategy<Value = f16> {
        (0x0400u16..0x7000, any::<bool>())
            .prop_map(|(bits, minus)| f16::from_bits(bits | u16::from(minus) << 15))
    }

    proptest! {
        /// Whatever a quantiser has stored comes back, also where no value is the largest that there could be. (Offsets come
        /// back if any value is just that, or they are not so small beside the scale that the sums have lost their bits.)
        #[test]
        fn blocks_are_found_again(
            scale in normal(),
            offset in normal(),
            mut whole in proptest::array::uniform32(0u8..16),
            signed in proptest::array::uniform32(-127i8..=127),
        ) {
            let scale = f16::from_f32(scale.to_f32().abs().min(100.0));
            let values = signed.map(|whole| scale.to_f32() * f32::from(whole));
            prop_assert_eq!(widened(&Block::of_multiples(&values).unwrap()), values);
            // An offset far from the scale swallows the whole numbers: what is left is not equally spaced.
            let offset = f16::from_f32(offset.to_f32().clamp(-64.0 * scale.to_f32(), 64.0 * scale.to_f32()));
            whole[7] = 0;
            let values = whole.map(|whole| scale.to_f32() * f32::from(whole) + offset.to_f32());
            prop_assert_eq!(widened(&Block::of_spaced(&values).unwrap()), values);
        }
    }

    #[test]
    fn other_values_are_not_taken_for_blocks() {
        let values: [f32; BLOCK] = std::array::from_fn(|i| (i as f32 + 0.3).sin());
        assert!(Block::of_multiples(&values).is_none() && Block::of_spaced(&values).is_none());
        assert!(Block::of_spaced(&[0.1; BLOCK]).is_none() && Block::of_multiples(&[1e9; BLOCK]).is_none());
    }
}
