//! One pass over a row of logits: its two largest values, ln Σ exp, and how many values lie above one.
//!
//! The logits of a row come in blocks that fit the processor's cache, and are never whole in memory.
//! Exponentials are relative to the largest value of the blocks before, so that each value is read once;
//! a block with so much larger ones that the sum would overflow is read again.

use onejump_simd::exp;
use pulp::{Arch, Simd, WithSimd, bytemuck};

/// Vectors that are worked on beside each other.
const VECTORS: usize = 2;

/// The longest vector of any processor.
const LANES: usize = 16;

/// How far above what exponentials are relative to a value may be: a block of e⁸⁰ has a finite sum in f32.
const LARGEST_EXPONENT: f32 = 80.0;

/// What is known of a row after some of its blocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowScan {
    reference: f32,
    /// The token whose logit the reference is; it is not above itself, however it is rounded.
    token: usize,
    pub largest: f32,
    /// The second largest value; equal to the largest in a tie.
    pub second: f32,
    /// Σ exp(x − largest).
    sum: f64,
    /// The place of the largest value.
    pub top: usize,
    /// How many values are strictly larger than the reference.
    pub above: usize,
}

impl RowScan {
    /// Before the first block. `reference` is the logit of `token`, computed beforehand.
    pub fn new(token: usize, reference: f32) -> Self {
        let lowest = f32::NEG_INFINITY;
        Self { reference, token, largest: lowest, second: lowest, sum: 0.0, top: 0, above: 0 }
    }

    /// ln Σ exp over the blocks so far.
    pub fn logsumexp(&self) -> f64 {
        f64::from(self.largest) + self.sum.ln()
    }

    /// Takes a block of the row that begins at column `start`.
    pub fn add(&mut self, arch: Arch, block: &[f32], start: usize) {
        let Some(&first) = block.first() else { return };
        let reference = self.reference;
        let mut shift = if self.largest == f32::NEG_INFINITY { first } else { self.largest };
        let mut seen = arch.dispatch(Look { block, reference, shift });
        if seen.largest - shift > LARGEST_EXPONENT {
            shift = seen.largest;
            seen = arch.dispatch(Look { block, reference, shift });
        }
        self.above += seen.above;
        if let Some(own) = self.token.checked_sub(start).and_then(|column| block.get(column)) {
            self.above -= usize::from(*own > self.reference);
        }
        self.second = self.second.max(seen.second).max(self.largest.min(seen.largest));
        if seen.largest > self.largest {
            self.sum *= f64::from(self.largest - seen.largest).exp();
            self.largest = seen.largest;
            self.top = start + block.iter().position(|&value| value == seen.largest).unwrap_or(0);
        }
        self.sum += seen.sum * f64::from(shift - self.largest).exp();
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
    second: f32,
    /// How many values are above the reference.
    above: usize,
    /// Σ exp(x − shift).
    sum: f64,
}

impl WithSimd for Look<'_> {
    type Output = Seen;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Seen {
        let (reference, shift) = (simd.splat_f32s(self.reference), simd.splat_f32s(self.shift));
        let mut lanes = [Lanes::new(simd); VECTORS];
        let (vectors, rest) = S::as_simd_f32s(self.block);
        let (chunks, single) = vectors.as_chunks::<VECTORS>();
        for chunk in chunks {
            for (lanes, &values) in lanes.iter_mut().zip(chunk) {
                lanes.add(simd, values, reference, shift);
            }
        }
        for &values in single {
            lanes[0].add(simd, values, reference, shift);
        }
        if !rest.is_empty() {
            // What is behind the end is below everything.
            let mut last = [f32::NEG_INFINITY; LANES];
            last[..rest.len()].copy_from_slice(rest);
            for &values in S::as_simd_f32s(&last).0 {
                lanes[0].add(simd, values, reference, shift);
            }
        }
        let mut all = Lanes::new(simd);
        for lanes in lanes {
            all.second = simd.max_f32s(all.second, lanes.second);
            all.insert(simd, lanes.largest);
            all.above = simd.add_f32s(all.above, lanes.above);
            all.sum = simd.add_f32s(all.sum, lanes.sum);
        }
        let (mut largest, mut second) = (f32::NEG_INFINITY, simd.reduce_max_f32s(all.second));
        for &value in bytemuck::cast_slice::<S::f32s, f32>(&[all.largest]) {
            second = second.max(largest.min(value));
            largest = largest.max(value);
        }
        Seen {
            largest,
            second,
            above: simd.reduce_sum_f32s(all.above) as usize,
            sum: f64::from(simd.reduce_sum_f32s(all.sum)),
        }
    }
}

/// What is seen in each lane.
#[derive(Clone, Copy)]
struct Lanes<S: Simd> {
    largest: S::f32s,
    second: S::f32s,
    /// A count: exact up to 2²⁴.
    above: S::f32s,
    sum: S::f32s,
}

impl<S: Simd> Lanes<S> {
    #[inline(always)]
    fn new(simd: S) -> Self {
        let (lowest, zero) = (simd.splat_f32s(f32::NEG_INFINITY), simd.splat_f32s(0.0));
        Self { largest: lowest, second: lowest, above: zero, sum: zero }
    }

    #[inline(always)]
    fn insert(&mut self, simd: S, values: S::f32s) {
        self.second = simd.max_f32s(self.second, simd.min_f32s(self.largest, values));
        self.largest = simd.max_f32s(self.largest, values);
    }

    #[inline(always)]
    fn add(&mut self, simd: S, values: S::f32s, reference: S::f32s, shift: S::f32s) {
        self.insert(simd, values);
        let above = simd.greater_than_f32s(values, reference);
        let one = simd.select_f32s(above, simd.splat_f32s(1.0), simd.splat_f32s(0.0));
        self.above = simd.add_f32s(self.above, one);
        self.sum = simd.add_f32s(self.sum, exp(simd, simd.sub_f32s(values, shift)));
    }
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
                    scan.add(Arch::new(), part, index * block);
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
                    scan.add(Arch::new(), part, index * block);
                }
                assert_eq!((scan.top, scan.above), (expected_top, expected_above));
                assert!((scan.logsumexp() - sum.ln()).abs() < 1e-6);
                let second = sorted.get(1).copied().unwrap_or(f32::NEG_INFINITY);
                assert_eq!((scan.largest, scan.second), (sorted[0], second));
            }
        }
    }
}
