//! Decoding on the CPU: a text that grows by a few tokens at a time, and remembers the keys and values of those before.
//!
//! Every token of a [`Session`] stands at a level of its own: it can wait at level k until it is clear that it is wanted,
//! and go on from there together with others. Whatever the number of rows that go through a block together, of threads,
//! and of tokens that were taken back, a token's states are the same, bit for bit: each of its sums is computed in an order
//! of its own.
//!
//! ```no_run
//! use std::sync::Arc;
//! use onejump_models::checkpoint::Checkpoint;
//! use onejump_models::session::{Model, Session};
//!
//! let mut checkpoint = Checkpoint::open("smollm2-135m")?;
//! let model = Arc::new(Model::load(&mut checkpoint)?);
//! let mut session = Session::new(&model, 1024, 2)?; // room for 1024 tokens, two threads
//! session.push(&[504, 3575, 282])?;
//! session.advance(model.blocks(), 3)?; // all three through all blocks
//! session.push(&[260])?;
//! session.advance(5, 4)?; // the fourth waits at level 5
//! let state = session.state(3); // (H)
//! # Ok::<(), onejump_models::ModelError>(())
//! ```
//!
//! Here are slices of f32 from end to end, no tensors; one token costs as long as the weights take to come from
//! memory. A family's file loads the same parts as for a [walk](crate::walk::Walk).

mod angles;
mod block;
mod head;
mod layer;
mod model;
mod norm;
mod threads;

use std::ops::Range;
use std::sync::Arc;

use crate::ModelError;
use angles::Angles;
use block::{Block, Stream};
pub use head::Head;
pub use layer::Layer;
pub use model::Model;
pub use onejump_simd::Format;
use threads::Threads;

/// How many rows go through a block together at most: a longer prompt goes in pieces, with the same results.
const MOST_TOGETHER: usize = 64;

/// A text on its way through a model.
pub struct Session {
    model: Arc<Model>,
    threads: Threads,
    capacity: usize,
    /// How many tokens have reached each level, (K + 1); never more than have reached the level before.
    reached: Vec<usize>,
    /// Each token's residual stream at the level where it stands, (capacity, H).
    states: Vec<f32>,
    /// Of each block.
    caches: Vec<Cache>,
    /// The cosines and sines of the rotary angles, for each kind of block.
    angles: Vec<Angles>,
    /// The place of the first of several tokens that all may come next; the others stand behind it.
    siblings: Option<usize>,
}

