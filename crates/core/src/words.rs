//! Words with one spelling: in files, in tables, on the command line, and in the message about a wrong one.

use strum::VariantArray;

/// An enum whose names people read and type.
pub trait Word: VariantArray + Copy + Into<&'static str> {
    /// What its values are called, as in "'x' is no solver".
    const WHAT: &'static str;
}

/// A text that is none of an enum's names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no {what}; known: {known}")]
pub struct UnknownWord {
    /// What was given.
    pub text: String,
    /// What was expected.
    pub what: &'static str,
    /// The names that are known, with commas between them.
    pub known: String,
}

impl UnknownWord {
    /// The error about a text that is none of `W`'s names.
    pub fn of<W: Word>(text: &str) -> Self {
        let known: Vec<&str> = W::VARIANTS.iter().map(|&word| word.into()).collect();
        Self { text: text.to_owned(), what: W::WHAT, known: known.join(", ") }
    }
}
