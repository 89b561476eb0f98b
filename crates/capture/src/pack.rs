//! Texts joined into full windows, as models are pretrained on them: one text after another, each behind the end of the
//! one before it. A token sees everything before it in its window, and so texts before its own.

use onejump_models::bos::Begun;
use tokenizers::Tokenizer;

use crate::CaptureError;
use crate::samples::{Made, Sequence, Share, Start, encoded};
use crate::sampling::{Sampling, text_from};
use crate::texts::Text;

/// How texts are joined.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packing {
    /// The tokens of a window; only the last one of a batch of texts has fewer.
    pub window: usize,
    /// The token that stands behind each text, unless it is the text's last one already; none where each text has a
    /// beginning of its own.
    pub end: Option<i64>,
}

/// The windows of a batch of texts. Each text has the tokens that it has by itself, special ones included, and the end.
/// Where a window is full, the next one goes on in the middle of the text. Of each text's share of a window positions are
/// drawn as of a chunk.
///
/// # Errors
/// [`CaptureError`] if a text has a token that the model does not have, or nothing stands between two texts.
pub(crate) fn of_texts(
    batch: &[Text],
    tokenizer: &Tokenizer,
    sampling: &Sampling,
    packing: Packing,
    start: Start,
) -> Result<Made, CaptureError> {
    let mut packer =
        Packer { sampling, row: start.row as u64, made: Made::default(), window: Window::default() };
    for ((text_id, text), encoding) in (start.text..).zip(batch).zip(encoded(batch, tokenizer)?) {
        let Text { text, path, place, .. } = text;
        if text.trim().is_empty() {
            packer.made.skipped += 1;
            continue;
        }
        let (mut tokens, has_bos) = sampling.tokens(&encoding)?;
        let Begun { beginning, rest } = sampling.begun(&encoding)?;
        match packing.end {
            Some(end) if tokens.last() != Some(&end) => tokens.push(end),
            None if !has_bos => return Err(CaptureError::NothingBetweenTexts),
            _ => {}
        }
        sampling.check_ids(&tokens, tokenizer).map_err(|reason| place.wrong(path, reason))?;
        packer.made.bos |= has_bos && packer.is_empty();
        // The beginning stands before the text.
        let from = |token: usize| match token.checked_sub(beginning.len()) {
            None | Some(0) => 0,
            Some(place) => text_from(text, &encoding, rest + place),
        };
        let (mut token, mut chunk) = (0, 0);
        while token < tokens.len() {
            let end = tokens.len().min(token + packing.window - packer.window.tokens.len());
            let sentence =
                Some(text[from(token)..if end < tokens.len() { from(end) } else { text.len() }].to_owned());
            let share = Share { first: packer.window.tokens.len(), sentence, text_id, chunk };
            packer.window.shares.push(share);
            packer.window.tokens.extend_from_slice(&tokens[token..end]);
            (token, chunk) = (end, chunk + 1);
            if packer.window.tokens.len() == packing.window {
                packer.close();
            }
        }
    }
    packer.close();
    Ok(packer.made)
}

struct Packer<'a> {
    sampling: &'a Sampling,
    /// The number of the next row.
    row: u64,
    made: Made,
    window: Window,
}

/// What is in a window so far.
#[derive(Default)]
struct Window {
    tokens: Vec<i64>,
    shares: Vec<Share>,
}

impl Packer<'_> {
    fn is_empty(&self) -> bool {
        self.made.sequences.is_empty() && self.window.tokens.is_empty()
    }

    /// Draws positions of every text in the window, and begins the next one.
    fn close(&mut self) {
        let Window { tokens, shares } = std::mem::take(&mut self.window);
        let mut positions = Vec::new();
        for (place, share) in shares.iter().enumerate() {
            let first = share.first.max(usize::from(!self.sampling.position_0));
            let end = shares.get(place + 1).map_or(tokens.len(), |next| next.first);
            if first < end {
                let drawn = self.sampling.positions.draw(self.sampling.seed, self.row, first..end);
                self.row += drawn.len() as u64;
                positions.extend(drawn);
            }
        }
        if !positions.is_empty() {
            self.made.sequences.push(Sequence { token_ids: tokens, positions, shares });
        }
    }
}