/// The keys and values that a block has of each token, (capacity, G·d) each.
struct Cache {
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Session {
    /// An empty text with room for `capacity` tokens, computed by `threads` threads; 0 is one for each processor.
    ///
    /// A model whose rotary angles depend on the length of the text (Phi-3's `longrope`) has those of a text of `capacity`
    /// tokens throughout, so that no token's keys change while the text grows.
    ///
    /// # Errors
    /// [`ModelError::SequenceLength`] if the model takes fewer tokens, [`ModelError::Threads`] if the system refuses the
    /// threads.
    pub fn new(model: &Arc<Model>, capacity: usize, threads: usize) -> Result<Self, ModelError> {
        let context = model.dimensions.context;
        if capacity == 0 || capacity > context as usize {
            return Err(ModelError::SequenceLength { found: capacity, context });
        }
        let cache = |block: &Block| {
            let size = capacity * block.key_width();
            Cache { keys: vec![0.0; size], values: vec![0.0; size] }
        };
        Ok(Self {
            threads: Threads::new(threads)?,
            capacity,
            reached: vec![0; model.blocks() + 1],
            states: vec![0.0; capacity * model.hidden_size()],
            caches: model.blocks.iter().map(cache).collect(),
            angles: model.waves(capacity).map(|(waves, scale)| Angles::new(waves, scale, capacity)).collect(),
            model: Arc::clone(model),
            siblings: None,
        })
    }

    /// How many tokens the text has.
    pub fn len(&self) -> usize {
        self.reached[0]
    }

    /// How many tokens there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// K.
    pub fn blocks(&self) -> usize {
        self.model.blocks()
    }

    /// Whether the text has no tokens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many tokens have reached a level.
    ///
    /// # Panics
    /// If the model has no such level.
    pub fn reached(&self, level: usize) -> usize {
        self.reached[level]
    }

    /// Appends tokens, which then stand at level 0.
    ///
    /// # Errors
    /// [`ModelError::SessionFull`] if there is no room for them, [`ModelError::TokenId`] for a token outside the
    /// vocabulary; the text is then what it was.
    ///
    /// # Panics
    /// If there are siblings among which nobody has chosen.
    pub fn push(&mut self, tokens: &[i64]) -> Result<(), ModelError> {
        self.append(tokens, |place| place)
    }

    /// Appends tokens of which one at most will be next: each stands right behind the text, and sees nothing of the others.
    /// They take a place each until [`Session::choose`] keeps one or none.
    ///
    /// # Errors
    /// As [`Session::push`].
    ///
    /// # Panics
    /// As [`Session::push`].
    pub fn push_siblings(&mut self, tokens: &[i64]) -> Result<(), ModelError> {
        let first = self.len();
        self.append(tokens, |_| first)?;
        self.siblings = Some(first);
        Ok(())
    }

    /// Keeps one of the siblings as the text's last token, at the level that it has reached, or none. Its states are those
    /// of a token that was pushed alone.
    ///
    /// # Panics
    /// If there is no such sibling.
    pub fn choose(&mut self, sibling: Option<usize>) {
        let Some(first) = self.siblings.take() else { return assert!(sibling.is_none(), "no siblings") };
        let Some(index) = sibling else { return self.truncate(first) };
        let place = first + index;
        assert!(place < self.len(), "sibling {index} of {}", self.len() - first);
        let keep = |rows: &mut [f32], width: usize| {
            rows.copy_within(place * width..(place + 1) * width, first * width);
        };
        keep(&mut self.states, self.model.hidden_size());
        for (block, Cache { keys, values }) in self.model.blocks.iter().zip(&mut self.caches) {
            keep(keys, block.key_width());
            keep(values, block.key_width());
        }
        for reached in &mut self.reached {
            *reached = if *reached > place { first + 1 } else { first.min(*reached) };
        }
    }

    /// `position` says where the token in a place stands in the text.
    fn append(&mut self, tokens: &[i64], position: impl Fn(usize) -> usize) -> Result<(), ModelError> {
        assert!(self.siblings.is_none(), "siblings among which nobody has chosen");
        let (start, capacity) = (self.len(), self.capacity);
        if tokens.len() > capacity - start {
            return Err(ModelError::SessionFull { found: start + tokens.len(), capacity });
        }
        let vocab_size = self.model.dimensions.vocab_size;
        if let Some(&id) = tokens.iter().find(|id| !(0..vocab_size).contains(*id)) {
            return Err(ModelError::TokenId { id, vocab_size });
        }
        let hidden = self.model.hidden_size();
        let states = self.states[start * hidden..].chunks_exact_mut(hidden);
        for ((place, &token), state) in (start..).zip(tokens).zip(states) {
            self.model.embed(token as usize, position(place), state);
        }
        self.reached[0] += tokens.len();
        Ok(())
    }

    /// Brings the tokens before `end` to `level`; those that have reached it stay where they are. Tokens that go through
    /// a block do so together, so that its weights are read once for them.
    ///
    /// # Errors
    /// [`ModelError::NoLevel`] behind the last block, [`ModelError::SequenceLength`] if there are fewer tokens.
    pub fn advance(&mut self, level: usize, end: usize) -> Result<(), ModelError> {
        self.climb(level, end, Block::run)
    }

    /// The same with the states that the tokens have, as if no block on the way added anything: each block keeps their
    /// keys and values alone. An approximation, for tokens whose answer is known.
    ///
    /// # Errors
    /// As [`Session::advance`].
    pub fn propagate(&mut self, level: usize, end: usize) -> Result<(), ModelError> {
        self.climb(level, end, Block::keep)
    }

    fn climb(
        &mut self,
        level: usize,
        end: usize,
        work: impl Fn(&Block, Stream<'_>, Option<&Angles>, &Threads) + Sync,
    ) -> Result<(), ModelError> {
        let blocks = self.model.blocks();
        if level > blocks {
            return Err(ModelError::NoLevel { level, blocks });
        }
        if end > self.len() {
            return Err(ModelError::SequenceLength { found: end, context: self.len() as i64 });
        }
        let hidden = self.model.hidden_size();
        for index in 0..level {
            while self.reached[index + 1] < end {
                let start = self.reached[index + 1];
                let rows = start..end.min(start + MOST_TOGETHER);
                self.reached[index + 1] = rows.end;
                let block = &self.model.blocks[index];
                let Cache { keys, values } = &mut self.caches[index];
                let angles = block.rotary.and_then(|kind| self.angles.get(kind));
                let states = &mut self.states[rows.start * hidden..rows.end * hidden];
                let (rows, siblings) = (rows.len(), self.siblings);
                let stream = Stream { start, rows, siblings, states, keys, values };
                self.threads.run(|threads| work(block, stream, angles, threads));
            }
        }
        Ok(())
    }

    /// The residual stream of a token at the level where it stands, (H).
    ///
    /// # Panics
    /// If there is no such token.
    pub fn state(&self, position: usize) -> &[f32] {
        self.states(position..position + 1)
    }

    /// The same of several tokens, (n, H).
    ///
    /// # Panics
    /// If there are no such tokens.
    pub fn states(&self, positions: Range<usize>) -> &[f32] {
        assert!(positions.end <= self.len(), "tokens {positions:?} of {}", self.len());
        let hidden = self.model.hidden_size();
        &self.states[positions.start * hidden..positions.end * hidden]
    }

    /// Takes back the tokens from `length` on. What is left of the text is as if they had never been there.
    pub fn truncate(&mut self, length: usize) {
        for reached in &mut self.reached {
            *reached = length.min(*reached);
        }
        self.siblings = self.siblings.filter(|first| *first < length);
    }

    /// The logits of some tokens, from their states as they are: (n, V).
    ///
    /// # Panics
    /// If there are no such tokens, or the head is of another model.
    pub fn logits(&self, head: &Head, positions: Range<usize>) -> Vec<f32> {
        self.read(head, self.states(positions))
    }

    /// The logits of any states (n, H), computed by the session's threads: (n, V).
    ///
    /// # Panics
    /// If the head is of another model.
    pub fn read(&self, head: &Head, states: &[f32]) -> Vec<f32> {
        self.threads.run(|threads| head.logits(states, threads))
    }

    /// A layer beside the model's own, computed by the session's threads: (n, in) -> (n, out).
    ///
    /// # Panics
    /// If `rows` are no whole rows of the layer.
    pub fn apply(&self, layer: &Layer, rows: &[f32]) -> Vec<f32> {
        self.threads.run(|threads| layer.forward(rows, threads))
    }
}
