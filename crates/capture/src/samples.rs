//! Samples: token positions in sentences.

use std::path::Path;

use onejump_core::files;
use serde::Deserialize;
use tokenizers::Tokenizer;

use crate::CaptureError;
pub use crate::sampling::{Bos, Sampling};
use crate::text;

/// A sequence of tokens and the sampled positions in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sequence {
    /// The text, where known.
    pub sentence: Option<String>,
    /// Its token ids.
    pub token_ids: Vec<i64>,
    /// The sampled positions, ascending, at least one. Nothing after the last of them is computed: the model is causal.
    pub positions: Vec<usize>,
    /// The number of its text in the input, from 0; texts that are left out count.
    pub text_id: u64,
    /// Which piece of its text it is, from 0.
    pub chunk: u32,
}

/// All sequences of an input, and what had to be changed or left out.
#[derive(Debug, Clone, PartialEq)]
pub struct InputSamples {
    /// In the order of the input.
    pub sequences: Vec<Sequence>,
    /// SHA-256 of the input's lines, those left out included.
    pub sha256: String,
    /// Whether the first sequence begins with a beginning-of-sequence token of the tokenizer or of `--bos`.
    pub bos: bool,
    /// Sentences that were longer than the model's context, and were cut.
    pub truncated: usize,
    /// Lines without a usable token, which were left out.
    pub skipped: usize,
}

/// Reads one sentence a line, tokenises it as the model's tokenizer does by default, and draws positions uniformly over
/// its tokens. Those of sentence i depend only on the seed, on i and on its length.
///
/// # Errors
/// [`CaptureError`] if the file cannot be read, is not UTF-8, has no usable line, or a token that the model does not have.
pub fn from_sentences(
    path: &Path,
    tokenizer: &Tokenizer,
    sampling: Sampling,
) -> Result<InputSamples, CaptureError> {
    let content = text::read(path)?;
    let lines: Vec<&str> = content.lines().take(sampling.limit.unwrap_or(usize::MAX)).collect();
    let encodings = tokenizer
        .encode_batch(lines.clone(), true)
        .map_err(|error| CaptureError::Tokenizer { path: path.to_owned(), reason: error.to_string() })?;
    let (mut truncated, mut skipped, mut bos) = (0, 0, false);
    let mut sequences = Vec::with_capacity(lines.len());
    for (index, (&line, encoding)) in lines.iter().zip(&encodings).enumerate() {
        let (mut token_ids, has_bos) = sampling.tokens(encoding)?;
        if token_ids.len() > sampling.context {
            token_ids.truncate(sampling.context);
            truncated += 1;
        }
        let drawn =
            if line.trim().is_empty() { None } else { sampling.draw(sequences.len(), token_ids.len()) };
        let Some(positions) = drawn else {
            skipped += 1;
            continue;
        };
        sampling.check_ids(&token_ids, tokenizer).map_err(|reason| CaptureError::Line {
            path: path.to_owned(),
            line: index + 1,
            reason,
        })?;
        bos |= has_bos && sequences.is_empty();
        let (sentence, text_id) = (Some(line.to_owned()), index as u64);
        sequences.push(Sequence { sentence, token_ids, positions, text_id, chunk: 0 });
    }
    let sha256 = files::sha256_bytes(lines.join("\n").as_bytes());
    finish(path, InputSamples { sequences, sha256, bos, truncated, skipped })
}

/// One line of a `--samples` file.
#[derive(Deserialize)]
struct Line {
    input_ids: Vec<i64>,
    position: usize,
    sentence: Option<String>,
}

