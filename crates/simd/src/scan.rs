//! One pass over a row of logits: its two largest values, ln Σ exp, and how many values lie above one.
//!
//! The logits of a row come in blocks that fit the processor's cache, and are never whole in memory. Exponentials
//! are relative to the row's first value, so that each value is read once. A block is read again where it may hold
//! one of the two largest values, which few do, or is so much larger that the sum would overflow.

use pulp::{Arch, Simd, WithSimd, bytemuck};

use crate::exp::exp;

/// The longest vector of any processor.
const LANES: usize = 16;

/// How far above what exponentials are relative to a value may be: a block of e⁸⁰ has a finite sum in f32.
const LARGEST_EXPONENT: f32 = 80.0;

/// What is known of a row after some of its blocks.
#[derive(Debug, Clone, Copy)]
pub struct RowScan {
    reference: f32,
    /// The token whose logit the reference is; it is not above itself, however it is rounded.
    token: usize,
    /// What exponentials are relative to.
    shift: f32,
    /// Σ exp(x − shift).
    sum: f64,
    /// The largest value.
    pub largest: f32,
    /// The second largest value; equal to the largest in a tie.
    pub second: f32,
    /// The place of the largest value.
    pub top: usize,
    /// How many values are strictly larger than the reference.
    pub above: usize,
}

impl RowScan {
    /// Before the first block. `reference` is the logit of `token`, computed beforehand.
    pub fn new(token: usize, reference: f32) -> Self {
        let lowest = f32::NEG_INFINITY;
        Self { reference, token, shift: lowest, sum: 0.0, largest: lowest, second: lowest, top: 0, above: 0 }
    }

    /// ln Σ exp over the blocks so far.
    pub fn logsumexp(&self) -> f64 {
        f64::from(self.shift) + self.sum.ln()
    }

    /// Takes the block of the row that begins at column `start`; returns the block's largest value, −∞ if it is empty.
    pub fn add(&mut self, block: &[f32], start: usize) -> f32 {
        let arch = Arch::new();
        let Some(&first) = block.first() else { return f32::NEG_INFINITY };
        if self.shift == f32::NEG_INFINITY {
            self.shift = first;
        }
        let reference = self.reference;
        let mut seen = arch.dispatch(Look { block, reference, shift: self.shift });
        if seen.largest - self.shift > LARGEST_EXPONENT {
            self.sum *= f64::from(self.shift - seen.largest).exp();
            self.shift = seen.largest;
            seen = arch.dispatch(Look { block, reference, shift: self.shift });
        }
        self.sum += f64::from(seen.sum);
        self.above += seen.above as usize;
        if let Some(own) = self.token.checked_sub(start).and_then(|column| block.get(column)) {
            self.above -= usize::from(*own > reference);
        }
        if seen.largest > self.second {
            let (largest, second) = arch.dispatch(TwoLargest(block));
            self.second = self.second.max(second).max(self.largest.min(largest));
            if largest > self.largest {
                self.largest = largest;
                self.top = start + block.iter().position(|&value| value == largest).unwrap_or(0);
            }
        }
        seen.largest
    }
}

/// A look at a block.
struct Look<'a> {
    block: &'a [f32],
    reference: f32,
    /// What exponentials are relative to.
    shift: f32,
}

/// What is seen in a block.
struct Seen {
    largest: f32,
    /// How many values are above the reference: exact up to 2²⁴.
    above: f32,
    /// Σ exp(x − shift).
    sum: f32,
}

impl WithSimd for Look<'_> {
    type Output = Seen;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Seen {
        let (reference, shift) = (simd.splat_f32s(self.reference), simd.splat_f32s(self.shift));
        let (one, zero) = (simd.splat_f32s(1.0), simd.splat_f32s(0.0));
        let (mut largest, mut above, mut sum) = (simd.splat_f32s(f32::NEG_INFINITY), zero, zero);
        let (vectors, rest) = S::as_simd_f32s(self.block);
        let last = ending(rest);
        for &values in
            vectors.iter().chain(S::as_simd_f32s(&last[..rest.len().next_multiple_of(S::F32_LANES)]).0)
        {
            largest = simd.max_f32s(largest, values);
            let larger = simd.greater_than_f32s(values, reference);
            above = simd.add_f32s(above, simd.select_f32s(larger, one, zero));
            sum = simd.add_f32s(sum, exp(simd, simd.sub_f32s(values, shift)));
        }
        Seen {
            largest: simd.reduce_max_f32s(largest),
            above: simd.reduce_sum_f32s(above),
            sum: simd.reduce_sum_f32s(sum),
        }
    }
}

/// The largest value of a block and the second largest, which is equal to it in a tie.
struct TwoLargest<'a>(&'a [f32]);

impl WithSimd for TwoLargest<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f32, f32) {
        let lowest = simd.splat_f32s(f32::NEG_INFINITY);
        let (mut firsts, mut seconds) = (lowest, lowest);
        let (vectors, rest) = S::as_simd_f32s(self.0);
        for &values in vectors {
            seconds = simd.max_f32s(seconds, simd.min_f32s(firsts, values));
            firsts = simd.max_f32s(firsts, values);
        }
        let (mut largest, mut second) = (f32::NEG_INFINITY, simd.reduce_max_f32s(seconds));
        for &value in bytemuck::cast_slice::<S::f32s, f32>(&[firsts]).iter().chain(rest) {
            second = second.max(largest.min(value));
            largest = largest.max(value);
        }
        (largest, second)
    }
}

/// What is left of a block after its whole vectors. What is behind the end is below everything.
fn ending(rest: &[f32]) -> [f32; LANES] {
    let mut last = [f32::NEG_INFINITY; LANES];
    last[..rest.len()].copy_from_slice(rest);
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However far apart the values of a row lie, its sum neither overflows nor vanishes.
    #[test]
    fn values_far_apart_are_summed_up() {
        for row in [[-500.0, 0.0, 500.0, 499.0], [500.0, -500.0, 499.0, 0.0], [-1e4, -1e4, -1e4, -1e4]] {
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f64 = row.iter().map(|&x| f64::from(x - largest).exp()).sum();
            for block in [1, 2, 4] {
                let mut scan = RowScan::new(0, row[0]);
                for (index, part) in row.chunks(block).enumerate() {
                    scan.add(part, index * block);
                }
                assert!((scan.logsumexp() - f64::from(largest) - sum.ln()).abs() < 1e-6, "{row:?}");
            }
        }
    }

    #[test]
    fn blocks_give_what_the_whole_row_gives() {
        for length in [1, 15, 16, 17, 100, 1000] {
            let row: Vec<f32> = (0..length).map(|i| ((i * 37) % length) as f32 * 0.01 - 3.0).collect();
            let token = length / 2;
            let expected_above = row.iter().filter(|&&x| x > row[token]).count();
            let expected_top = (0..length).fold(0, |best, i| if row[i] > row[best] { i } else { best });
            let sum: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
            let mut sorted = row.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            for block in [7, 64, 4096] {
                // A reference that is rounded a little lower must not count the token itself.
                let mut scan = RowScan::new(token, row[token] - 1e-6);
                for (index, part) in row.chunks(block).enumerate() {
                    scan.add(part, index * block);
                }
                assert_eq!((scan.top, scan.above), (expected_top, expected_above));
                assert!((scan.logsumexp() - sum.ln()).abs() < 1e-6);
                let second = sorted.get(1).copied().unwrap_or(f32::NEG_INFINITY);
                assert_eq!((scan.largest, scan.second), (sorted[0], second));
            }
        }
    }
}
