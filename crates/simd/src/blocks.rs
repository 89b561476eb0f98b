//! Values that were stored in blocks of whole numbers once: the scales are found again from the values.
//!
//! A checkpoint's reader widens blocks to f32, and layers are cut and put together after that. Whoever looks at the
//! values of a block finds out whether they are whole multiples of a scale, or equally spaced from an offset on: then
//! they can be kept in as few bits as they had.
//!
//! A scale has few digits: an f16 has 11, its product with a whole number of 6 or 7 bits (llama.cpp's K types)
//! up to 18. So a quotient of values, which is rounded, gives the scale itself when it is rounded once more.

use half::f16;

/// Values that share a scale in the types of llama.cpp that are not K types.
pub(crate) const BLOCK: usize = 32;

/// Values that share a scale in some of the K types.
pub(crate) const FINE_BLOCK: usize = 16;

/// The largest whole number of 8 bits: its negative has to be one too.
const Q8_LARGEST: f32 = 127.0;

/// The largest whole number of 4 bits.
pub(crate) const Q4_LARGEST: u32 = 15;

/// The largest whole number of the finer blocks that are equally spaced: 5 bits in Q5_1 and Q5_K.
pub(crate) const FINE_LARGEST: u32 = 31;

/// The most digits that a scale has, in bits: an f16 times 7 bits.
const MULTIPLE_DIGITS: u32 = 18;

/// The digits of scales and offsets of values that are equally spaced: an f16, or one times 6 bits. Such values are
/// rounded sums, so fewer digits are tried first.
const SPACED_DIGITS: [u32; 2] = [11, 17];

/// Digits of a scale whose products with 8 bits are exact in f32.
const EXACT_DIGITS: u32 = 16;

/// Up to N values as whole numbers with a scale and an offset: scale · q + offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Block<const N: usize> {
    pub scale: f32,
    pub offset: f32,
    /// q of each value.
    pub whole: [i8; N],
}

impl<const N: usize> Block<N> {
    /// One that has these very values; none if scale and offset do not fit, or a whole number lies outside.
    fn exactly(values: &[f32], scale: f32, offset: f32, least: f32, most: f32) -> Option<Self> {
        if !(scale > 0.0 && scale.is_finite() && offset.is_finite()) {
            return None;
        }
        // Without a way out of the loop, several values are computed at a time.
        let (inverse, mut numbers, mut fit) = (1.0 / scale, [0.0; N], true);
        for (number, value) in numbers.iter_mut().zip(values) {
            *number = nearest((value - offset) * inverse);
            fit &= (least <= *number) & (*number <= most) & (scale * *number + offset == *value);
        }
        fit.then(|| Self { scale, offset, whole: numbers.map(|number| number as i8) })
    }

    /// Values as 8-bit multiples of a scale, the largest of them ±127, as in llama.cpp.
    pub fn of_8_bits(values: &[f32]) -> Self {
        let scale = largest(values) / Q8_LARGEST;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let whole = whole(values, |value| value * inverse);
        Self { scale: f16::from_f32(scale).to_f32(), offset: 0.0, whole }
    }

    /// Values as 4-bit numbers from 0 for the least to 15 for the greatest, as in llama.cpp.
    pub fn of_4_bits(values: &[f32]) -> Self {
        let (least, most) = ends(values);
        let scale = (most - least) / Q4_LARGEST as f32;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let whole = whole(values, |value| ((value - least) * inverse).clamp(0.0, Q4_LARGEST as f32));
        let [scale, offset] = [scale, least].map(|value| f16::from_f32(value).to_f32());
        Self { scale, offset, whole }
    }

    /// Values as 8-bit numbers around the middle between the least and the greatest.
    pub fn of_8_bits_spaced(values: &[f32]) -> Self {
        let (least, most) = ends(values);
        let offset = least + (most - least) / 2.0;
        let scale = rounded((most - least) / (2.0 * Q8_LARGEST), EXACT_DIGITS);
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let whole = whole(values, |value| ((value - offset) * inverse).clamp(-Q8_LARGEST, Q8_LARGEST));
        Self { scale, offset, whole }
    }

