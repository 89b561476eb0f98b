//! What tokens are drafted with.

mod jump;
mod ngram;

use onejump_models::ModelError;
use onejump_models::session::{Head, Session};

pub use jump::Jump;
pub use ngram::Ngram;

/// Something that drafts tokens behind a text.
pub enum Drafter {
    /// What an early level would say.
    Jump(Jump),
    /// What came next where the text's last tokens stood before.
    Ngram(Ngram),
}

/// A token that may come next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Draft {
    pub token: i64,
    /// The probability that a look gave it; none without a look.
    pub confidence: Option<f64>,
}

impl Drafter {
    /// Drafts at most `most` tokens and appends them to the session, which has all of `text`. None if nothing comes
    /// to its mind. `head` is the model's own.
    pub(crate) fn draft(
        &self,
        session: &mut Session,
        head: &Head,
        text: &[i64],
        most: usize,
    ) -> Result<Vec<Draft>, ModelError> {
        match self {
            Self::Jump(jump) => jump.draft(session, head, most),
            Self::Ngram(ngram) => {
                let drafts = ngram.continuation(text, most);
                session.push(&drafts)?;
                Ok(drafts.into_iter().map(|token| Draft { token, confidence: None }).collect())
            }
        }
    }
}
