//! A text in slices of f32, for the processor.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::angles::Angles;
use super::block::{Block, Stream};
use super::head::Head;
use super::layer::Layer;
use super::rows::Rows;
use super::slice_model::SliceModel;
use super::text::{Pass, Text};
use super::threads::Threads;
use crate::ModelError;

/// How many rows go through a block together at most: more gain little.
const MOST_TOGETHER: usize = 64;

/// A text on its way through a model.
pub(super) struct SliceText {
    model: Arc<SliceModel>,
    threads: Threads,
    /// Each token's residual stream at the level where it stands, (capacity, H).
    states: Vec<f32>,
    /// Of each block.
    caches: Vec<Cache>,
    /// The cosines and sines of the rotary angles, for each kind of block.
    angles: Vec<Angles>,
}

/// The keys and values that a block has of each token, (capacity, G·d) each.
struct Cache {
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl SliceText {
    /// Room for a text, which `threads` threads compute.
    pub fn new(model: &Arc<SliceModel>, capacity: usize, threads: usize) -> Result<Self, ModelError> {
        let cache = |block: &Block| {
            let size = capacity * block.key_width();
            Cache { keys: vec![0.0; size], values: vec![0.0; size] }
        };
        Ok(Self {
            threads: Threads::new(threads)?,
            states: vec![0.0; capacity * model.hidden_size()],
            caches: model.blocks.iter().map(cache).collect(),
            angles: model.waves(capacity).map(|(waves, scale)| Angles::new(waves, scale, capacity)).collect(),
            model: Arc::clone(model),
        })
    }

    fn range(&self, places: &Range<usize>) -> Range<usize> {
        let hidden = self.model.hidden_size();
        places.start * hidden..places.end * hidden
    }
}

impl Text for SliceText {
    fn most_together(&self) -> usize {
        MOST_TOGETHER
    }

    fn embed(&mut self, tokens: &[i64], rows: &Rows) -> Result<(), ModelError> {
        let (range, hidden) = (self.range(&rows.places), self.model.hidden_size());
        let states = self.states[range].chunks_exact_mut(hidden);
        for ((place, &token), state) in rows.places.clone().zip(tokens).zip(states) {
            self.model.embed(token as usize, rows.position(place), state);
        }
        Ok(())
    }

    fn pass(&mut self, index: usize, rows: &Rows, pass: Pass) -> Result<(), ModelError> {
        let range = self.range(&rows.places);
        let block = &self.model.blocks[index];
        let Cache { keys, values } = &mut self.caches[index];
        let angles = block.rotary.and_then(|kind| self.angles.get(kind));
        let stream = Stream { rows, states: &mut self.states[range], keys, values };
        self.threads.run(|threads| match pass {
            Pass::Run => block.run(stream, angles, threads),
            Pass::Keep => block.keep(stream, angles, threads),
        });
        Ok(())
    }

    fn keep(&mut self, place: usize, first: usize) -> Result<(), ModelError> {
        let keep = |rows: &mut [f32], width: usize| {
            rows.copy_within(place * width..(place + 1) * width, first * width);
        };
        keep(&mut self.states, self.model.hidden_size());
        for (block, Cache { keys, values }) in self.model.blocks.iter().zip(&mut self.caches) {
            keep(keys, block.key_width());
            keep(values, block.key_width());
        }
        Ok(())
    }

    fn states(&self, places: Range<usize>) -> Result<Cow<'_, [f32]>, ModelError> {
        Ok(Cow::Borrowed(&self.states[self.range(&places)]))
    }

    fn logits(&self, head: &Head, places: Range<usize>) -> Result<Vec<f32>, ModelError> {
        self.read(head, &self.states[self.range(&places)])
    }

    fn read(&self, head: &Head, states: &[f32]) -> Result<Vec<f32>, ModelError> {
        let head = head.slices();
        Ok(self.threads.run(|threads| head.logits(states, threads)))
    }

    /// A processor computes at once.
    fn wait(&self) {}

    fn apply(&self, layer: &Layer, rows: &[f32]) -> Result<Vec<f32>, ModelError> {
        let layer = layer.slices();
        Ok(self.threads.run(|threads| layer.forward(rows, threads)))
    }
}
