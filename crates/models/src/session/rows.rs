//! Tokens that go through a block together.

use std::ops::Range;

/// Tokens side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rows {
    /// Where they are kept.
    pub places: Range<usize>,
    /// The place of the first of several tokens that all may come next.
    pub siblings: Option<usize>,
}

impl Rows {
    /// Where the token in a place stands in the text: siblings all where the first of them does.
    pub fn position(&self, place: usize) -> usize {
        self.siblings.map_or(place, |first| place.min(first))
    }

    /// How many of them stand where they are kept, from the first on.
    pub fn in_order(&self) -> usize {
        let Range { start, end } = self.places;
        self.siblings.map_or(end, |first| end.min(first + 1)).saturating_sub(start)
    }

    /// The first token that the one in a place sees, through a window of so many tokens or all the way back.
    pub fn first_seen(&self, place: usize, window: Option<usize>) -> usize {
        window.map_or(0, |window| (self.position(place) + 1).saturating_sub(window))
    }

    /// Whether the token in a place sees another: itself, and those before where it stands.
    pub fn sees(&self, place: usize, other: usize, window: Option<usize>) -> bool {
        other == place || (self.first_seen(place, window)..self.position(place)).contains(&other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_sees_those_before_it_and_no_sibling() {
        let seen = |rows: &Rows, place: usize, window| -> Vec<usize> {
            (0..rows.places.end).filter(|&other| rows.sees(place, other, window)).collect()
        };
        let chain = Rows { places: 3..5, siblings: None };
        assert_eq!((chain.in_order(), chain.position(4)), (2, 4));
        assert_eq!((seen(&chain, 3, None), seen(&chain, 4, None)), (vec![0, 1, 2, 3], vec![0, 1, 2, 3, 4]));
        assert_eq!((seen(&chain, 4, Some(2)), seen(&chain, 4, Some(1))), (vec![3, 4], vec![4]));
        let siblings = Rows { places: 3..7, siblings: Some(4) };
        assert_eq!((siblings.in_order(), siblings.position(6)), (2, 4));
        assert_eq!(
            (seen(&siblings, 3, None), seen(&siblings, 4, None)),
            (vec![0, 1, 2, 3], vec![0, 1, 2, 3, 4])
        );
        assert_eq!(
            (seen(&siblings, 6, None), seen(&siblings, 6, Some(2))),
            (vec![0, 1, 2, 3, 6], vec![3, 6])
        );
        let behind = Rows { places: 5..7, siblings: Some(4) };
        assert_eq!((behind.in_order(), seen(&behind, 5, None)), (0, vec![0, 1, 2, 3, 5]));
    }
}
