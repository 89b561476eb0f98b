//! Tokens from tokens.

use onejump_models::session::{Head, Session};
use serde::Serialize;

use crate::GenerateError;
use crate::drafter::{Draft, Drafted, Drafter};
use crate::early::{Exits, Left};
use crate::pace::Pace;
use crate::sampling::Sampling;

/// A text that grows by some tokens at each step.
pub struct Decoder<'a> {
    session: Session,
    head: &'a Head,
    sampling: Sampling,
    way: Way<'a>,
    ends: &'a [i64],
    blocks: usize,
    /// The whole text. Its last token is not in the session yet.
    text: Vec<i64>,
    drafts: Drafts,
    /// Leaves looks out while they do not pay.
    pace: Option<Pace>,
    /// Of each token that was added.
    moves: Vec<Move>,
}

/// How a token is found.
#[derive(Clone, Copy)]
pub enum Way<'a> {
    /// All blocks say it, with drafts of the first drafter that has some: in full where there is none.
    Verify(&'a [Drafter]),
    /// The first level that is sure says it.
    Exit(&'a Exits),
}

/// How a token was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Move {
    /// The level that said it.
    pub level: usize,
    /// How many early looks were made at where it comes from.
    pub looks: usize,
    /// The probability that the last of them gave its most likely token.
    pub confidence: Option<f64>,
    /// What was drafted in its place.
    pub draft: Option<i64>,
}

