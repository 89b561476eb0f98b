//! Which positions of a text are sampled.

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::str::FromStr;

use onejump_core::seed::{self, Purpose};

/// How many positions of a text are sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// So many, or all of a text that has fewer.
    Some(NonZeroUsize),
    /// All.
    All,
}

impl Positions {
    /// One position of each text, as in the paper.
    pub const ONE: Self = Self::Some(NonZeroUsize::MIN);

    /// Draws positions out of some, uniformly and without replacement; they ascend. They depend only on the seed, on the
    /// sequence's number and on `available`. Those of a smaller number are among those of a larger one.
    pub fn draw(self, seed: u64, sequence: u64, available: Range<usize>) -> Vec<usize> {
        let mut positions: Vec<usize> = available.collect();
        let Self::Some(count) = self else { return positions };
        let mut random = seed::stream(seed, Purpose::Position, sequence);
        let count = count.get().min(positions.len());
        for drawn in 0..count {
            let place = drawn + seed::below(&mut random, (positions.len() - drawn) as u64) as usize;
            positions.swap(drawn, place);
        }
        positions.truncate(count);
        positions.sort_unstable();
        positions
    }
}

impl fmt::Display for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Some(count) => count.fmt(f),
            Self::All => f.write_str("all"),
        }
    }
}

impl FromStr for Positions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            number => number
                .parse()
                .map(Self::Some)
                .map_err(|_| format!("'{text}' is no number of positions; give 1 or more, or all")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(count: &str, sequence: u64, available: Range<usize>) -> Vec<usize> {
        count.parse::<Positions>().unwrap().draw(7, sequence, available)
    }

    #[test]
    fn one_position_is_drawn_as_ever_and_more_hold_it() {
        for sequence in 0..200 {
            let length = 1 + sequence as usize % 30;
            for first in [0, 1] {
                let available = first..first + length;
                let mut random = seed::stream(7, Purpose::Position, sequence);
                let one = first + seed::below(&mut random, length as u64) as usize;
                assert_eq!(draw("1", sequence, available.clone()), [one]);
                let (three, eight) =
                    (draw("3", sequence, available.clone()), draw("8", sequence, available.clone()));
                assert!(three.contains(&one) && three.iter().all(|position| eight.contains(position)));
                assert_eq!((three.len(), eight.len()), (3.min(length), 8.min(length)));
                assert!(eight.windows(2).all(|pair| pair[0] < pair[1]));
                assert!(eight.iter().all(|position| available.contains(position)));
                assert!(draw("all", sequence, available.clone()).into_iter().eq(available));
            }
        }
    }

    /// Of 20,000 draws of 2 out of 5 positions, each pair is drawn 2,000 times, within five standard deviations
    /// (5·√(20000·0.1·0.9) ≈ 212).
    #[test]
    fn every_set_is_as_likely() {
        let mut counts = [[0u32; 5]; 5];
        for sequence in 0..20_000 {
            let drawn = draw("2", sequence, 0..5);
            counts[drawn[0]][drawn[1]] += 1;
        }
        for (low, high) in (0..5).flat_map(|low| (low + 1..5).map(move |high| (low, high))) {
            assert!(counts[low][high].abs_diff(2000) < 212, "{counts:?}");
        }
    }

    #[test]
    fn a_number_is_read_as_it_is_written() {
        for text in ["1", "8", "all"] {
            assert_eq!(text.parse::<Positions>().unwrap().to_string(), text);
        }
        for text in ["0", "-1", "ALL", ""] {
            assert!(text.parse::<Positions>().unwrap_err().contains("give 1 or more, or all"));
        }
    }
}
