//! Splits a paragraph into sentences.
//!
//! Unicode's sentence boundaries (UAX #29) break after every full stop before a capital. Where that is wrong, the pieces
//! are joined again: after abbreviations, initials and acronyms, and inside parentheses and quotations.

use unicode_segmentation::UnicodeSegmentation;

use crate::words::{AMBIGUOUS, BEFORE_NAMES, BEFORE_NUMBERS, STARTERS};

/// How many further pieces a quotation or parenthesis may join to one sentence.
const MAX_JOINED: usize = 3;

/// The sentences of one paragraph, in order, without the spaces between them.
pub fn sentences(paragraph: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for piece in paragraph.split_sentence_bounds() {
        match pieces.last_mut() {
            Some(before) if continues(before, piece) => before.push_str(piece),
            _ => pieces.push(piece.to_owned()),
        }
    }
    let mut sentences = Vec::with_capacity(pieces.len());
    let mut rest = pieces.as_slice();
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(closing_piece(rest) + 1);
        let sentence = head.concat();
        if !sentence.trim().is_empty() {
            sentences.push(sentence.trim().to_owned());
        }
        rest = tail;
    }
    sentences
}

/// Which piece closes the parentheses and quotations that the first piece opens; 0, the first itself, if none does.
fn closing_piece(pieces: &[String]) -> usize {
    let mut nesting = Nesting::default();
    for (index, piece) in pieces.iter().enumerate().take(MAX_JOINED + 1) {
        nesting.read(piece);
        if nesting.is_closed() {
            return index;
        }
        if nesting.is_broken() {
            return 0;
        }
    }
    0
}

/// How many parentheses and quotations are open.
#[derive(Default)]
struct Nesting {
    round: i32,
    square: i32,
    curly_quotes: i32,
    straight_quotes: i32,
}

impl Nesting {
    fn read(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '(' => self.round += 1,
                ')' => self.round -= 1,
                '[' => self.square += 1,
                ']' => self.square -= 1,
                '“' => self.curly_quotes += 1,
                '”' => self.curly_quotes -= 1,
                '"' => self.straight_quotes += 1,
                _ => {}
            }
        }
    }

    fn is_closed(&self) -> bool {
        self.round == 0 && self.square == 0 && self.curly_quotes == 0 && self.straight_quotes % 2 == 0
    }

    fn is_broken(&self) -> bool {
        self.round < 0 || self.square < 0 || self.curly_quotes < 0
    }
}

/// Whether the sentence that `before` ends with goes on in `next`.
fn continues(before: &str, next: &str) -> bool {
    let before = before.trim_end();
    let Some(first) = next.chars().next() else { return true };
    if first.is_lowercase() || matches!(first, ',' | ';' | ':' | ')' | ']' | '%') {
        return true;
    }
    let Some(stem) = before.strip_suffix('.') else { return false };
    let word = stem.rsplit([' ', '(', '[', '"', '“', '‘', '/', '–', '—']).next().unwrap_or(stem);
    if word.is_empty() {
        return false;
    }
    let starts_sentence = || {
        let first = next.split([' ', ',']).next().unwrap_or(next);
        STARTERS.contains(&first.trim_start_matches(['"', '“', '(']))
    };
    let lower = word.to_lowercase();
    let initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase);
    if initial {
        return !starts_sentence();
    }
    if BEFORE_NAMES.contains(&lower.as_str()) {
        return true;
    }
    if BEFORE_NUMBERS.contains(&lower.as_str()) {
        return first.is_ascii_digit() || is_roman(next);
    }
    if is_acronym(word) || AMBIGUOUS.contains(&lower.as_str()) {
        return !starts_sentence();
    }
    // Hyphenated first names: "J.-P. Sartre".
    word.ends_with(|last: char| last.is_uppercase()) && word.contains(".-")
}

/// `U.S`, `B.C`, `e.g`, `Ph.D`: one to three letters between full stops.
fn is_acronym(word: &str) -> bool {
    word.contains('.')
        && word
            .split('.')
            .all(|part| (1..=3).contains(&part.chars().count()) && part.chars().all(char::is_alphabetic))
}

fn is_roman(next: &str) -> bool {
    let word = next.split([' ', ',', '.', ')']).next().unwrap_or(next);
    !word.is_empty() && word.chars().all(|letter| matches!(letter, 'I' | 'V' | 'X' | 'L'))
}

#[cfg(test)]
mod tests {
    use super::sentences;

    #[track_caller]
    fn check(expected: &[&str]) {
        assert_eq!(sentences(&expected.join(" ")), expected);
    }

    #[test]
    fn plain_sentences_part() {
        check(&["It rained.", "Did it stop?", "No!", "The end came (at last)."]);
        check(&["He died in 1990.", "“Why?” she asked.", "\"Go.\"", "(They left.)"]);
    }

    #[test]
    fn abbreviations_join() {
        check(&["Some eat plants, seeds, etc.", "Merguez is eaten too."]);
        check(&["Dr. Smith met Mr. J. R. R. Tolkien and St. Paul at Mt. Etna vs. Gen. Lee."]);
        check(&["Some animals, e.g. Darwin's finches (cf. Darwin), i.e. Birds, adapt.", "Others do not."]);
        check(&["See No. 5 and pp. 12–13 of vol. IV for it.", "He said no.", "Then he left."]);
        check(&["J.-P. Sartre wrote it.", "It sold."]);
    }

    #[test]
    fn acronyms_end_a_sentence_only_before_a_typical_start() {
        check(&["He moved to the U.S. Congress in the U.S.", "The rest stayed."]);
        check(&["It began in 300 B.C.", "However, little remains of Apple Inc. and Ford Co. Ltd. products."]);
        check(&["They fought in World War I.", "In 1920 he died."]);
    }

    #[test]
    fn numbers_and_names_with_stops_stay_whole() {
        check(&["It weighs 3.5 kg and costs $1.20 at Amazon.com today.", "Yahoo! is a site."]);
    }

    #[test]
    fn quotations_and_parentheses_stay_whole() {
        check(&["He said \"I came. I saw.\" and left.", "It is (see above. Or below.) here.", "Next one."]);
        check(&["A stray ( stays alone.", "The next is free.", "And this.", "And that.", "And more."]);
    }
}