    /// The block of which all values are whole multiples of at most `most`, 127 or less; none if there is none.
    pub fn of_multiples(values: &[f32], most: u32) -> Option<Self> {
        let largest = largest(values);
        if largest == 0.0 {
            return Some(Self { scale: 0.0, offset: 0.0, whole: [0; N] });
        }
        // Most blocks have the largest value of their bits: 8, 6, 5, 4 or 3. The others take the longer way.
        let likely = [127, 32, 16, 8, 4].into_iter().filter(|&steps| steps <= most);
        let all = likely.chain((1..=most).rev());
        let scales = all.map(|steps| rounded(largest / steps as f32, MULTIPLE_DIGITS));
        let block = |scale| Self::exactly(values, scale, 0.0, -(most as f32), most as f32);
        scales.filter_map(block).next()
    }

    /// The block of which all values are scale · q + offset with q from 0 to `most`; none if there is none.
    pub fn of_spaced(values: &[f32], most: u32) -> Option<Self> {
        let (least, greatest) = ends(values);
        if least == greatest {
            return least.is_finite().then_some(Self { scale: 0.0, offset: least, whole: [0; N] });
        }
        // Most blocks have a 0 and the most.
        let spans = (1..=most).rev().map(|span| (span, (greatest - least) / span as f32));
        let mut likely = spans.filter(|&(_, scale)| steps_are_whole(values, least, scale));
        likely.find_map(|(span, near)| {
            let tries =
                SPACED_DIGITS.iter().flat_map(|&digits| (0..=most - span).map(move |first| (digits, first)));
            tries
                .flat_map(|(digits, first)| beside(near, digits).map(|scale| (digits, first, scale)))
                .find_map(|(digits, first, scale)| {
                    let offset = rounded(least - scale * first as f32, digits);
                    Self::exactly(values, scale, offset, 0.0, most as f32)
                })
        })
    }
}

/// Whether values lie near whole steps from the least on. Values that do not are no block, whatever its digits; the sums
/// of those that do were rounded.
fn steps_are_whole(values: &[f32], least: f32, scale: f32) -> bool {
    let inverse = 1.0 / scale;
    values.iter().fold(true, |whole, value| {
        let steps = (value - least) * inverse;
        whole & ((steps - nearest(steps)).abs() < 0.2)
    })
}

/// The nearest whole number of what is below 2²²; `round` is a call for each value where the processor is not known to have
/// it.
fn nearest(quotient: f32) -> f32 {
    /// Above it an f32 has no digits behind the point, so that a sum is rounded to a whole number.
    const WHOLE: f32 = 12_582_912.0;
    quotient + WHOLE - WHOLE
}

/// The nearest value with so many binary digits.
fn rounded(value: f32, digits: u32) -> f32 {
    let dropped = f32::MANTISSA_DIGITS - digits;
    let bits = value.to_bits().saturating_add(1 << (dropped - 1));
    f32::from_bits(bits >> dropped << dropped)
}

/// The nearest value with so many digits, and its neighbours: the ends of a block were rounded, so that their distance may
/// lie beside the middle between two.
fn beside(value: f32, digits: u32) -> [f32; 3] {
    let step = 1u32 << (f32::MANTISSA_DIGITS - digits);
    let bits = rounded(value, digits).to_bits();
    [bits, bits.saturating_add(step), bits.saturating_sub(step)].map(f32::from_bits)
}

/// What each value becomes, rounded: halves away from 0.
fn whole<const N: usize>(values: &[f32], scaled: impl Fn(f32) -> f32) -> [i8; N] {
    let mut whole = [0; N];
    whole.iter_mut().zip(values).for_each(|(whole, value)| *whole = scaled(*value).round() as i8);
    whole
}

