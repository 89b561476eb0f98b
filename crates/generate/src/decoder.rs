//! Tokens from tokens.

use onejump_models::session::{Head, Session};

use crate::GenerateError;
use crate::drafter::Drafter;
use crate::outcome::Drafts;
use crate::sampling::Sampling;

/// A text that grows by some tokens at each step.
pub struct Decoder<'a> {
    session: Session,
    head: &'a Head,
    sampling: Sampling,
    /// What drafts: the first that has something.
    drafters: &'a [Drafter],
    ends: &'a [i64],
    blocks: usize,
    /// The whole text. Its last token is not in the session yet.
    text: Vec<i64>,
    drafts: Drafts,
}

/// How far a step may go.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// How many tokens are wanted at most, 1 or more.
    pub most: usize,
}

impl<'a> Decoder<'a> {
    /// Takes a prompt of one or more tokens through all blocks, but for its last one.
    ///
    /// # Errors
    /// [`GenerateError::Model`] if the session has no room for the prompt.
    pub fn new(
        mut session: Session,
        head: &'a Head,
        prompt: &[i64],
        sampling: Sampling,
        drafters: &'a [Drafter],
        ends: &'a [i64],
    ) -> Result<Self, GenerateError> {
        let before = prompt.len().saturating_sub(1);
        let blocks = session.blocks();
        session.push(&prompt[..before])?;
        session.advance(blocks, before)?;
        let text = prompt.to_vec();
        Ok(Self { session, head, sampling, drafters, ends, blocks, text, drafts: Drafts::default() })
    }

    /// What became of the drafts so far.
    pub fn drafts(&self) -> Drafts {
        self.drafts
    }

    /// Adds one or more tokens, up to an end token; returns them.
    ///
    /// The last token and the drafts behind it go through the blocks together. The model's own choice is made behind each
    /// of them, until it is not the draft; what was computed for further drafts is taken back.
    ///
    /// # Errors
    /// [`GenerateError::Model`] if the session is full, [`GenerateError::NotFinite`] if the logits are not numbers.
    pub fn step(&mut self, step: Step) -> Result<&[i64], GenerateError> {
        let known = self.text.len();
        self.session.push(&self.text[self.session.len()..])?;
        let drafts = self.draft(step.most - 1)?;
        self.session.advance(self.blocks, self.session.len())?;
        let mut logits = self.session.logits(self.head, known - 1..self.session.len());
        for (index, logits) in logits.chunks_exact_mut(self.head.vocab_size()).enumerate() {
            let token = self.sampling.choose(logits, &self.text)?;
            self.text.push(token);
            let accepted = drafts.get(index) == Some(&token);
            self.drafts.accepted += usize::from(accepted);
            if !accepted || self.ends.contains(&token) {
                break;
            }
        }
        self.session.truncate(self.text.len() - 1);
        self.drafts.drafted += drafts.len();
        self.drafts.steps += 1;
        Ok(&self.text[known..])
    }

    /// Drafts some tokens with the first drafter that has any.
    fn draft(&mut self, most: usize) -> Result<Vec<i64>, GenerateError> {
        let most = most.min(self.session.capacity() - self.session.len());
        for drafter in self.drafters {
            let drafts = drafter.draft(&mut self.session, self.head, &self.text, most)?;
            if !drafts.is_empty() {
                return Ok(drafts);
            }
        }
        Ok(Vec::new())
    }
}
