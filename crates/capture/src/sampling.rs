//! How texts become sequences of tokens, and which positions of them are sampled.

use onejump_core::words::{UnknownWord, Word};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};
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
}

/// The beginning of a text, and which of its tokens is the first of the rest.
struct Begun {
    beginning: Vec<i64>,
    rest: usize,
}

/// A piece of a text, which is a sequence of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub token_ids: Vec<i64>,
    pub text: String,
    /// Whether a beginning-of-sequence token comes first.
    pub has_bos: bool,
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
        }
    }

    /// A sentence's token ids with as many beginning-of-sequence tokens as the rule wants, and whether there is one. The
    /// rest is as the tokenizer has it, the end-of-sequence token that some add included.
    ///
    /// The beginning is what the tokenizer puts before a sentence. The configuration's token counts where the tokenizer
    /// puts none, or where the sentence begins with it.
    pub(crate) fn tokens(&self, encoding: &Encoding) -> Result<(Vec<i64>, bool), CaptureError> {
        let Begun { mut beginning, rest } = self.begun(encoding)?;
        let has_bos = !beginning.is_empty();
        beginning.extend(encoding.get_ids()[rest..].iter().map(|&id| i64::from(id)));
        Ok((beginning, has_bos))
    }

    /// How a text begins, and where the rest of it does.
    fn begun(&self, encoding: &Encoding) -> Result<Begun, CaptureError> {
        let ids: Vec<i64> = encoding.get_ids().iter().map(|&id| i64::from(id)).collect();
        let added = encoding.get_special_tokens_mask().iter().take_while(|&&mask| mask == 1).count();
        let bos = ids[..added].first().copied().or(self.bos_id);
        let own = added + ids[added..].iter().take_while(|&&id| Some(id) == bos).count();
        let mut beginning = match (self.bos, own) {
            (Bos::Never, _) => Vec::new(),
            (Bos::Always, 0) => vec![bos.ok_or(CaptureError::NoBosToken)?],
            _ => ids[..own].to_vec(),
        };
        beginning.dedup();
        Ok(Begun { beginning, rest: own })
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
        let start = |place: usize| {
            let token = rest + place;
            let special = encoding.get_special_tokens_mask().get(token).is_none_or(|&mask| mask == 1);
            let offset = encoding.get_offsets().get(token).filter(|_| !special).map(|&(start, _)| start);
            let mut start = offset.unwrap_or(text.len());
            while !text.is_char_boundary(start) {
                start -= 1;
            }
            start
        };
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

#[cfg(test)]
mod tests {
    use super::*;

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
        let sampling = Sampling {
            seed: 0,
            positions: Positions::ONE,
            position_0: true,
            vocab_size: 9,
            context: 9,
            limit: None,
            bos,
            bos_id,
        };
        sampling.tokens(&encoding)
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
}
