//! Samples: one sentence, one token position.

use std::path::Path;

use onejump_core::files;
use onejump_core::seed::{self, Purpose};
use onejump_core::words::{UnknownWord, Word};
use serde::Deserialize;
use strum::{Display, EnumString, IntoStaticStr, VariantArray};
use tokenizers::{Encoding, Tokenizer};

use crate::CaptureError;
use crate::text;

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
    /// Whether the first sample begins with a beginning-of-sequence token of the tokenizer or of `--bos`.
    pub bos: bool,
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
    /// V.
    pub vocab_size: usize,
    /// The longest sequence that the model takes.
    pub context: usize,
    /// Use only so many lines, from the first on.
    pub limit: Option<usize>,
    /// When a beginning-of-sequence token comes first.
    pub bos: Bos,
    /// The id of that token in the model's configuration, where it has one.
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
    /// A sentence's token ids with as many beginning-of-sequence tokens as the rule wants, and whether there is one. The
    /// rest is as the tokenizer has it, the end-of-sequence token that some add included.
    ///
    /// The beginning is what the tokenizer puts before a sentence. The configuration's token counts where the tokenizer
    /// puts none, or where the sentence begins with it.
    fn tokens(&self, encoding: &Encoding) -> Result<(Vec<i64>, bool), CaptureError> {
        let ids: Vec<i64> = encoding.get_ids().iter().map(|&id| i64::from(id)).collect();
        let added = encoding.get_special_tokens_mask().iter().take_while(|&&mask| mask == 1).count();
        let bos = ids[..added].first().copied().or(self.bos_id);
        let own = added + ids[added..].iter().take_while(|&&id| Some(id) == bos).count();
        let (beginning, sentence) = ids.split_at(own);
        let mut beginning = match (self.bos, beginning.is_empty()) {
            (Bos::Never, _) => Vec::new(),
            (Bos::Always, true) => vec![bos.ok_or(CaptureError::NoBosToken)?],
            _ => beginning.to_vec(),
        };
        beginning.dedup();
        let has_bos = !beginning.is_empty();
        beginning.extend(sentence);
        Ok((beginning, has_bos))
    }

    /// Refuses a token that the model has no embedding for.
    fn check_ids(&self, ids: &[i64], tokenizer: &Tokenizer) -> Result<(), String> {
        let Some(&id) = ids.iter().find(|&&id| id >= self.vocab_size as i64) else { return Ok(()) };
        let token = u32::try_from(id).ok().and_then(|id| tokenizer.id_to_token(id)).unwrap_or_default();
        Err(format!(
            "token '{token}' has the id {id}, which is outside the model's vocabulary of {}: the tokenizer knows tokens \
             that the model has no embedding for",
            self.vocab_size
        ))
    }
}

/// Reads one sentence a line, tokenises it as the model's tokenizer does by default, and draws a
/// position uniformly over its tokens. Sample i depends only on the seed, on i and on its sentence.
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
    let first = usize::from(!sampling.position_0);
    let (mut truncated, mut skipped, mut bos) = (0, 0, false);
    let mut samples = Vec::with_capacity(lines.len());
    for (index, (&line, encoding)) in lines.iter().zip(&encodings).enumerate() {
        let (mut token_ids, has_bos) = sampling.tokens(encoding)?;
        if token_ids.len() > sampling.context {
            token_ids.truncate(sampling.context);
            truncated += 1;
        }
        if line.trim().is_empty() || token_ids.len() <= first {
            skipped += 1;
            continue;
        }
        sampling.check_ids(&token_ids, tokenizer).map_err(|reason| CaptureError::Line {
            path: path.to_owned(),
            line: index + 1,
            reason,
        })?;
        bos |= has_bos && samples.is_empty();
        let mut random = seed::stream(sampling.seed, Purpose::Position, samples.len() as u64);
        let position = first + seed::below(&mut random, (token_ids.len() - first) as u64) as usize;
        samples.push(Sample { sentence: Some(line.to_owned()), token_ids, position });
    }
    let sha256 = files::sha256_bytes(lines.join("\n").as_bytes());
    finish(path, InputSamples { samples, sha256, bos, truncated, skipped })
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
    finish(path, InputSamples { samples, sha256, bos: false, truncated: 0, skipped })
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

    /// Token 1 is the configuration's; the last argument says which tokens the tokenizer has added by itself.
    fn with(
        bos: Bos,
        bos_id: Option<i64>,
        ids: &[u32],
        added: &[u32],
    ) -> Result<(Vec<i64>, bool), CaptureError> {
        let n = ids.len();
        let encoding = Encoding::new(
            ids.to_vec(),
            vec![0; n],
            vec![String::new(); n],
            vec![None; n],
            vec![(0, 0); n],
            added.to_vec(),
            vec![1; n],
            Vec::new(),
            Default::default(),
        );
        Sampling { seed: 0, position_0: true, vocab_size: 9, context: 9, limit: None, bos, bos_id }
            .tokens(&encoding)
    }

    #[test]
    fn bos_comes_once_or_never_and_the_end_stays() {
        let plain = |bos, ids: &[u32]| with(bos, Some(1), ids, &vec![0; ids.len()]).unwrap();
        assert_eq!(plain(Bos::Auto, &[1, 1, 5]), (vec![1, 5], true));
        assert_eq!(plain(Bos::Auto, &[5, 1]), (vec![5, 1], false));
        assert_eq!(plain(Bos::Always, &[5]), (vec![1, 5], true));
        assert_eq!(plain(Bos::Always, &[1, 5]), (vec![1, 5], true));
        assert_eq!(plain(Bos::Never, &[1, 5]), (vec![5], false));
        // A beginning and an end: [1] 5 [2], and one that the sentence has by itself.
        let both = |bos| with(bos, Some(1), &[1, 1, 5, 2], &[1, 0, 0, 1]).unwrap().0;
        assert_eq!(
            [both(Bos::Auto), both(Bos::Always), both(Bos::Never)],
            [vec![1, 5, 2], vec![1, 5, 2], vec![5, 2]]
        );
        // An end alone.
        let end = |bos| with(bos, Some(1), &[5, 2], &[0, 1]).unwrap().0;
        assert_eq!(
            [end(Bos::Auto), end(Bos::Always), end(Bos::Never)],
            [vec![5, 2], vec![1, 5, 2], vec![5, 2]]
        );
        // The tokenizer's beginning is not the configuration's, which is then a token like others.
        let other = |bos| with(bos, Some(1), &[7, 1, 5], &[1, 0, 0]).unwrap().0;
        assert_eq!(
            [other(Bos::Auto), other(Bos::Always), other(Bos::Never)],
            [vec![7, 1, 5], vec![7, 1, 5], vec![1, 5]]
        );
        // The configuration has none.
        assert_eq!(with(Bos::Always, None, &[7, 5], &[1, 0]).unwrap(), (vec![7, 5], true));
        assert!(matches!(with(Bos::Always, None, &[5], &[0]), Err(CaptureError::NoBosToken)));
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
