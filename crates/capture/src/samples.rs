//! Samples: one sentence, one token position.

use std::path::Path;

use onejump_core::files::{self, FileError};
use onejump_core::seed::{self, Purpose};
use onejump_core::words::{UnknownWord, Word};
use serde::Deserialize;
use strum::{Display, EnumString, IntoStaticStr, VariantArray};
use tokenizers::Tokenizer;

use crate::CaptureError;

/// One sentence and the sampled position in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The text, where known.
    pub sentence: Option<String>,
    /// The token ids of the whole sentence.
    pub token_ids: Vec<i64>,
    /// The sampled position. Nothing after it is computed: the model is causal.
    pub position: usize,
}

impl Sample {
    /// The tokens up to the sampled one; its states depend on these alone.
    pub fn prefix(&self) -> &[i64] {
        &self.token_ids[..=self.position]
    }
}

/// All samples of an input, and what had to be changed or left out.
#[derive(Debug, Clone, PartialEq)]
pub struct InputSamples {
    /// In the order of the input.
    pub samples: Vec<Sample>,
    /// SHA-256 of the input's lines, those left out included.
    pub sha256: String,
    /// Sentences that were longer than the model's context, and were cut.
    pub truncated: usize,
    /// Lines without a usable token, which were left out.
    pub skipped: usize,
}

/// How sentences become samples.
#[derive(Debug, Clone, Copy)]
pub struct Sampling {
    /// The seed of the positions.
    pub seed: u64,
    /// Whether position 0 can be drawn.
    pub position_0: bool,
    /// The longest sequence that the model takes.
    pub context: usize,
    /// Use only so many lines, from the first on.
    pub limit: Option<usize>,
    /// When a beginning-of-sequence token comes first.
    pub bos: Bos,
    /// The id of that token, where the model has one.
    pub bos_id: Option<i64>,
}

/// When a beginning-of-sequence token comes before a sentence; there are never two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Self>)]
pub enum Bos {
    /// As the model's tokenizer does by default.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Word for Bos {
    const WHAT: &'static str = "rule for the beginning-of-sequence token";
}

impl Sampling {
    /// Adds or removes beginning-of-sequence tokens, so that there are as many as the rule wants.
    fn with_bos(&self, mut token_ids: Vec<i64>) -> Vec<i64> {
        let Some(bos) = self.bos_id else { return token_ids };
        let own = token_ids.iter().take_while(|&&id| id == bos).count();
        let wanted = match self.bos {
            Bos::Auto => own.min(1),
            Bos::Always => 1,
            Bos::Never => 0,
        };
        token_ids.splice(..own, std::iter::repeat_n(bos, wanted));
        token_ids
    }
}

/// Reads one sentence a line, tokenises it as the model's tokenizer does by default, and draws a
/// position uniformly over its tokens. Sample i depends only on the seed, on i and on its sentence.
///
/// # Errors
/// [`CaptureError`] if the file cannot be read, is not UTF-8, or has no usable line.
pub fn from_sentences(
    path: &Path,
    tokenizer: &Tokenizer,
    sampling: Sampling,
) -> Result<InputSamples, CaptureError> {
    if sampling.bos == Bos::Always && sampling.bos_id.is_none() {
        return Err(CaptureError::NoBosToken);
    }
    let text = read_text(path)?;
    let lines: Vec<&str> = text.lines().take(sampling.limit.unwrap_or(usize::MAX)).collect();
    let encodings = tokenizer
        .encode_batch(lines.clone(), sampling.bos == Bos::Auto)
        .map_err(|error| CaptureError::Tokenizer { path: path.to_owned(), reason: error.to_string() })?;
    let first = usize::from(!sampling.position_0);
    let (mut truncated, mut skipped) = (0, 0);
    let mut samples = Vec::with_capacity(lines.len());
    for (&line, encoding) in lines.iter().zip(&encodings) {
        let token_ids = encoding.get_ids().iter().map(|&id| i64::from(id)).collect();
        let mut token_ids = sampling.with_bos(token_ids);
        if token_ids.len() > sampling.context {
            token_ids.truncate(sampling.context);
            truncated += 1;
        }
        if line.trim().is_empty() || token_ids.len() <= first {
            skipped += 1;
            continue;
        }
        let mut random = seed::stream(sampling.seed, Purpose::Position, samples.len() as u64);
        let position = first + seed::below(&mut random, (token_ids.len() - first) as u64) as usize;
        samples.push(Sample { sentence: Some(line.to_owned()), token_ids, position });
    }
    let sha256 = files::sha256_bytes(lines.join("\n").as_bytes());
    finish(path, InputSamples { samples, sha256, truncated, skipped })
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
    let text = read_text(path)?;
    let lines: Vec<&str> = text.lines().take(limit.unwrap_or(usize::MAX)).collect();
    let mut samples = Vec::with_capacity(lines.len());
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
        samples.push(Sample { sentence, token_ids, position });
    }
    let sha256 = files::sha256_bytes(lines.join("\n").as_bytes());
    finish(path, InputSamples { samples, sha256, truncated: 0, skipped })
}

fn read_text(path: &Path) -> Result<String, CaptureError> {
    let bytes = std::fs::read(path).map_err(FileError::reading(path))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..valid].iter().filter(|&&byte| byte == b'\n').count() + 1;
        CaptureError::Line { path: path.to_owned(), line, reason: "is not UTF-8 text".into() }
    })
}

/// Says what was left out or cut; an input without samples is an error.
fn finish(path: &Path, set: InputSamples) -> Result<InputSamples, CaptureError> {
    if set.samples.is_empty() {
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
    fn bos_comes_once_or_never() {
        let with = |bos, ids: &[i64]| {
            Sampling { seed: 0, position_0: true, context: 9, limit: None, bos, bos_id: Some(1) }
                .with_bos(ids.to_vec())
        };
        assert_eq!(with(Bos::Auto, &[1, 1, 5]), [1, 5]);
        assert_eq!(with(Bos::Auto, &[5, 1]), [5, 1]);
        assert_eq!(with(Bos::Always, &[5]), [1, 5]);
        assert_eq!(with(Bos::Always, &[1, 5]), [1, 5]);
        assert_eq!(with(Bos::Never, &[1, 5]), [5]);
    }

    #[test]
    fn exact_samples_are_taken_as_they_are() {
        let samples =
            lines("{\"input_ids\": [1, 2, 3], \"position\": 1}\n\n{\"input_ids\": [9], \"position\": 0, \"sentence\": \"x\"}\n")
                .unwrap();
        assert_eq!(samples.samples.len(), 2);
        assert_eq!(samples.samples[0].prefix(), [1, 2]);
        assert_eq!(samples.samples[1].sentence.as_deref(), Some("x"));
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
