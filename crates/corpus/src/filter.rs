//! Which sentences are whole.
//!
//! A dump has more than enough sentences, so a doubtful one is left out.

use std::ops::AddAssign;

use crate::markup::HOLE;
use crate::words::{NEVER_BEFORE_COMMA, NEVER_BEFORE_STOP, NEVER_INSIDE, NEVER_LAST, REPEATABLE};

/// Shorter sentences are mostly captions and fragments.
pub const MIN_WORDS: usize = 6;
/// Longer sentences are mostly lists.
pub const MAX_WORDS: usize = 60;
/// A single word longer than this is a formula, a sequence or an address.
const MAX_WORD_CHARACTERS: usize = 30;
/// At least so many percent of a sentence's characters, spaces aside, are letters.
const MIN_LETTERS_PERCENT: usize = 70;
/// At least so many percent of its letters are Latin.
const MIN_LATIN_PERCENT: usize = 90;
/// At least so many percent of its words begin with a small letter: a list of names is not a sentence.
const MIN_SMALL_PERCENT: usize = 30;

/// Why a sentence was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reject {
    /// Something in it could not be shown as text.
    Hole,
    /// Fewer than [`MIN_WORDS`] or more than [`MAX_WORDS`] words.
    Length,
    /// It does not begin like a sentence.
    Start,
    /// It does not end like a sentence.
    End,
    /// Parentheses or quotation marks do not match.
    Unbalanced,
    /// Remains of markup, an address, or a formula.
    Markup,
    /// Words are missing, or spaces between them.
    Damaged,
    /// Too few words that make a sentence.
    NotProse,
}

impl Reject {
    /// All reasons, in the order of the checks.
    pub const ALL: [Self; 8] = [
        Self::Hole,
        Self::Length,
        Self::Start,
        Self::End,
        Self::Unbalanced,
        Self::Markup,
        Self::Damaged,
        Self::NotProse,
    ];

    /// A few words for the summary.
    pub fn label(self) -> &'static str {
        match self {
            Self::Hole => "a template or formula inside",
            Self::Length => "too short or too long",
            Self::Start => "no sentence start",
            Self::End => "no sentence end",
            Self::Unbalanced => "unmatched quotes or brackets",
            Self::Markup => "markup, address or formula",
            Self::Damaged => "missing words or spaces",
            Self::NotProse => "mostly names or figures",
        }
    }
}

/// How many sentences were left out, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rejected([u64; Reject::ALL.len()]);

impl Rejected {
    /// Counts one sentence.
    pub fn count(&mut self, reason: Reject) {
        self.0[reason as usize] += 1;
    }

    /// How many sentences were left out for this reason.
    pub fn of(&self, reason: Reject) -> u64 {
        self.0[reason as usize]
    }

    /// How many sentences were left out in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl AddAssign for Rejected {
    fn add_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(count, more)| *count += more);
    }
}

/// Checks a tidied sentence.
///
/// # Errors
/// The first reason to leave it out.
pub fn check(sentence: &str) -> Result<(), Reject> {
    let words: Vec<&str> = sentence.split(' ').collect();
    let reasons = [
        (Reject::Hole, sentence.contains(HOLE)),
        (Reject::Length, !(MIN_WORDS..=MAX_WORDS).contains(&words.len())),
        (Reject::Start, !begins_well(sentence)),
        (Reject::End, !ends_well(&words)),
        (Reject::Unbalanced, !is_balanced(sentence)),
        (Reject::Markup, has_markup(sentence)),
        (Reject::Damaged, is_damaged(sentence) || words.iter().any(|word| is_glued(word))),
        (Reject::NotProse, !is_prose(sentence, &words)),
    ];
    match reasons.iter().find(|(_, applies)| *applies) {
        Some(&(reason, _)) => Err(reason),
        None => Ok(()),
    }
}

const OPENING: [char; 5] = ['"', '“', '‘', '(', '\''];
const CLOSING: [char; 5] = ['"', '”', '’', ')', '\''];

fn begins_well(sentence: &str) -> bool {
    let text = sentence.trim_start_matches(OPENING);
    let Some(first) = text.chars().next() else { return false };
    if first.is_ascii_digit() {
        // "1. First item" is a list; "1930s films" and "3,000 people" are not.
        let rest = text.trim_start_matches(|character: char| character.is_ascii_digit());
        return !rest.starts_with(['.', ')', ':']);
    }
    first.is_uppercase()
}

