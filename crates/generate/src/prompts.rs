//! What a model is given to write something of its own.

use std::fs;
use std::path::Path;

use onejump_core::files::FileError;

use crate::GenerateError;
use crate::loaded::Opened;

/// Beginnings of stories, articles, letters and explanations.
const PROMPTS: [&str; 12] = [
    "The old lighthouse had been dark for many years when",
    "In mathematics, a prime number is",
    "Dear Sir or Madam,\nI am writing to ask",
    "The most important thing to know about growing tomatoes is",
    "Scientists at the university announced on Monday that",
    "Once upon a time, in a village between two rivers,",
    "The history of the railway began",
    "To make a good cup of coffee, first",
    "The city council met yesterday to discuss",
    "Water boils at a lower temperature on a mountain because",
    "She closed the book, looked out of the window and",
    "There are three reasons why people learn a second language.",
];

/// How many tokens are added to each: 384 together, so that a share of 0.95 is known to 0.01.
pub(crate) const TOKENS: usize = 32;

/// The prompts of a file, a line each; empty lines count for nothing.
pub fn read(path: &Path) -> Result<Vec<String>, GenerateError> {
    let text = fs::read_to_string(path).map_err(FileError::reading(path))?;
    let prompts: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if prompts.is_empty() { Err(GenerateError::EmptyPrompt) } else { Ok(prompts) }
}

/// Our own.
pub(crate) fn own() -> Vec<String> {
    PROMPTS.map(str::to_owned).to_vec()
}

/// Our own in tokens.
pub(crate) fn encoded(opened: &Opened) -> Result<Vec<Vec<i64>>, GenerateError> {
    PROMPTS.iter().map(|text| opened.prompt(text)).collect()
}
