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

/// Tokens that may come next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Drafted {
    /// One behind the other.
    Chain(Vec<Draft>),
    /// All in the same place: one of them at most is right.
    Siblings(Vec<Draft>),
}

impl Drafted {
    pub fn drafts(&self) -> &[Draft] {
        let (Self::Chain(drafts) | Self::Siblings(drafts)) = self;
        drafts
    }
}

impl Drafter {
    /// Drafts tokens of which at most `most` are of use, and appends them to the session, which has all of `text`. None if
    /// nothing comes to its mind. `head` is the model's own.
    pub(crate) fn draft(
        &self,
        session: &mut Session,
        head: &Head,
        text: &[i64],
        most: usize,
    ) -> Result<Drafted, ModelError> {
        let room = session.capacity() - session.len();
        match self {
            Self::Jump(jump) => jump.draft(session, head, most, room),
            Self::Ngram(ngram) => {
                let drafts = ngram.continuation(text, most.min(room));
                session.push(&drafts)?;
                let drafts = drafts.into_iter().map(|token| Draft { token, confidence: None });
                Ok(Drafted::Chain(drafts.collect()))
            }
        }
    }
}