fn ends_well(words: &[&str]) -> bool {
    let Some(last) = words.last() else { return false };
    let word = last.trim_end_matches(CLOSING);
    let Some(stem) = word.strip_suffix(['.', '!', '?']) else { return false };
    let stem = stem.trim_start_matches(OPENING);
    if stem.is_empty() || stem.ends_with([',', ';', ':', '(', '-', '–']) {
        return false;
    }
    let lower = stem.to_lowercase();
    let initial = stem.chars().count() == 1 && stem.chars().all(char::is_uppercase);
    !initial && !NEVER_LAST.contains(&lower.as_str())
}

/// Whether every bracket is closed in order, and straight quotes open and close beside words.
fn is_balanced(sentence: &str) -> bool {
    let mut open = Vec::new();
    let mut quoted = false;
    let characters: Vec<char> = sentence.chars().collect();
    for (index, &character) in characters.iter().enumerate() {
        let before = index.checked_sub(1).map(|index| characters[index]);
        let after = characters.get(index + 1).copied();
        match character {
            '(' | '[' | '“' | '«' => open.push(character),
            ')' | ']' | '”' | '»' => {
                let matching = match character {
                    ')' => '(',
                    ']' => '[',
                    '”' => '“',
                    _ => '«',
                };
                if open.pop() != Some(matching) {
                    return false;
                }
            }
            '"' => {
                let letter = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
                let misplaced = match quoted {
                    false => letter(before) || after.is_none_or(char::is_whitespace),
                    true => letter(after) || before.is_none_or(char::is_whitespace),
                };
                if misplaced {
                    return false;
                }
                quoted = !quoted;
            }
            _ => {}
        }
    }
    open.is_empty() && !quoted
}

fn has_markup(sentence: &str) -> bool {
    const REMAINS: &[&str] = &[
        "''",
        "://",
        "www.",
        "&#",
        "&nbsp",
        "&lt",
        "&gt",
        "&amp",
        "thumb|",
        "ISBN",
        "doi:",
        ".jpg",
        ".png",
        ".svg",
        "--",
        "[[",
        "]]",
        "File:",
        "Image:",
        "Category:",
        "...]",
        "[...",
    ];
    const CHARACTERS: &[char] = &[
        '{', '}', '<', '>', '|', '=', '_', '^', '~', '\\', '*', '#', '@', '\u{FFFD}', '•', '·', '→', '←',
        '↔', '≤', '≥', '≈', '∈', '∑', '∫', '√', '∞', '≡', '∀', '∃', '⟨', '⟩', '†', '‡', '↑', '▲', '▼', '″',
        '′', '`',
    ];
    sentence.contains(CHARACTERS)
        || REMAINS.iter().any(|remains| sentence.contains(remains))
        || sentence.chars().any(|character| character.is_control() || is_private(character))
}

fn is_private(character: char) -> bool {
    matches!(character, '\u{E000}'..='\u{F8FF}' | '\u{FFF0}'..='\u{FFFF}' | '\u{F0000}'..)
}

/// Whether it shows traces of an empty template, or of a word that is missing before a full stop.
fn is_damaged(sentence: &str) -> bool {
    const TRACES: &[&str] = &[
        "()", "[]", "( ", " )", "(,", "(;", "(:", "(.", "(–", ",)", ";)", " ,", " ;", " :", " .", " ?", " !",
        ",,", ";;", ",;", ";,", ",.", ";.", ":.", ":,", "“”", "\"\"", "“ ", " ”", " '' ", "- –", "– –",
        "— —", "– ,", "?.", "!.", " %", "(or )", "(and )", " - - ", "–)", "—)", "-)", "( or", ", )", "’’",
        "\". ", "‘‘", "‘’",
    ];
    if TRACES.iter().any(|trace| sentence.contains(trace)) {
        return true;
    }
    let stops = sentence.trim_end_matches(CLOSING);
    if stops.contains("..") && !stops.contains("...") || stops.contains("....") {
        return true;
    }
    let words: Vec<&str> = sentence.split(' ').collect();
    let repeated = words.windows(2).any(|pair| {
        pair[0] == pair[1] && pair[0].chars().all(char::is_lowercase) && !REPEATABLE.contains(&pair[0])
    });
    // "the," or "of." is an article or a preposition whose noun is missing.
    let dangling = words.iter().any(|word| {
        let bare = word.trim_end_matches(['.', ',', ';', ':', '!', '?']);
        let list = if word.ends_with(['.', '!', '?']) { NEVER_BEFORE_STOP } else { NEVER_BEFORE_COMMA };
        bare.len() < word.len() && list.contains(&bare)
    });
    repeated || dangling || words.windows(2).any(|pair| runs_on(pair[0], pair[1]))
}

