//! Samples: token positions in sentences.

use serde::Deserialize;
use tokenizers::{Encoding, Tokenizer};

use crate::CaptureError;
pub use crate::sampling::{Bos, Sampling};
use crate::texts::Text;

/// A sequence of tokens and the sampled positions in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sequence {
    /// Its token ids.
    pub token_ids: Vec<i64>,
    /// The sampled positions, ascending, at least one. Nothing after the last of them is computed: the model is causal.
    pub positions: Vec<usize>,
    /// The texts that it is made of, in order, at least one.
    pub shares: Vec<Share>,
}

/// What a sequence has of a text: from one token to that before the next share.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// The place of its first token in the sequence.
    pub first: usize,
    /// Its part of the text, where known.
    pub sentence: Option<String>,
    /// The number of the text in the input, from 0; texts that are left out count.
    pub text_id: u64,
    /// Which piece of the text it is, from 0.
    pub chunk: u32,
}

impl Share {
    /// All of a sequence.
    pub(crate) fn whole(sentence: Option<String>, text_id: u64, chunk: u32) -> Self {
        Self { first: 0, sentence, text_id, chunk }
    }
}

impl Sequence {
    /// How many of its tokens are computed: nothing behind the last sampled one.
    pub(crate) fn sampled_tokens(&self) -> usize {
        self.positions.last().map_or(0, |&last| last + 1)
    }

    /// The text that a position is of; none in a sequence that is made of nothing.
    pub(crate) fn share_at(&self, position: usize) -> Option<&Share> {
        let next = self.shares.partition_point(|share| share.first <= position);
        self.shares.get(next.saturating_sub(1))
    }
}

/// Where a batch of texts begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Start {
    /// The number of its first text in the input.
    pub text: u64,
    /// That of its first sequence.
    pub sequence: u64,
    /// That of its first row.
    pub row: usize,
}

/// What was made of a batch of texts.
#[derive(Debug, Default)]
pub(crate) struct Made {
    pub sequences: Vec<Sequence>,
    /// Whether the first begins with a beginning-of-sequence token of the tokenizer or of `--bos`.
    pub bos: bool,
    /// Sentences that were cut to the context.
    pub truncated: usize,
    /// Texts without a usable token.
    pub skipped: usize,
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
            token_ids,
            positions,
            shares: vec![Share::whole(Some(line.clone()), text_id, 0)],
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
        let shares = vec![Share::whole(sentence, text_id, 0)];
        made.sequences.push(Sequence { token_ids, positions: vec![position], shares });
    }
    Ok(made)
}