/// What became of drafts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Drafts {
    /// How many were made.
    pub drafted: usize,
    /// How many the model would have said too.
    pub accepted: usize,
    /// How often all blocks were run.
    pub steps: usize,
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
        session: Session,
        head: &'a Head,
        prompt: &[i64],
        sampling: Sampling,
        way: Way<'a>,
        ends: &'a [i64],
    ) -> Result<Self, GenerateError> {
        let (blocks, text, drafts, moves) = (session.blocks(), Vec::new(), Drafts::default(), Vec::new());
        let mut decoder =
            Self { session, head, sampling, way, ends, blocks, text, drafts, pace: None, moves };
        decoder.restart(prompt)?;
        Ok(decoder)
    }

    /// Looks for drafts only while that pays.
    pub fn paced(mut self, pace: Option<Pace>) -> Self {
        self.pace = pace;
        self
    }

    /// Begins with another prompt of one or more tokens. What it has in common with the text is not computed again.
    ///
    /// # Errors
    /// [`GenerateError::Model`] if the session has no room for the prompt.
    pub fn restart(&mut self, prompt: &[i64]) -> Result<(), GenerateError> {
        let before = prompt.len().saturating_sub(1);
        let same = prompt[..before].iter().zip(&self.text).take_while(|(new, old)| new == old).count();
        self.session.truncate(same);
        self.session.push(&prompt[self.session.len()..before])?;
        self.session.advance(self.blocks, before)?;
        self.session.wait();
        self.text = prompt.to_vec();
        (self.drafts, self.moves) = (Drafts::default(), Vec::new());
        Ok(())
    }

    /// What became of the drafts so far.
    pub fn drafts(&self) -> Drafts {
        self.drafts
    }

    /// How sure a look must be, where tokens can leave early.
    pub fn threshold(&self) -> Option<f64> {
        if let Way::Exit(exits) = self.way { Some(exits.threshold) } else { None }
    }

    /// The prompt and what was added to it.
    pub fn text(&self) -> &[i64] {
        &self.text
    }

    /// How many tokens there is room for behind the text.
    pub fn room(&self) -> usize {
        self.session.capacity() - self.text.len()
    }

    /// The mean level that said the tokens which were added; K before there are any.
    pub fn mean_level(&self) -> f64 {
        let levels: usize = self.moves.iter().map(|found| found.level).sum();
        if self.moves.is_empty() { self.blocks as f64 } else { levels as f64 / self.moves.len() as f64 }
    }

    /// How each token was found that was added.
    pub fn moves(&self) -> &[Move] {
        &self.moves
    }

    /// Adds one or more tokens, up to an end token; returns them.
    ///
    /// # Errors
    /// [`GenerateError::Model`] if the session is full, [`GenerateError::NotFinite`] if the logits are not numbers.
    pub fn step(&mut self, step: Step) -> Result<&[i64], GenerateError> {
        let known = self.text.len();
        self.session.push(&self.text[self.session.len()..])?;
        match self.way {
            Way::Verify(drafters) => {
                let looks = self.pace.as_mut().is_none_or(Pace::drafts);
                let drafted = self.verify(drafters, looks, step.most - 1)?;
                // What came without a look, or a step at the end that had no room for drafts, says nothing about looks.
                if let (Some(pace), Some(Draft { confidence: Some(_), .. })) =
                    (&mut self.pace, drafted.drafts().first())
                {
                    pace.take(self.text.len() - known);
                }
            }
            Way::Exit(exits) => {
                let Left { mut logits, level, looks, confidence } =
                    exits.leave(&mut self.session, self.head)?;
                self.text.push(self.sampling.choose(&mut logits, &self.text)?);
                self.moves.push(Move { level, looks, confidence, draft: None });
            }
        }
        self.drafts.steps += 1;
        Ok(&self.text[known..])
    }

    /// The last token and the drafts behind it go through the blocks together. The model's own choice is made behind each
    /// of them, until it is not the draft; what was computed for further drafts is taken back. Returns the drafts.
    fn verify(&mut self, drafters: &[Drafter], looks: bool, most: usize) -> Result<Drafted, GenerateError> {
        let known = self.text.len();
        let drafted = self.draft(drafters, looks, most)?;
        self.session.advance(self.blocks, self.session.len())?;
        match &drafted {
            Drafted::Chain(drafts) => {
                let mut logits = self.session.logits(self.head, known - 1..self.session.len())?;
                for (index, logits) in logits.chunks_exact_mut(self.head.vocab_size()).enumerate() {
                    if !self.choose(logits, drafts.get(index..=index).unwrap_or_default())? {
                        break;
                    }
                }
            }
            Drafted::Siblings(drafts) => {
                // All together, though one of them at most counts: a head that is read once more costs most of a token
                // where the vocabulary is large.
                let mut logits = self.session.logits(self.head, known - 1..self.session.len())?;
                let (first, behind) = logits.split_at_mut(self.head.vocab_size());
                let accepted = self.choose(first, drafts)?;
                let right = drafts.iter().position(|draft| Some(&draft.token) == self.text.last());
                self.session.choose(right)?;
                if let (true, Some(index)) = (accepted, right)
                    && let Some(logits) = behind.chunks_exact_mut(self.head.vocab_size()).nth(index)
                {
                    self.choose(logits, &[])?;
                }
            }
        }
        self.session.truncate(self.text.len() - 1);
        self.drafts.drafted += drafted.drafts().len();
        Ok(drafted)
    }

    /// Adds the model's own choice, in whose place these tokens were drafted. Whether one of them is it, and the text goes
    /// on behind it.
    fn choose(&mut self, logits: &mut [f32], drafts: &[Draft]) -> Result<bool, GenerateError> {
        let token = self.sampling.choose(logits, &self.text)?;
        self.text.push(token);
        let right = drafts.iter().find(|draft| draft.token == token);
        let draft = right.or(drafts.first());
        let confidence = draft.and_then(|draft| draft.confidence);
        let (looks, draft) = (usize::from(confidence.is_some()), draft.map(|draft| draft.token));
        self.moves.push(Move { level: self.blocks, looks, confidence, draft });
        self.drafts.accepted += usize::from(right.is_some());
        Ok(right.is_some() && !self.ends.contains(&token))
    }

    /// Drafts some tokens with the first drafter that has any; with or without those that look.
    fn draft(&mut self, drafters: &[Drafter], looks: bool, most: usize) -> Result<Drafted, GenerateError> {
        for drafter in drafters.iter().filter(|drafter| looks || !matches!(drafter, Drafter::Jump(_))) {
            let drafted = drafter.draft(&mut self.session, self.head, &self.text, most)?;
            if !drafted.drafts().is_empty() {
                return Ok(drafted);
            }
        }
        Ok(Drafted::Chain(Vec::new()))
    }
}