/// Whether a sentence ends between two words: a full stop before a small letter or a figure, or a word that starts
/// sentences without a full stop before it.
fn runs_on(before: &str, next: &str) -> bool {
    if before.ends_with(char::is_lowercase) {
        return NEVER_INSIDE.contains(&next);
    }
    let Some(stem) = before.strip_suffix('.') else { return false };
    // Abbreviations, which a small letter may follow, are short ("lit.") or have another full stop inside ("e.g.").
    stem.chars().count() > 4
        && !stem.contains('.')
        && next.starts_with(|first: char| first.is_lowercase() || first.is_ascii_digit())
}

/// Whether a word is really two words, or two sentences, without a space between them.
fn is_glued(word: &str) -> bool {
    if word.chars().count() > MAX_WORD_CHARACTERS {
        return true;
    }
    let characters: Vec<char> = word.chars().collect();
    characters.windows(3).any(|three| {
        let [before, middle, after] = *three else { return false };
        match middle {
            // "end.Next" is two sentences; "U.S." has a capital before the full stop, and "Ph.D." is the exception.
            '.' => before.is_lowercase() && after.is_uppercase() && !word.starts_with("Ph.D"),
            '!' | '?' => after.is_alphanumeric(),
            ',' => {
                before.is_alphabetic() && after.is_alphanumeric()
                    || before.is_numeric() && after.is_alphabetic()
            }
            ';' | ':' => after.is_alphabetic(),
            ')' => after.is_alphanumeric(),
            '(' => before.is_alphabetic() && after.is_uppercase() || before == ')',
            ']' => after.is_uppercase(),
            _ => false,
        }
    })
}

fn is_prose(sentence: &str, words: &[&str]) -> bool {
    let (mut letters, mut latin, mut all) = (0, 0, 0);
    for character in sentence.chars().filter(|character| !character.is_whitespace()) {
        all += 1;
        if character.is_alphabetic() {
            letters += 1;
            latin += usize::from(character < '\u{250}' || ('\u{1E00}'..'\u{1F00}').contains(&character));
        }
    }
    let small =
        words.iter().filter(|word| word.trim_start_matches(OPENING).starts_with(char::is_lowercase)).count();
    letters * 100 >= all * MIN_LETTERS_PERCENT
        && latin * 100 >= letters * MIN_LATIN_PERCENT
        && small * 100 >= words.len() * MIN_SMALL_PERCENT
}

#[cfg(test)]
mod tests {
    use super::{Reject, check};

    #[test]
    fn whole_sentences_pass() {
        for sentence in [
            "The quick brown fox jumps over the lazy dog.",
            "\"We shall see,\" he said to them (and left).",
            "(This one stands in parentheses, as some do.)",
            "1930s films were mostly shot in black and white.",
            "It weighs 3.5 kg, costs $1,200, and was made in the U.S. for export.",
            "He asked: \"Is it true that nobody had seen it?\"",
            "The dogs' owners didn't know that rock 'n' roll had died.",
            "He wrote of “the end of all things” in 1914…!",
        ] {
            assert_eq!(check(sentence), Ok(()), "{sentence}");
        }
    }

    #[test]
    fn every_fault_has_its_reason() {
        for (sentence, reason) in [
            ("It is \u{FFFC} long and wide and deep.", Reject::Hole),
            ("It is short.", Reject::Length),
            (&format!("It {}ends.", "goes on ".repeat(40)), Reject::Length),
            ("and so it went on for many years.", Reject::Start),
            ("1. First item of a list that goes on.", Reject::Start),
            ("He travelled with his old friend Dr.", Reject::End),
            ("The following were seen at the time:", Reject::End),
            ("It was known (to some as the Old Road.", Reject::Unbalanced),
            ("He said \"it is so and left them.", Reject::Unbalanced),
            ("He called it \" the end \" of the road.", Reject::Unbalanced),
            ("See http://example.org for all that is known.", Reject::Markup),
            ("It is {{what}} is left of it all now.", Reject::Markup),
            ("Alan Turing () was an English mathematician and writer.", Reject::Damaged),
            ("Alan Turing (, born in 1912) was an English mathematician.", Reject::Damaged),
            ("It was in the early years.They went home.", Reject::Damaged),
            ("It is one of the oldest of the.", Reject::Damaged),
            ("It was used in the century This is why.", Reject::Damaged),
            ("It grew in the year before. 1930s films were silent.", Reject::Damaged),
            ("It grew in the year before. and then fell.", Reject::Damaged),
            ("They went to the the old house again.", Reject::Damaged),
            ("The word(Greek)is used for all of them.", Reject::Damaged),
            ("Paris, London, Rome, Madrid, Berlin and Vienna.", Reject::NotProse),
            ("From 12 34 56 78 90 12 34 to 99 100 it is.", Reject::NotProse),
        ] {
            assert_eq!(check(sentence), Err(reason), "{sentence}");
        }
    }
}
