//! When a beginning-of-sequence token comes before a text.

use onejump_core::words::{UnknownWord, Word};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};
use tokenizers::Encoding;

use crate::ModelError;

/// When a beginning-of-sequence token comes before a text; there are never two.
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

/// The beginning of a text, and which of its tokens is the first of the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The ids that come first.
    pub beginning: Vec<i64>,
    /// The place in the encoding of the first token behind them.
    pub rest: usize,
}

impl Bos {
    /// How an encoded text begins, and where the rest of it does.
    ///
    /// The beginning is what the tokenizer puts before a text. The token of the model's configuration, `bos_id`, counts
    /// where the tokenizer puts none, or where the text begins with it.
    ///
    /// # Errors
    /// [`ModelError::NoBosToken`] if a token must come first, and there is none.
    pub fn begun(self, encoding: &Encoding, bos_id: Option<i64>) -> Result<Begun, ModelError> {
        let ids: Vec<i64> = encoding.get_ids().iter().map(|&id| i64::from(id)).collect();
        let added = encoding.get_special_tokens_mask().iter().take_while(|&&mask| mask == 1).count();
        let bos = ids[..added].first().copied().or(bos_id);
        let own = added + ids[added..].iter().take_while(|&&id| Some(id) == bos).count();
        let mut beginning = match (self, own) {
            (Self::Never, _) => Vec::new(),
            (Self::Always, 0) => vec![bos.ok_or(ModelError::NoBosToken)?],
            _ => ids[..own].to_vec(),
        };
        beginning.dedup();
        Ok(Begun { beginning, rest: own })
    }

    /// The ids of an encoded text with as many beginning-of-sequence tokens as the rule wants. The rest is as the
    /// tokenizer has it, the end-of-sequence token that some add included.
    ///
    /// # Errors
    /// As [`Bos::begun`].
    pub fn tokens(self, encoding: &Encoding, bos_id: Option<i64>) -> Result<Vec<i64>, ModelError> {
        let Begun { mut beginning, rest } = self.begun(encoding, bos_id)?;
        beginning.extend(encoding.get_ids()[rest..].iter().map(|&id| i64::from(id)));
        Ok(beginning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Token 1 is the configuration's; the last argument says which tokens the tokenizer has added by itself.
    fn with(bos: Bos, bos_id: Option<i64>, ids: &[u32], added: &[u32]) -> Result<Vec<i64>, ModelError> {
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
        bos.tokens(&encoding, bos_id)
    }

    #[test]
    fn bos_comes_once_or_never_and_the_end_stays() {
        let plain = |bos, ids: &[u32]| with(bos, Some(1), ids, &vec![0; ids.len()]).unwrap();
        assert_eq!(plain(Bos::Auto, &[1, 1, 5]), [1, 5]);
        assert_eq!(plain(Bos::Auto, &[5, 1]), [5, 1]);
        assert_eq!(plain(Bos::Always, &[5]), [1, 5]);
        assert_eq!(plain(Bos::Always, &[1, 5]), [1, 5]);
        assert_eq!(plain(Bos::Never, &[1, 5]), [5]);
        // A beginning and an end: [1] 5 [2], and one that the sentence has by itself.
        let both = |bos| with(bos, Some(1), &[1, 1, 5, 2], &[1, 0, 0, 1]).unwrap();
        assert_eq!(
            [both(Bos::Auto), both(Bos::Always), both(Bos::Never)],
            [vec![1, 5, 2], vec![1, 5, 2], vec![5, 2]]
        );
        // An end alone.
        let end = |bos| with(bos, Some(1), &[5, 2], &[0, 1]).unwrap();
        assert_eq!(
            [end(Bos::Auto), end(Bos::Always), end(Bos::Never)],
            [vec![5, 2], vec![1, 5, 2], vec![5, 2]]
        );
        // The tokenizer's beginning is not the configuration's, which is then a token like others.
        let other = |bos| with(bos, Some(1), &[7, 1, 5], &[1, 0, 0]).unwrap();
        assert_eq!(
            [other(Bos::Auto), other(Bos::Always), other(Bos::Never)],
            [vec![7, 1, 5], vec![7, 1, 5], vec![1, 5]]
        );
        // The configuration has none.
        assert_eq!(with(Bos::Always, None, &[7, 5], &[1, 0]).unwrap(), [7, 5]);
        assert!(matches!(with(Bos::Always, None, &[5], &[0]), Err(ModelError::NoBosToken)));
    }
}
