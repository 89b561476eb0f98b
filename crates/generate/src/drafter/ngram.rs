//! What came next where the text's last tokens stood before.

/// A look into the text so far: it costs nothing, and is right where a text repeats itself.
#[derive(Debug, Clone, Copy)]
pub struct Ngram {
    length: usize,
    most: usize,
}

impl Ngram {
    /// How many of the last tokens are looked up.
    pub const LENGTH: usize = 3;
    /// How many tokens are drafted at a time: with the text's last token six rows, which cost little more than one.
    pub const MOST: usize = 5;
    /// One token alone stands before too many others.
    const LEAST: usize = 2;

    /// Looks up the last `length` tokens, or fewer down to two; drafts at most `most` tokens at a time.
    pub fn new(length: usize, most: usize) -> Self {
        Self { length, most }
    }

    /// What came behind the latest place where the text's last tokens stood before, at most `most` tokens: the longest
    /// match counts. A place so late that the text ends too early repeats itself.
    pub fn continuation(&self, text: &[i64], most: usize) -> Vec<i64> {
        let lengths = (Self::LEAST.min(self.length)..=self.length).rev();
        let Some(next) = lengths.filter_map(|length| Self::find(text, length)).next() else {
            return Vec::new();
        };
        let period = text.len() - next;
        (0..self.most.min(most)).map(|index| text[next + index % period]).collect()
    }

    /// Behind the latest place where the last `length` tokens stood before.
    fn find(text: &[i64], length: usize) -> Option<usize> {
        let start = text.len().checked_sub(length).filter(|_| length > 0)?;
        let last = &text[start..];
        let earlier = &text[..text.len() - 1];
        earlier.windows(length).rposition(|tokens| tokens == last).map(|place| place + length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_of_the_longest_matches_goes_on() {
        for (text, length, most, expected) in [
            // Three tokens stood at the beginning; two of them also later.
            (&[1, 2, 3, 4, 9, 2, 3, 5, 1, 2, 3][..], 3, 2, &[4, 9][..]),
            (&[1, 2, 3, 4, 9, 2, 3, 5, 1, 2, 3], 2, 3, &[5, 1, 2]),
            (&[1, 2, 7, 1, 2, 8, 1, 2], 3, 1, &[8]),
            // The last token alone is not enough, unless that is asked for.
            (&[1, 2, 7, 3, 2], 3, 4, &[]),
            (&[1, 2, 7, 3, 2], 1, 2, &[7, 3]),
            // A period of two goes on.
            (&[5, 1, 2, 1, 2], 2, 5, &[1, 2, 1, 2, 1]),
            (&[4, 4, 4], 2, 3, &[4, 4, 4]),
            (&[1], 3, 4, &[]),
            (&[1, 1], 3, 4, &[]),
        ] {
            assert_eq!(Ngram::new(length, most).continuation(text, 9), expected, "{text:?}");
            assert_eq!(Ngram::new(length, 9).continuation(text, most), expected, "{text:?}");
        }
    }
}
