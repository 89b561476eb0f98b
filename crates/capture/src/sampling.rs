//! How texts become sequences of tokens, and which positions of them are sampled.

use onejump_models::ModelError;
use onejump_models::bos::Begun;
pub use onejump_models::bos::Bos;
use tokenizers::{Encoding, Tokenizer};

use crate::CaptureError;
use crate::positions::Positions;

/// How texts become sequences.
#[derive(Debug, Clone, Copy)]
pub struct Sampling {
    /// The seed of the positions.
    pub seed: u64,
    /// How many positions of a sequence are sampled.
    pub positions: Positions,
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
    /// The id of the token behind a text in the model's configuration, where it has one.
    pub eos_id: Option<i64>,
}

/// Where the text of an encoded token begins; its end behind the last token.
pub(crate) fn text_from(text: &str, encoding: &Encoding, token: usize) -> usize {
    let special = encoding.get_special_tokens_mask().get(token).is_none_or(|&mask| mask == 1);
    let offset = encoding.get_offsets().get(token).filter(|_| !special).map(|&(start, _)| start);
    let mut start = offset.unwrap_or(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    start
}

/// A piece of a text, which is a sequence of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub token_ids: Vec<i64>,
    pub text: String,
    /// Whether a beginning-of-sequence token comes first.
    pub has_bos: bool,
}

impl Sampling {
    /// For exact inputs, of which nothing is drawn.
    pub(crate) fn exact(vocab_size: usize, context: usize, limit: Option<usize>) -> Self {
        Self {
            seed: 0,
            positions: Positions::ONE,
            position_0: true,
            vocab_size,
            context,
            limit,
            bos: Bos::Auto,
            bos_id: None,
            eos_id: None,
        }
    }

    /// A sentence's token ids with as many beginning-of-sequence tokens as the rule wants, and whether there is one.
    pub(crate) fn tokens(&self, encoding: &Encoding) -> Result<(Vec<i64>, bool), CaptureError> {
        let has_bos = !self.begun(encoding)?.beginning.is_empty();
        Ok((self.bos.tokens(encoding, self.bos_id)?, has_bos))
    }

    /// How a text begins, and where the rest of it does.
    pub(crate) fn begun(&self, encoding: &Encoding) -> Result<Begun, ModelError> {
        self.bos.begun(encoding, self.bos_id)
    }

    /// A text in pieces of at most so many tokens, each with the beginning that the whole has, and with its share of the
    /// text. A text that fits is one piece, with the tokens of [`Sampling::tokens`].
    pub(crate) fn pieces(
        &self,
        text: &str,
        encoding: &Encoding,
        chunk_tokens: usize,
    ) -> Result<Vec<Piece>, CaptureError> {
        let Begun { beginning, rest } = self.begun(encoding)?;
        let least = beginning.len() + 1;
        if chunk_tokens < least {
            let context = self.context;
            return Err(CaptureError::ChunkTokens { found: chunk_tokens, least, context });
        }
        let (ids, room) = (&encoding.get_ids()[rest..], chunk_tokens - beginning.len());
        let has_bos = !beginning.is_empty();
        // A piece ends where the next one begins, so that together they are the whole text.
        let start = |place: usize| text_from(text, encoding, rest + place);
        let firsts = (0..ids.len().max(1)).step_by(room);
        Ok(firsts
            .map(|first| {
                let end = (first + room).min(ids.len());
                let from = if first == 0 { 0 } else { start(first) };
                let to = if end == ids.len() { text.len() } else { start(end) };
                let own = ids[first..end].iter().map(|&id| i64::from(id));
                let token_ids = beginning.iter().copied().chain(own).collect();
                Piece { token_ids, text: text[from..to].to_owned(), has_bos }
            })
            .collect())
    }

    /// The positions that are sampled of a sequence of some length; none where it has no usable one. `number` is that of
    /// the sequence among those that have one.
    pub(crate) fn draw(&self, number: u64, length: usize) -> Option<Vec<usize>> {
        let first = usize::from(!self.position_0);
        (length > first).then(|| self.positions.draw(self.seed, number, first..length))
    }

    /// Refuses a token that the model has no embedding for.
    pub(crate) fn check_ids(&self, ids: &[i64], tokenizer: &Tokenizer) -> Result<(), String> {
        let Some(&id) = ids.iter().find(|&&id| id >= self.vocab_size as i64) else { return Ok(()) };
        let token = u32::try_from(id).ok().and_then(|id| tokenizer.id_to_token(id)).unwrap_or_default();
        Err(format!(
            "token '{token}' has the id {id}, which is outside the model's vocabulary of {}: the tokenizer knows tokens \
             that the model has no embedding for",
            self.vocab_size
        ))
    }
}
