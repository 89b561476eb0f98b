//! Tokens that leave early: at the first level whose look is sure enough.

mod calibration;

use std::sync::Arc;

use onejump_core::words::{UnknownWord, Word};
use onejump_exit::{Look, SessionHead};
use onejump_models::ModelError;
use onejump_models::session::{Head, Session};
use serde::Serialize;
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

pub use calibration::{Amount, Calibration, Effect, Seen};

/// A level at which a token may leave.
#[derive(Clone)]
pub struct Gate {
    /// The level.
    pub level: usize,
    /// What looks at states there. Levels with the same map share it.
    pub head: Arc<SessionHead>,
}

/// What becomes of the keys and values of the blocks that a token does not go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantArray, Serialize)]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Self>)]
#[serde(rename_all = "kebab-case")]
pub enum KeyValues {
    /// They are computed, together with those of other tokens that wait, when a later token goes deeper: every token's
    /// states are those of a full pass.
    Deferred,
    /// They are computed from the state at which the token left, as if no block on the way added anything.
    Propagate,
}

impl Word for KeyValues {
    const WHAT: &'static str = "way to fill in keys and values";
}

/// When a token leaves.
#[derive(Clone)]
pub struct Exits {
    /// Where it may, from the lowest level to the highest.
    pub gates: Vec<Gate>,
    /// It leaves at the first level whose most likely token is more probable than this; at none if it is 1 or more.
    pub threshold: f64,
    /// What becomes of the blocks behind.
    pub key_values: KeyValues,
}

/// The logits that a token gets, and where.
pub(crate) struct Left {
    pub logits: Vec<f32>,
    pub level: usize,
    /// How many looks there were.
    pub looks: usize,
    /// The probability of the most likely token at the last look, if there was one.
    pub confidence: Option<f64>,
}

impl Exits {
    /// The last token of a session on its way through the model, until a look is sure. `head` is the model's own.
    pub(crate) fn leave(&self, session: &mut Session, head: &Head) -> Result<Left, ModelError> {
        let (last, blocks) = (session.len() - 1, session.blocks());
        let (mut looks, mut confidence) = (0, None);
        for Gate { level, head: gate } in &self.gates {
            self.bring(session, *level)?;
            let logits = gate.logits(session, head, &session.state(last)?)?;
            let probability = Look::at(&logits).probability();
            (looks, confidence) = (looks + 1, Some(probability));
            // A probability of 1 may be rounded up.
            if self.threshold < 1.0 && probability > self.threshold {
                return Ok(Left { logits, level: *level, looks, confidence });
            }
        }
        self.bring(session, blocks)?;
        Ok(Left { logits: session.logits(head, last..last + 1)?, level: blocks, looks, confidence })
    }

    /// Brings the last token to a level, and with it those before it that it reads there.
    fn bring(&self, session: &mut Session, level: usize) -> Result<(), ModelError> {
        let length = session.len();
        if self.key_values == KeyValues::Propagate {
            session.propagate(level, length - 1)?;
        }
        session.advance(level, length)
    }
}
