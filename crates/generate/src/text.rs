//! From tokens to whole characters, up to a text that ends it.

/// Holds back what may become a text that ends everything.
pub(crate) struct Stops<'a> {
    stops: &'a [String],
    held: String,
    /// One was found.
    pub found: bool,
}

impl<'a> Stops<'a> {
    /// The texts, none of them empty.
    pub fn new(stops: &'a [String]) -> Self {
        Self { stops, held: String::new(), found: false }
    }

    /// Takes a piece; returns what can be shown.
    pub fn push(&mut self, piece: &str) -> String {
        self.held += piece;
        let first = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        if let Some(place) = first {
            self.found = true;
            self.held.truncate(place);
            return std::mem::take(&mut self.held);
        }
        let rest = self.held.split_off(self.held.len() - self.begun());
        std::mem::replace(&mut self.held, rest)
    }

    /// What was held back, when nothing more comes.
    pub fn finish(self) -> String {
        self.held
    }

    /// How many bytes at the end are the beginning of a text that ends everything.
    fn begun(&self) -> usize {
        let begins = |stop: &String| {
            let lengths = (1..stop.len()).rev().filter(|&length| stop.is_char_boundary(length));
            lengths.into_iter().find(|&length| self.held.ends_with(&stop[..length])).unwrap_or(0)
        };
        self.stops.iter().map(begins).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_found_across_pieces_and_never_shown() {
        let stops = ["\n\n".to_owned(), "END".to_owned()];
        for (pieces, shown, found) in [
            (vec!["one\n", "\ntwo"], "one", true),
            (vec!["one\n", "two"], "one\ntwo", false),
            (vec!["a E", "N", "D b"], "a ", true),
            (vec!["a E", "N", "E", "ND"], "a EN", true),
            (vec!["a EN"], "a EN", false),
            (vec!["é", "\n"], "é\n", false),
        ] {
            let mut text = Stops::new(&stops);
            let mut all = String::new();
            for piece in pieces {
                all += &text.push(piece);
                assert!(!all.contains("END") && !all.contains("\n\n"));
                if text.found {
                    break;
                }
            }
            assert_eq!(text.found, found, "{shown:?}");
            all += &text.finish();
            assert_eq!(all, shown);
        }
    }
}
