//! Decoding: a text that grows by a few tokens at a time, and remembers the keys and values of those before.
//!
//! Every token of a [`Session`] stands at a level of its own: it can wait at level k until it is clear that it is wanted,
//! and go on from there together with others. On the CPU, whatever the number of rows that go through a block together, of
//! threads, and of tokens that were taken back, a token's states are the same, bit for bit: each of its sums is computed in
//! an order of its own. A GPU multiplies one row and several in different ways; there they differ by rounding.
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
//! let state = session.state(3)?; // (H)
//! # Ok::<(), onejump_models::ModelError>(())
//! ```
//!
//! On the CPU these are slices of f32 from end to end, no tensors (`slices.rs`); one token costs as long as the weights take
//! to come from memory. On a GPU they are tensors that stay there (`tensors.rs`). A family's file loads the same parts as for
//! a [walk](crate::walk::Walk).

mod angles;
mod block;
mod head;
mod layer;
mod model;
mod norm;
mod rows;
mod shared;
mod slice_model;
mod slices;
mod tensor_model;
mod tensors;
mod text;
mod threads;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::ModelError;
pub use head::Head;
pub use layer::Layer;
use model::Form;
pub use model::Model;
pub use onejump_simd::Format;
use rows::Rows;
use slices::SliceText;
use tensors::TensorText;
use text::{Pass, Text};

/// A text on its way through a model.
pub struct Session {
    model: Arc<Model>,
    capacity: usize,
    /// How many tokens have reached each level, (K + 1); never more than have reached the level before.
    reached: Vec<usize>,
    /// The place of the first of several tokens that all may come next; the others stand behind it.
    siblings: Option<usize>,
    text: Box<dyn Text>,
}

