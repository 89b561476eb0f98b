//! Samples: token positions in sentences.

use std::path::Path;

use onejump_core::observe::Silent;
use serde::Deserialize;
use tokenizers::{Encoding, Tokenizer};

use crate::CaptureError;
pub use crate::sampling::{Bos, Sampling};
use crate::source::{Made, Source, Start};
use crate::survey::Survey;
use crate::texts::Text;

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

impl Sequence {
    /// How many of its tokens are computed: nothing behind the last sampled one.
    pub(crate) fn sampled_tokens(&self) -> usize {
        self.positions.last().map_or(0, |&last| last + 1)
    }
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
/// its tokens. Those of sentence i depend only on the seed, on i and on its length. All are in memory then, which a capture
/// does without.
///
/// # Errors
/// [`CaptureError`] if the file cannot be read, is not UTF-8, has no usable line, or a token that the model does not have.
pub fn from_sentences(
    path: &Path,
    tokenizer: Tokenizer,
    sampling: Sampling,
) -> Result<InputSamples, CaptureError> {
    collected(&Source::sentences(path, tokenizer, sampling)?)
}

/// Reads JSON lines `{"input_ids": [...], "position": p}` with an optional `sentence`. All are in memory then.
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
    collected(&Source::samples(path, Sampling::exact(vocab_size, context, limit))?)
}

fn collected(source: &Source) -> Result<InputSamples, CaptureError> {
    let survey = Survey::of(source, &Silent)?;
    let mut sequences = Vec::new();
    for (batch, &start) in source.batches()?.zip(&survey.starts) {
        sequences.extend(source.sequences(&batch?, start)?.sequences);
    }
    let Survey { sha256, bos, truncated, skipped, .. } = survey;
    Ok(InputSamples { sequences, sha256, bos, truncated, skipped })
}

/// The sequences of a batch of sentences.
pub(crate) fn of_sentences(
    batch: &[Text],
    tokenizer: &Tokenizer,
    sampling: &Sampling,
    start: Start,
) -> Result<Made, CaptureError> {
    let mut made = Made::default();
    for ((text_id, text), encoding) in (start.text..).zip(batch).zip(encoded(batch, tokenizer)?) {
        let Text { text: line, path, place, .. } = text;
        let (mut token_ids, has_bos) = sampling.tokens(&encoding)?;
        if token_ids.len() > sampling.context {
            token_ids.truncate(sampling.context);
            made.truncated += 1;
        }
        let number = start.sequence + made.sequences.len() as u64;
        let drawn = if line.trim().is_empty() { None } else { sampling.draw(number, token_ids.len()) };
        let Some(positions) = drawn else {
            made.skipped += 1;
            continue;
        };
        sampling.check_ids(&token_ids, tokenizer).map_err(|reason| place.wrong(path, reason))?;
        made.bos |= has_bos && made.sequences.is_empty();
        made.sequences.push(Sequence {
            sentence: Some(line.clone()),
            token_ids,
            positions,
            text_id,
            chunk: 0,
        });
    }
    Ok(made)
}

/// Texts as the tokenizer encodes them, on several threads: with the special tokens around them, unless a template has put
/// them.
pub(crate) fn encoded(batch: &[Text], tokenizer: &Tokenizer) -> Result<Vec<Encoding>, CaptureError> {
    let mut encodings = Vec::with_capacity(batch.len());
    for alike in batch.chunk_by(|one, next| one.templated == next.templated) {
        let texts: Vec<&str> = alike.iter().map(|text| text.text.as_str()).collect();
        let encoded = tokenizer.encode_batch(texts, !alike[0].templated).map_err(|error| {
            CaptureError::Tokenizer { path: alike[0].path.clone(), reason: error.to_string() }
        });
        encodings.extend(encoded?);
    }
    Ok(encodings)
}

/// One line of a `--samples` file.
#[derive(Deserialize)]
struct Line {
    input_ids: Vec<i64>,
    position: usize,
    sentence: Option<String>,
}

/// The sequences of a batch of lines of JSON.
pub(crate) fn of_json_lines(batch: &[Text], sampling: &Sampling, start: Start) -> Result<Made, CaptureError> {
    let (vocab_size, context) = (sampling.vocab_size, sampling.context);
    let mut made = Made::default();
    for (text_id, Text { text: line, path, place, .. }) in (start.text..).zip(batch) {
        let wrong = |reason: String| place.wrong(path, reason);
        if line.trim().is_empty() {
            made.skipped += 1;
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
        made.sequences.push(Sequence { sentence, token_ids, positions: vec![position], text_id, chunk: 0 });
    }
    Ok(made)
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
