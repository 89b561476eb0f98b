//! Texts of any length as sequences: tokenised some at a time, the long ones cut into chunks.

use std::path::Path;

use onejump_core::files;
use tokenizers::Tokenizer;

use crate::samples::{self, InputSamples, Sequence};
use crate::sampling::Sampling;
use crate::texts::{Text, TextInput};
use crate::{CaptureError, DEFAULT_CHUNK_TOKENS};

/// Texts that are tokenised together, at most: enough for every thread to have some.
const BATCH_TEXTS: usize = 1024;

/// The same in bytes, after which no further text is added.
const BATCH_BYTES: usize = 4 << 20;

/// How many tokens a chunk has at most.
///
/// # Errors
/// [`CaptureError::ChunkTokens`] if that is more than the model takes.
pub(crate) fn chunk_tokens(input: &TextInput, context: usize) -> Result<usize, CaptureError> {
    let found = input.chunk_tokens.unwrap_or(DEFAULT_CHUNK_TOKENS.min(context));
    if found > context { Err(CaptureError::ChunkTokens { found, least: 1, context }) } else { Ok(found) }
}

/// Reads texts, tokenises them as the model's tokenizer does by default, cuts those that are longer than a chunk,
/// and draws positions uniformly over the tokens of each chunk. Texts that fit have the ids and positions of the same
/// texts as sentences.
///
/// # Errors
/// [`CaptureError`] if a file cannot be read or has something else than texts, there is no usable text, or a token that the
/// model does not have.
pub(crate) fn from_texts(
    input: &TextInput,
    tokenizer: &Tokenizer,
    sampling: &Sampling,
) -> Result<InputSamples, CaptureError> {
    let chunk_tokens = chunk_tokens(input, sampling.context)?;
    let mut collected = Collected { tokenizer, sampling, chunk_tokens, texts: 0, set: InputSamples::none() };
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for text in input.texts()?.take(sampling.limit.unwrap_or(usize::MAX)) {
        let text = text?;
        bytes += text.text.len();
        batch.push(text);
        if batch.len() == BATCH_TEXTS || bytes >= BATCH_BYTES {
            collected.add(&std::mem::take(&mut batch))?;
            bytes = 0;
        }
    }
    collected.add(&batch)?;
    samples::finish(Path::new(&input.name()), collected.set)
}

/// The sequences of the texts so far.
struct Collected<'a> {
    tokenizer: &'a Tokenizer,
    sampling: &'a Sampling,
    chunk_tokens: usize,
    /// How many texts there were.
    texts: u64,
    set: InputSamples,
}

impl Collected<'_> {
    fn add(&mut self, batch: &[Text]) -> Result<(), CaptureError> {
        let texts: Vec<&str> = batch.iter().map(|text| text.text.as_str()).collect();
        let encodings = self.tokenizer.encode_batch(texts, true).map_err(|error| {
            let path = batch.first().map(|text| text.path.clone()).unwrap_or_default();
            CaptureError::Tokenizer { path, reason: error.to_string() }
        })?;
        for (Text { text, path, place }, encoding) in batch.iter().zip(&encodings) {
            // A chain of hashes: the whole is in memory nowhere.
            let chained = [self.set.sha256.as_bytes(), text.as_bytes()].concat();
            self.set.sha256 = files::sha256_bytes(&chained);
            let (text_id, before) = (self.texts, self.set.sequences.len());
            self.texts += 1;
            let usable = !text.trim().is_empty();
            let pieces =
                if usable { self.sampling.pieces(text, encoding, self.chunk_tokens)? } else { Vec::new() };
            for (chunk, piece) in (0..).zip(pieces) {
                let number = self.set.sequences.len();
                let Some(positions) = self.sampling.draw(number, piece.token_ids.len()) else { continue };
                let checked = self.sampling.check_ids(&piece.token_ids, self.tokenizer);
                checked.map_err(|reason| place.wrong(path, reason))?;
                self.set.bos |= piece.has_bos && number == 0;
                let (sentence, token_ids) = (Some(piece.text), piece.token_ids);
                self.set.sequences.push(Sequence { sentence, token_ids, positions, text_id, chunk });
            }
            self.set.skipped += usize::from(self.set.sequences.len() == before);
        }
        Ok(())
    }
}