impl Session {
    /// An empty text with room for `capacity` tokens, computed by `threads` threads; 0 is one for each processor. A GPU needs
    /// none.
    ///
    /// A model whose rotary angles depend on the length of the text (Phi-3's `longrope`) has those of a text of `capacity`
    /// tokens throughout, so that no token's keys change while the text grows.
    ///
    /// # Errors
    /// [`ModelError::SequenceLength`] if the model takes fewer tokens, [`ModelError::Threads`] if the system refuses the
    /// threads, [`ModelError::Torch`] if a GPU has no room.
    pub fn new(model: &Arc<Model>, capacity: usize, threads: usize) -> Result<Self, ModelError> {
        let context = model.context();
        if capacity == 0 || capacity > context {
            return Err(ModelError::SequenceLength { found: capacity, context: context as i64 });
        }
        let text: Box<dyn Text> = match &model.0 {
            Form::Slices(model) => Box::new(SliceText::new(model, capacity, threads)?),
            Form::Tensors(model) => Box::new(TensorText::new(model, capacity)?),
        };
        Ok(Self {
            text,
            capacity,
            reached: vec![0; model.blocks() + 1],
            siblings: None,
            model: Arc::clone(model),
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
        self.append(tokens, None)
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
        let first = Some(self.len());
        self.append(tokens, first)?;
        self.siblings = first;
        Ok(())
    }

    /// Keeps one of the siblings as the text's last token, at the level that it has reached, or none. Its states are those
    /// of a token that was pushed alone (on a GPU, up to rounding).
    ///
    /// # Errors
    /// [`ModelError::Torch`] if a GPU refuses.
    ///
    /// # Panics
    /// If there is no such sibling.
    pub fn choose(&mut self, sibling: Option<usize>) -> Result<(), ModelError> {
        let Some(first) = self.siblings else {
            assert!(sibling.is_none(), "no siblings");
            return Ok(());
        };
        let Some(index) = sibling else {
            self.truncate(first);
            return Ok(());
        };
        let place = first + index;
        assert!(place < self.len(), "sibling {index} of {}", self.len() - first);
        if place != first {
            self.text.keep(place, first)?;
        }
        for reached in &mut self.reached {
            *reached = if *reached > place { first + 1 } else { first.min(*reached) };
        }
        self.siblings = None;
        Ok(())
    }

    fn append(&mut self, tokens: &[i64], siblings: Option<usize>) -> Result<(), ModelError> {
        assert!(self.siblings.is_none(), "siblings among which nobody has chosen");
        let (start, capacity) = (self.len(), self.capacity);
        if tokens.len() > capacity - start {
            return Err(ModelError::SessionFull { found: start + tokens.len(), capacity });
        }
        let vocab_size = self.model.vocab_size();
        if let Some(&id) = tokens.iter().find(|id| !(0..vocab_size).contains(*id)) {
            return Err(ModelError::TokenId { id, vocab_size });
        }
        if !tokens.is_empty() {
            let places = start..start + tokens.len();
            self.text.embed(tokens, &Rows { places, siblings })?;
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
        self.climb(level, end, Pass::Run)
    }

    /// The same with the states that the tokens have, as if no block on the way added anything: each block keeps their
    /// keys and values alone. An approximation, for tokens whose answer is known.
    ///
    /// # Errors
    /// As [`Session::advance`].
    pub fn propagate(&mut self, level: usize, end: usize) -> Result<(), ModelError> {
        self.climb(level, end, Pass::Keep)
    }

    fn climb(&mut self, level: usize, end: usize, pass: Pass) -> Result<(), ModelError> {
        let (blocks, most) = (self.model.blocks(), self.text.most_together());
        if level > blocks {
            return Err(ModelError::NoLevel { level, blocks });
        }
        if end > self.len() {
            return Err(ModelError::SequenceLength { found: end, context: self.len() as i64 });
        }
        for block in 0..level {
            while self.reached[block + 1] < end {
                let start = self.reached[block + 1];
                let rows = Rows { places: start..end.min(start + most), siblings: self.siblings };
                self.text.pass(block, &rows, pass)?;
                self.reached[block + 1] = rows.places.end;
            }
        }
        Ok(())
    }

    /// The residual stream of a token at the level where it stands, (H).
    ///
    /// # Errors
    /// [`ModelError::Torch`] if a GPU refuses.
    ///
    /// # Panics
    /// If there is no such token.
    pub fn state(&self, position: usize) -> Result<Cow<'_, [f32]>, ModelError> {
        self.states(position..position + 1)
    }

    /// The same of several tokens, (n, H).
    ///
    /// # Errors
    /// As [`Session::state`].
    ///
    /// # Panics
    /// If there are no such tokens.
    pub fn states(&self, positions: Range<usize>) -> Result<Cow<'_, [f32]>, ModelError> {
        self.text.states(self.there(positions))
    }

    fn there(&self, positions: Range<usize>) -> Range<usize> {
        assert!(positions.end <= self.len(), "tokens {positions:?} of {}", self.len());
        positions
    }

    /// Waits until a GPU has computed what it was asked for, as everything does that returns values. For those who measure
    /// time.
    pub fn wait(&self) {
        self.text.wait();
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
    /// # Errors
    /// As [`Session::state`].
    ///
    /// # Panics
    /// If there are no such tokens, or the head is of another model.
    pub fn logits(&self, head: &Head, positions: Range<usize>) -> Result<Vec<f32>, ModelError> {
        self.text.logits(head, self.there(positions))
    }

    /// The logits of any states (n, H): (n, V).
    ///
    /// # Errors
    /// As [`Session::state`].
    ///
    /// # Panics
    /// If the head is of another model.
    pub fn read(&self, head: &Head, states: &[f32]) -> Result<Vec<f32>, ModelError> {
        self.text.read(head, states)
    }

    /// A layer beside the model's own, computed where the text is: (n, in) -> (n, out).
    ///
    /// # Errors
    /// As [`Session::state`].
    ///
    /// # Panics
    /// If `rows` are no whole rows of the layer, or it was made for another model.
    pub fn apply(&self, layer: &Layer, rows: &[f32]) -> Result<Vec<f32>, ModelError> {
        self.text.apply(layer, rows)
    }
}