/// The largest magnitude of any value.
fn largest(values: &[f32]) -> f32 {
    let (least, most) = ends(values);
    most.max(-least).max(0.0)
}

/// The least and the greatest value.
fn ends(values: &[f32]) -> (f32, f32) {
    /// Values of a row are compared with those before at the same place, several at a time.
    const PLACES: usize = 8;
    let (mut least, mut most) = ([f32::INFINITY; PLACES], [f32::NEG_INFINITY; PLACES]);
    for row in values.chunks(PLACES) {
        for ((least, most), &value) in least.iter_mut().zip(&mut most).zip(row) {
            *least = if value < *least { value } else { *least };
            *most = if value > *most { value } else { *most };
        }
    }
    (least.into_iter().fold(f32::INFINITY, f32::min), most.into_iter().fold(f32::NEG_INFINITY, f32::max))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn widened<const N: usize>(block: &Block<N>) -> [f32; N] {
        block.whole.map(|whole| block.scale * f32::from(whole) + block.offset)
    }

    fn normal() -> impl Strategy<Value = f32> {
        (0x0400u16..0x7000, any::<bool>())
            .prop_map(|(bits, minus)| f16::from_bits(bits | u16::from(minus) << 15).to_f32())
    }

    proptest! {
        /// Whatever a quantiser has stored comes back, also where no value is the largest that there could be. (Offsets come
        /// back if any value is just that, or they are not so small beside the scale that the sums have lost their bits.)
        #[test]
        fn blocks_are_found_again(
            scale in normal(),
            offset in normal(),
            [scale_factor, offset_factor] in proptest::array::uniform2(1u8..64),
            mut whole in proptest::array::uniform32(0u8..16),
            mut wider in proptest::array::uniform16(0u8..32),
            signed in proptest::array::uniform32(-127i8..=127),
            six_bits in proptest::array::uniform16(-32i8..32),
            factor in 1u8..=128,
        ) {
            let scale = scale.abs().min(100.0);
            let values = signed.map(|whole| scale * f32::from(whole));
            prop_assert_eq!(widened(&Block::<BLOCK>::of_multiples(&values, 127).unwrap()), values);
            let values = six_bits.map(|whole| scale * f32::from(factor) * f32::from(whole));
            prop_assert_eq!(widened(&Block::<FINE_BLOCK>::of_multiples(&values, 32).unwrap()), values);
            // An offset far from the scale swallows the whole numbers: what is left is not equally spaced.
            let offset = offset.clamp(-64.0 * scale, 64.0 * scale);
            (whole[7], wider[7]) = (0, 0);
            let factors = [scale_factor, offset_factor].map(f32::from);
            for (scale, offset) in [(scale, offset), (scale * factors[0], offset * factors[1].min(factors[0]))] {
                let values = whole.map(|whole| scale * f32::from(whole) + offset);
                prop_assert_eq!(widened(&Block::<BLOCK>::of_spaced(&values, Q4_LARGEST).unwrap()), values);
                let values = wider.map(|whole| scale * f32::from(whole) + offset);
                prop_assert_eq!(widened(&Block::<FINE_BLOCK>::of_spaced(&values, FINE_LARGEST).unwrap()), values);
            }
        }
    }

    #[test]
    fn other_values_are_not_taken_for_blocks() {
        let values: [f32; BLOCK] = std::array::from_fn(|i| (i as f32 + 0.3).sin());
        assert!(Block::<BLOCK>::of_multiples(&values, 127).is_none());
        assert!(Block::<BLOCK>::of_spaced(&values, Q4_LARGEST).is_none());
        assert!(Block::<FINE_BLOCK>::of_spaced(&values[..FINE_BLOCK], FINE_LARGEST).is_none());
        assert!(Block::<BLOCK>::of_multiples(&[f32::INFINITY; BLOCK], 127).is_none());
        assert!(Block::<BLOCK>::of_spaced(&[f32::NAN; BLOCK], Q4_LARGEST).is_none());
    }
}
