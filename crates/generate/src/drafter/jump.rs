//! What an early level would say next.

use onejump_exit::SessionHead;
use onejump_models::ModelError;
use onejump_models::session::{Head, Session};

/// A head behind a map that drafts tokens at a level.
pub struct Jump {
    head: SessionHead,
    level: usize,
    most: usize,
}

impl Jump {
    /// How many tokens are drafted at a time: with a third of the drafts accepted a second one is not worth its blocks.
    pub const MOST: usize = 1;

    /// Reads states at this level; drafts at most `most` tokens at a time, one behind the other.
    pub fn new(head: SessionHead, level: usize, most: usize) -> Self {
        Self { head, level, most }
    }

    /// Each draft waits at the level where the next one is read; the last one stands at level 0.
    pub(super) fn draft(
        &self,
        session: &mut Session,
        head: &Head,
        most: usize,
    ) -> Result<Vec<i64>, ModelError> {
        let mut drafts = Vec::new();
        while drafts.len() < self.most.min(most) {
            let length = session.len();
            session.advance(self.level, length)?;
            let logits = self.head.logits(session, head, session.state(length - 1));
            let best =
                (0..logits.len()).fold(0, |best, id| if logits[id] > logits[best] { id } else { best });
            session.push(&[best as i64])?;
            drafts.push(best as i64);
        }
        Ok(drafts)
    }
}
