//! Texts of any length as sequences: tokenised some at a time, the long ones cut into chunks.

use tokenizers::Tokenizer;

use crate::samples::{Made, Sequence, Share, Start, encoded};
use crate::sampling::Sampling;
use crate::texts::{Text, TextInput};
use crate::{CaptureError, DEFAULT_CHUNK_TOKENS};

/// How many tokens a chunk has at most.
///
/// # Errors
/// [`CaptureError::ChunkTokens`] if that is more than the model takes.
pub(crate) fn chunk_tokens(input: &TextInput, context: usize) -> Result<usize, CaptureError> {
    let found = input.chunk_tokens.unwrap_or(DEFAULT_CHUNK_TOKENS.min(context));
    if found > context { Err(CaptureError::ChunkTokens { found, least: 1, context }) } else { Ok(found) }
}

/// The sequences of a batch of texts: tokenised as the model's tokenizer does by default, those that are longer than a chunk
/// cut, and with positions drawn uniformly over the tokens of each chunk. Texts that fit have the ids and positions of
/// the same texts as sentences.
///
/// # Errors
/// [`CaptureError`] if a text has a token that the model does not have, or chunks have no room.
pub(crate) fn of_texts(
    batch: &[Text],
    tokenizer: &Tokenizer,
    sampling: &Sampling,
    chunk_tokens: usize,
    start: Start,
) -> Result<Made, CaptureError> {
    let mut made = Made::default();
    for ((text_id, text), encoding) in (start.text..).zip(batch).zip(encoded(batch, tokenizer)?) {
        let Text { text, path, place, .. } = text;
        let before = made.sequences.len();
        let usable = !text.trim().is_empty();
        let pieces = if usable { sampling.pieces(text, &encoding, chunk_tokens)? } else { Vec::new() };
        for (chunk, piece) in (0..).zip(pieces) {
            let number = start.sequence + made.sequences.len() as u64;
            let Some(positions) = sampling.draw(number, piece.token_ids.len()) else { continue };
            let checked = sampling.check_ids(&piece.token_ids, tokenizer);
            checked.map_err(|reason| place.wrong(path, reason))?;
            made.bos |= piece.has_bos && made.sequences.is_empty();
            let shares = vec![Share::whole(Some(piece.text), text_id, chunk)];
            made.sequences.push(Sequence { token_ids: piece.token_ids, positions, shares });
        }
        made.skipped += usize::from(made.sequences.len() == before);
    }
    Ok(made)
}
