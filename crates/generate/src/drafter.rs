//! What an early level would say next.

use onejump_exit::SessionHead;
use onejump_models::session::{Head, Session};

/// A head behind a map that drafts tokens at a level.
pub struct Drafter {
    head: SessionHead,
    level: usize,
}

impl Drafter {
    /// Reads states at this level.
    pub fn new(head: SessionHead, level: usize) -> Self {
        Self { head, level }
    }

    /// Where it reads.
    pub fn level(&self) -> usize {
        self.level
    }

    /// The most likely token behind one that stands at the drafter's level. `head` is the model's own.
    pub(crate) fn draft(&self, session: &Session, head: &Head, position: usize) -> i64 {
        let logits = self.head.logits(session, head, session.state(position));
        (0..logits.len()).fold(0, |best, id| if logits[id] > logits[best] { id } else { best }) as i64
    }
}
