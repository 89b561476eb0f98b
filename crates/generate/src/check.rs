//! What the full model says to a text.

use onejump_core::observe::Observer;
use onejump_exit::Look;
use onejump_models::session::{Head, Session};
use serde::Serialize;

use crate::GenerateError;
use crate::sampling::Sampling;

/// A text beside what the full model would have written.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Check {
    /// The first token that is another one in the text in full, counted from 0 among those that were added; none where the
    /// texts are the same.
    pub differs_at: Option<usize>,
    /// How long it took in full.
    pub full_ms: f64,
    /// How many tokens that were.
    pub full_tokens: usize,
    /// The share of tokens that the full model would have put behind the same text.
    pub agreement: f64,
    /// The first token that it would not have put there, counted from 0 among those that were added.
    pub first_difference: Option<usize>,
    /// The mean of −ln p of the tokens under the full model, in nats.
    pub surprisal: f64,
    /// The same of the full model's own text.
    pub full_surprisal: f64,
}

/// What the full model says to the tokens that were added to a prompt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verdict {
    pub agreement: f64,
    pub first_difference: Option<usize>,
    pub surprisal: f64,
}

/// How many logits of V are in memory at a time.
const ROWS: usize = 16;

impl Verdict {
    /// Runs prompt and tokens through all blocks of an empty session.
    pub fn of(
        mut session: Session,
        head: &Head,
        sampling: Sampling,
        prompt: &[i64],
        added: &[i64],
        observer: &dyn Observer,
    ) -> Result<Self, GenerateError> {
        let text = [prompt, added].concat();
        session.push(&text)?;
        session.advance(session.blocks(), text.len())?;
        let (mut same, mut first_difference, mut surprisal) = (0, None, 0.0);
        for start in (prompt.len()..text.len()).step_by(ROWS) {
            observer.check()?;
            let places = start..text.len().min(start + ROWS);
            let mut logits = session.logits(head, places.start - 1..places.end - 1)?;
            for (place, logits) in places.zip(logits.chunks_exact_mut(head.vocab_size())) {
                let token = text[place];
                surprisal += Look::at(logits).logsumexp - f64::from(logits[token as usize]);
                if sampling.choose(logits, &text[..place])? == token {
                    same += 1;
                } else {
                    first_difference.get_or_insert(place - prompt.len());
                }
            }
        }
        let count = added.len().max(1) as f64;
        Ok(Self { agreement: same as f64 / count, first_difference, surprisal: surprisal / count })
    }
}
