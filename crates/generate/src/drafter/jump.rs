//! What an early level would say next.

use onejump_exit::Look;
use onejump_models::ModelError;
use onejump_models::session::{Head, Session};

use super::Draft;
use crate::early::Gate;

/// A head behind a map that drafts tokens at a level.
pub struct Jump {
    gate: Gate,
    most: usize,
}

impl Jump {
    /// How many tokens are drafted at a time: with a third of the drafts accepted a second one is not worth its blocks.
    pub const MOST: usize = 1;

    /// Drafts at most `most` tokens at a time, one behind the other.
    pub fn new(gate: Gate, most: usize) -> Self {
        Self { gate, most }
    }

    /// Each draft waits at the level where the next one is read; the last one stands at level 0.
    pub(super) fn draft(
        &self,
        session: &mut Session,
        head: &Head,
        most: usize,
    ) -> Result<Vec<Draft>, ModelError> {
        let mut drafts = Vec::new();
        while drafts.len() < self.most.min(most) {
            let length = session.len();
            session.advance(self.gate.level, length)?;
            let logits = self.gate.head.logits(session, head, session.state(length - 1));
            let look = Look::at(&logits);
            session.push(&[look.token])?;
            drafts.push(Draft { token: look.token, confidence: Some(look.probability()) });
        }
        Ok(drafts)
    }
}