/// Reads JSON lines `{"input_ids": [...], "position": p}` with an optional `sentence`.
///
/// # Errors
/// [`CaptureError`] with the line's number if one is malformed, its position outside it, or an id
/// outside the vocabulary.
pub fn from_json_lines(
    path: &Path,
    vocab_size: usize,
    context: usize,
    limit: Option<usize>,
) -> Result<InputSamples, CaptureError> {
    let content = text::read(path)?;
    let lines: Vec<&str> = content.lines().take(limit.unwrap_or(usize::MAX)).collect();
    let mut sequences = Vec::with_capacity(lines.len());
    let mut skipped = 0;
    for (index, line) in lines.iter().enumerate() {
        let wrong = |reason: String| CaptureError::Line { path: path.to_owned(), line: index + 1, reason };
        if line.trim().is_empty() {
            skipped += 1;
            continue;
        }
        let Line { input_ids: token_ids, position, sentence } = serde_json::from_str(line)
            .map_err(|error| wrong(format!("expected {{\"input_ids\": [...], \"position\": p}}: {error}")))?;
        if position >= token_ids.len() {
            return Err(wrong(format!("position {position} is outside its {} tokens", token_ids.len())));
        }
        if position >= context {
            return Err(wrong(format!("position {position} is beyond the model's context of {context}")));
        }
        if let Some(id) = token_ids.iter().find(|&&id| id < 0 || id >= vocab_size as i64) {
            return Err(wrong(format!("token id {id} is outside the vocabulary of {vocab_size}")));
        }
        let text_id = index as u64;
        sequences.push(Sequence { sentence, token_ids, positions: vec![position], text_id, chunk: 0 });
    }
    let sha256 = files::sha256_bytes(lines.join("\n").as_bytes());
    finish(path, InputSamples { sequences, sha256, bos: false, truncated: 0, skipped })
}

impl InputSamples {
    /// Nothing yet.
    pub(crate) fn none() -> Self {
        Self { sequences: Vec::new(), sha256: String::new(), bos: false, truncated: 0, skipped: 0 }
    }
}

/// Says what was left out or cut; an input without samples is an error.
pub(crate) fn finish(path: &Path, set: InputSamples) -> Result<InputSamples, CaptureError> {
    if set.sequences.is_empty() {
        return Err(CaptureError::NoSamples { path: path.to_owned() });
    }
    if set.skipped > 0 {
        tracing::warn!("{}: left out {} lines without a usable token", path.display(), set.skipped);
    }
    if set.truncated > 0 {
        tracing::warn!("{}: cut {} sentences to the model's context", path.display(), set.truncated);
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Result<InputSamples, CaptureError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        from_json_lines(file.path(), 10, 4, None)
    }

    #[test]
    fn exact_samples_are_taken_as_they_are() {
        let samples =
            lines("{\"input_ids\": [1, 2, 3], \"position\": 1}\n\n{\"input_ids\": [9], \"position\": 0, \"sentence\": \"x\"}\n")
                .unwrap();
        assert_eq!(samples.sequences.len(), 2);
        assert_eq!(samples.sequences[0].token_ids, [1, 2, 3]);
        assert_eq!(samples.sequences[0].positions, [1]);
        assert_eq!(samples.sequences[1].sentence.as_deref(), Some("x"));
        assert_eq!(samples.skipped, 1);
    }

    #[test]
    fn a_bad_line_is_named() {
        for (line, reason) in [
            ("{\"input_ids\": [1]}", "missing field `position`"),
            ("{\"input_ids\": [1], \"position\": 1}", "position 1 is outside its 1 tokens"),
            ("{\"input_ids\": [10], \"position\": 0}", "token id 10 is outside the vocabulary of 10"),
            ("{\"input_ids\": [-1], \"position\": 0}", "token id -1 is outside"),
            ("{\"input_ids\": [1,1,1,1,1], \"position\": 4}", "beyond the model's context of 4"),
            ("nonsense", "expected {\"input_ids\""),
        ] {
            let text = format!("{{\"input_ids\": [1], \"position\": 0}}\n{line}\n");
            let error = lines(&text).unwrap_err().to_string();
            assert!(error.contains("line 2") && error.contains(reason), "{error}");
        }
        assert!(lines("\n\n").unwrap_err().to_string().contains("no usable line"));
    }
}
