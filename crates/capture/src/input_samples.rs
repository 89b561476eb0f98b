//! All sequences of an input in memory, for callers that want them so.

use std::path::Path;

use onejump_core::observe::Silent;
use tokenizers::Tokenizer;

use crate::CaptureError;
use crate::samples::Sequence;
use crate::sampling::Sampling;
use crate::source::Source;
use crate::survey::Survey;

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
        assert_eq!(samples.sequences[1].shares[0].sentence.as_deref(), Some("x"));
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
