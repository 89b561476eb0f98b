//! What an early level would say next.

use onejump_core::drafting::Shape;
use onejump_exit::{Best, Candidate};
use onejump_models::ModelError;
use onejump_models::session::{Head, Session};

use super::{Draft, Drafted};
use crate::early::Gate;

/// A head behind a map that drafts tokens at a level.
pub struct Jump {
    gate: Gate,
    shape: Shape,
}

impl Jump {
    /// How many tokens are drafted at a time: with a third of the drafts accepted a second one is not worth its blocks.
    pub const MOST: usize = 1;

    /// Drafts in a shape. A chain behind a head that reads where the token before ended has one draft: behind that one it is
    /// not known.
    pub fn new(gate: Gate, shape: Shape) -> Self {
        let shape = match shape {
            Shape::Chain(drafts) if gate.head.reads_previous() => Shape::Chain(drafts.min(1)),
            shape => shape,
        };
        Self { gate, shape }
    }

    /// In a chain each draft waits at the level where the next one is read; the last one stands at level 0, and so do
    /// siblings. There is room for `room` drafts, and `most` tokens are of use.
    pub(super) fn draft(
        &self,
        session: &mut Session,
        head: &Head,
        most: usize,
        room: usize,
    ) -> Result<Drafted, ModelError> {
        match self.shape {
            Shape::Chain(longest) => {
                let mut drafts = Vec::new();
                while drafts.len() < longest.min(most).min(room) {
                    let best = self.look(session, head, 1)?;
                    session.push(&[best[0].token])?;
                    drafts.extend(best);
                }
                Ok(Drafted::Chain(drafts))
            }
            Shape::Siblings(count) if count.min(most).min(room) == 0 => Ok(Drafted::Chain(Vec::new())),
            Shape::Siblings(count) => {
                let best = self.look(session, head, count.min(room))?;
                session.push_siblings(&best.iter().map(|draft| draft.token).collect::<Vec<_>>())?;
                Ok(Drafted::Siblings(best))
            }
        }
    }

    /// The best tokens behind the last one; one or more.
    fn look(&self, session: &mut Session, head: &Head, count: usize) -> Result<Vec<Draft>, ModelError> {
        let length = session.len();
        session.advance(self.gate.level, length)?;
        let best = Best::at(&self.gate.head.look(session, head, length - 1)?, count);
        let draft = |&candidate: &Candidate| Draft {
            token: candidate.token,
            confidence: Some(best.probability(candidate)),
        };
        let drafts: Vec<Draft> = best.tokens.iter().map(draft).collect();
        // Logits that are no numbers have no best token; what the model makes of that is said where it looks.
        let none = || vec![Draft { token: 0, confidence: Some(f64::NAN) }];
        Ok(if drafts.is_empty() { none() } else { drafts })
    }
}
