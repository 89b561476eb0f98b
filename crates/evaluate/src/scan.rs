//! One pass over a row of logits: its largest value, ln Σ exp, and how many values lie above one.
//!
//! The logits of a row come in blocks that fit the processor's cache, and are never whole in memory.
//! Every value is read twice: for the maximum and the count, then for the sum of exponentials.

use pulp::{Arch, NullaryFnOnce};

/// Lanes of the inner loops, which the compiler turns into vector instructions.
const LANES: usize = 16;

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
        let Ordered { largest, second, above } =
            arch.dispatch(LargestAndAbove { block, reference: self.reference });
        self.above += above;
        if let Some(own) = self.token.checked_sub(start).and_then(|column| block.get(column)) {
            self.above -= usize::from(*own > self.reference);
        }
        self.second = self.second.max(second).max(self.largest.min(largest));
        if largest > self.largest {
            self.sum *= f64::from(self.largest - largest).exp();
            self.largest = largest;
            self.top = start + block.iter().position(|&value| value == largest).unwrap_or(0);
        }
        self.sum += arch.dispatch(SumOfExponentials { block, largest: self.largest });
    }
}

/// What a block has of the largest values.
struct Ordered {
    largest: f32,
    second: f32,
    /// How many values are above the reference.
    above: usize,
}

/// The two largest values, and how many are above the reference. A struct and not a closure: a closure
/// is compiled by itself, for the oldest processor, before it is dispatched.
struct LargestAndAbove<'a> {
    block: &'a [f32],
    reference: f32,
}

impl NullaryFnOnce for LargestAndAbove<'_> {
    type Output = Ordered;

    #[inline(always)]
    fn call(self) -> Ordered {
        let mut largest = [f32::NEG_INFINITY; LANES];
        let mut second = [f32::NEG_INFINITY; LANES];
        let mut above = [0u32; LANES];
        let (chunks, rest) = self.block.as_chunks::<LANES>();
        for chunk in chunks {
            for lane in 0..LANES {
                let value = chunk[lane];
                let smaller = if value > largest[lane] { largest[lane] } else { value };
                largest[lane] = if value > largest[lane] { value } else { largest[lane] };
                second[lane] = if smaller > second[lane] { smaller } else { second[lane] };
                above[lane] += u32::from(value > self.reference);
            }
        }
        let above = above.iter().sum::<u32>() as usize
            + rest.iter().map(|&value| usize::from(value > self.reference)).sum::<usize>();
        let values = largest.iter().chain(&second).chain(rest);
        let (largest, second) = values
            .fold((f32::NEG_INFINITY, f32::NEG_INFINITY), |(first, second), &value| {
                (first.max(value), second.max(first.min(value)))
            });
        Ordered { largest, second, above }
    }
}

/// Σ exp(x − largest).
struct SumOfExponentials<'a> {
    block: &'a [f32],
    largest: f32,
}

impl NullaryFnOnce for SumOfExponentials<'_> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let mut sums = [0f32; LANES];
        let (chunks, rest) = self.block.as_chunks::<LANES>();
        for chunk in chunks {
            for lane in 0..LANES {
                sums[lane] += exp(chunk[lane] - self.largest);
            }
        }
        let rest: f64 = rest.iter().map(|&value| f64::from(exp(value - self.largest))).sum();
        sums.iter().map(|&sum| f64::from(sum)).sum::<f64>() + rest
    }
}

/// eˣ for x ≤ 0, with a relative error below 3e-7; 0 where it would be below 1e-37.
///
/// x = n·ln 2 + r with |r| ≤ ln 2 / 2; eʳ is its Taylor polynomial, 2ⁿ an exponent field.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Below this the result is not a normal number.
    const SMALLEST: f32 = -85.0;
    /// Adding and taking this away rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts: the first has few enough bits for n·LN_2_HIGH to be exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = if x < SMALLEST { SMALLEST } else { x };
    let n = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let series =
        1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r / 720.0)))));
    let power = f32::from_bits((((n as i32) + 127) << 23) as u32);
    series * power
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The series errs by r⁷/5040 ≤ 1.2e-7 at |r| = 0.35, rounding adds about as much: 3e-7.
    #[test]
    fn exp_is_exact_to_3e_7() {
        for step in 0..85_000 {
            let x = -(step as f32) * 1e-3;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 3e-7, "{x}: {} {exact}", exp(x));
        }
        assert!(exp(f32::NEG_INFINITY) < 1e-36);
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
