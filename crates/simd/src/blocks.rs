//! Values that were stored in blocks of whole numbers once: the scales are found again from the values.
//!
//! A checkpoint's reader widens blocks to f32, and layers are cut and put together after that. Whoever looks at 32
//! values finds out whether they are whole multiples of an f16, or equally spaced from an f16 on: then they
//! can be kept in as few bits as they had.

use half::f16;

/// The largest whole number of 8 bits: its negative has to be one too.
pub(crate) const Q8_LARGEST: f32 = 127.0;

/// The largest whole number of 4 bits.
pub(crate) const Q4_LARGEST: f32 = 15.0;

/// The largest magnitude of any value.
pub(crate) fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

/// The least and the greatest value.
pub(crate) fn ends(values: &[f32]) -> (f32, f32) {
    values
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(least, most), &value| (least.min(value), most.max(value)))
}

/// The scale of which all values are whole multiples of at most 127; none if there is none.
pub(crate) fn multiples(values: &[f32]) -> Option<f16> {
    let largest = largest(values);
    if largest == 0.0 {
        return Some(f16::ZERO);
    }
    // Most blocks have a value of ±127; what had fewer bits, one of ±8 or ±16.
    let steps = (1..=Q8_LARGEST as u32).rev();
    steps.map(|steps| f16::from_f32(largest / steps as f32)).find(|scale| {
        let scale = scale.to_f32();
        let fits = |value: &f32| {
            let whole = (value / scale).round();
            whole.abs() <= Q8_LARGEST && scale * whole == *value
        };
        scale.is_finite() && scale > 0.0 && values.iter().all(fits)
    })
}

/// The scale and the offset by which all values are scale · q + offset with q from 0 to 15; none if there are none.
pub(crate) fn spaced(values: &[f32]) -> Option<(f16, f16)> {
    let (least, most) = ends(values);
    if least == most {
        let offset = f16::from_f32(least);
        return (offset.to_f32() == least).then_some((f16::ZERO, offset));
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
            has_all(values, scale, offset).then_some((scale, offset))
        })
    })
}

fn has_all(values: &[f32], scale: f16, offset: f16) -> bool {
    let (scale, offset) = (scale.to_f32(), offset.to_f32());
    let fits = |value: &f32| {
        let whole = ((value - offset) / scale).round();
        (0.0..=Q4_LARGEST).contains(&whole) && scale * whole + offset == *value
    };
    scale.is_finite() && scale > 0.0 && offset.is_finite() && values.iter().all(fits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::BLOCK;

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
            let found = multiples(&values).unwrap().to_f32();
            prop_assert!(values.iter().all(|value| (value / found).round() * found == *value));
            // An offset far from the scale swallows the whole numbers: what is left is not equally spaced.
            let offset = f16::from_f32(offset.to_f32().clamp(-64.0 * scale.to_f32(), 64.0 * scale.to_f32()));
            whole[7] = 0;
            let values = whole.map(|whole| scale.to_f32() * f32::from(whole) + offset.to_f32());
            let (scale, offset) = spaced(&values).unwrap();
            prop_assert!(has_all(&values, scale, offset) || values == [offset.to_f32(); BLOCK]);
        }
    }

    #[test]
    fn other_values_are_not_taken_for_blocks() {
        let values: [f32; BLOCK] = std::array::from_fn(|i| (i as f32 + 0.3).sin());
        assert!(multiples(&values).is_none() && spaced(&values).is_none());
        assert!(spaced(&[0.1; BLOCK]).is_none() && multiples(&[1e9; BLOCK]).is_none());
    }
}
