//! Random numbers that depend on nothing but the run's seed.
//!
//! Every use has its own stream, so that the numbers of one sample depend neither on the samples
//! before it nor on how the work is divided.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream of random numbers is used for; each use is independent of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Which token of a sentence is sampled; the index is the sample's number.
    Position = 1,
    /// Initial weights of a shortcut; the index is its level.
    Init = 2,
    /// The order of the samples in gradient descent; the index is the level.
    Order = 3,
    /// Which sentences are drawn from a corpus.
    Corpus = 4,
    /// Which samples a bootstrap draws again; the index is the resample.
    Bootstrap = 5,
    /// Which tokens a step of gradient descent looks at.
    Tokens = 6,
    /// Which token a text goes on with; the index is its position.
    Draw = 7,
}

/// The stream of random numbers for one purpose and one index.
pub fn stream(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ ((purpose as u64) << 56));
    rng.set_stream(index);
    rng
}

/// A whole number below `bound`, every one equally likely (Lemire's method, with rejection).
///
/// # Panics
/// If `bound` is 0.
pub fn below(rng: &mut impl Rng, bound: u64) -> u64 {
    assert!(bound > 0, "nothing lies below 0");
    let reject_below = bound.wrapping_neg() % bound;
    loop {
        let product = u128::from(rng.next_u64()) * u128::from(bound);
        if product as u64 >= reject_below {
            return (product >> 64) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_seed_purpose_and_index() {
        let first = |seed, purpose, index| stream(seed, purpose, index).next_u64();
        let base = first(0, Purpose::Position, 5);
        assert_eq!(base, first(0, Purpose::Position, 5));
        assert_ne!(base, first(1, Purpose::Position, 5));
        assert_ne!(base, first(0, Purpose::Init, 5));
        assert_ne!(base, first(0, Purpose::Position, 6));
    }

    /// 60,000 draws over 6 values: each within five standard deviations (5·√(60000·5/36) ≈ 456).
    #[test]
    fn below_is_uniform() {
        let mut counts = [0u32; 6];
        for index in 0..60_000 {
            counts[below(&mut stream(7, Purpose::Position, index), 6) as usize] += 1;
        }
        assert!(counts.iter().all(|&count| count.abs_diff(10_000) < 456), "{counts:?}");
    }
}
