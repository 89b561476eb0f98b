//! A text in tensors, for a GPU: what a block computes for a few rows, and what is kept of a text there.
//!
//! The parts of a block are those of a [walk](crate::walk::Walk); here they see the keys and values of tokens before. A GPU
//! multiplies one row and several in different ways, so that a token's states depend on how many go together, by rounding.

use std::ops::Range;
use std::sync::Arc;

use onejump_tensor::rows::{tensor, values};
use onejump_tensor::transfer::to_device;
use tch::Tensor;

use super::head::Head;
use super::layer::Layer;
use super::{Pass, Text};
use crate::ModelError;
use crate::attention::Attention;
use crate::decoder::{Block, Decoder, Positions};
use crate::device::Place;
use crate::rotary::Angles;

/// A model without its head.
pub(super) struct Model {
    pub decoder: Decoder,
    pub place: Place,
}

/// A text on its way through a model.
pub(super) struct TensorText {
    model: Arc<Model>,
    /// Each token's residual stream at the level where it stands, (capacity, H).
    states: Tensor,
    /// Of each block.
    caches: Vec<Cache>,
    /// For each kind of block, at every position.
    angles: Vec<Angles>,
    /// What the rows that went through the last block saw, and what others would have seen.
    seen: Vec<Seen>,
}

/// The keys and values that a block has of each token, (G, capacity, d) each.
struct Cache {
    keys: Tensor,
    values: Tensor,
}

/// Tokens side by side that go through a block together.
#[derive(Clone, PartialEq, Eq)]
struct Rows {
    places: Range<usize>,
    /// The place of the first of several tokens that all may come next.
    siblings: Option<usize>,
}

/// What some rows see in a block of a kind.
struct Seen {
    rows: Rows,
    window: Option<i64>,
    /// How many heads share keys and values.
    shared: usize,
    /// The first token that any of them sees.
    first: usize,
    /// Whether a row sees a token, (n · shared, tokens) in the order of the queries; not needed for a row that sees all.
    mask: Option<Tensor>,
}

impl Rows {
    /// Where the token in a place stands in the text: siblings all where the first of them does.
    fn position(&self, place: usize) -> usize {
        self.siblings.map_or(place, |first| place.min(first))
    }

    /// Where each stands.
    fn positions(&self) -> Vec<i64> {
        self.places.clone().map(|place| self.position(place) as i64).collect()
    }

    /// Whether they stand where they are kept.
    fn in_order(&self) -> bool {
        self.places.clone().all(|place| self.position(place) == place)
    }

    /// The first token that one in a place sees.
    fn first(&self, place: usize, window: Option<i64>) -> usize {
        window.map_or(0, |window| (self.position(place) + 1).saturating_sub(window as usize))
    }

    /// Whether the token in a place sees another.
    fn sees(&self, place: usize, other: usize, window: Option<i64>) -> bool {
        other == place || (self.first(place, window)..self.position(place)).contains(&other)
    }
}

impl Model {
    /// Room for a text.
    pub fn text(self: &Arc<Self>, capacity: usize) -> Result<TensorText, ModelError> {
        let (decoder, options) = (&self.decoder, (self.place.dtype, self.place.device));
        let room = |shape: &[i64]| Tensor::f_zeros(shape, options);
        let capacity = capacity as i64;
        let cache = |Block { attention: Attention { groups, width, .. }, .. }: &Block| {
            let shape = [*groups, capacity, *width];
            Ok(Cache { keys: room(&shape)?, values: room(&shape)? })
        };
        let angles = match &decoder.positions {
            Positions::Learned(_) => Vec::new(),
            Positions::Rotary(kinds) => {
                kinds.iter().map(|rotary| rotary.table(capacity)).collect::<Result<_, _>>()?
            }
        };
        Ok(TensorText {
            states: room(&[capacity, decoder.dimensions.hidden_size])?,
            caches: decoder.blocks.iter().map(cache).collect::<Result<_, ModelError>>()?,
            angles,
            seen: Vec::new(),
            model: Arc::clone(self),
        })
    }
}

impl TensorText {
    fn rows(&self, places: &Range<usize>) -> Result<Tensor, ModelError> {
        Ok(self.states.f_narrow(0, places.start as i64, places.len() as i64)?)
    }

    fn uploaded(&self, rows: &[f32], width: usize) -> Result<Tensor, ModelError> {
        Ok(to_device(&tensor(rows, width)?, self.model.place.device)?)
    }

    /// What rows see in a block; computed once for all blocks of a kind.
    fn see(&mut self, attention: &Attention, rows: &Rows) -> Result<usize, ModelError> {
        let (window, shared) = (attention.comparison.window, (attention.heads / attention.groups) as usize);
        self.seen.retain(|seen| seen.rows == *rows);
        let known = self.seen.iter().position(|seen| (seen.window, seen.shared) == (window, shared));
        if let Some(known) = known {
            return Ok(known);
        }
        let Rows { places, .. } = rows;
        let first = places.clone().map(|place| rows.first(place, window)).min().unwrap_or(0);
        let all = places.clone().all(|place| {
            rows.in_order() && place + 1 == places.end && rows.first(place, window) == first
        });
        let mask = if all {
            None
        } else {
            let sees = places.clone().flat_map(|place| {
                let row: Vec<bool> =
                    (first..places.end).map(|other| rows.sees(place, other, window)).collect();
                std::iter::repeat_n(row, shared).flatten()
            });
            let sees = Tensor::f_from_slice(&sees.collect::<Vec<_>>())?;
            let sees = sees.f_view([(places.len() * shared) as i64, (places.end - first) as i64])?;
            Some(to_device(&sees, self.model.place.device)?)
        };
        self.seen.push(Seen { rows: rows.clone(), window, shared, first, mask });
        Ok(self.seen.len() - 1)
    }

    /// Keeps the keys and values of what enters a block's attention (n, H); returns the queries, (n, A, d).
    fn remember(&self, index: usize, entering: &Tensor, rows: &Rows) -> Result<Tensor, ModelError> {
        let block = &self.model.decoder.blocks[index];
        let angles = match block.rotary.and_then(|kind| self.angles.get(kind)) {
            Some(angles) if rows.in_order() => {
                Some(angles.part(rows.places.start as i64, rows.places.len() as i64)?)
            }
            Some(angles) => {
                let positions = Tensor::f_from_slice(&rows.positions())?;
                Some(angles.rows(&to_device(&positions, self.model.place.device)?)?)
            }
            None => None,
        };
        let [query, key, value] = block.attention.split(entering, angles.as_ref())?;
        let Cache { keys, values } = &self.caches[index];
        for (kept, new) in [(keys, key), (values, value)] {
            let room = kept.f_narrow(1, rows.places.start as i64, rows.places.len() as i64)?;
            room.shallow_clone().f_copy_(&new.f_transpose(0, 1)?)?;
        }
        Ok(query)
    }

    /// Attention of queries (n, A, d) over the tokens that they see: (n, A·d).
    fn attend(&self, index: usize, query: &Tensor, seen: &Seen) -> Result<Tensor, ModelError> {
        let attention = &self.model.decoder.blocks[index].attention;
        let (groups, width, shared) = (attention.groups, attention.width, seen.shared as i64);
        let (rows, first) = (seen.rows.places.len() as i64, seen.first as i64);
        // The heads of a group read the same keys and values: each is a row of queries of its own.
        let query = query.f_view([rows, groups, shared, width])?.f_transpose(0, 1)?;
        let query = query.f_reshape([1, groups, rows * shared, width])?;
        let part = |kept: &Tensor| {
            kept.f_narrow(1, first, seen.rows.places.end as i64 - first)?.f_unsqueeze(0)
        };
        let Cache { keys, values } = &self.caches[index];
        let mask = seen.mask.as_ref().map(Tensor::shallow_clone);
        let attended = attention.comparison.attend(&query, &part(keys)?, &part(values)?, mask, false)?;
        let by_row = attended.f_reshape([groups, rows, shared, width])?.f_transpose(0, 1)?;
        Ok(by_row.f_reshape([rows, groups * shared * width])?)
    }

    fn run(&mut self, index: usize, rows: &Rows) -> Result<(), ModelError> {
        let model = Arc::clone(&self.model);
        let block = &model.decoder.blocks[index];
        let seen = self.see(&block.attention, rows)?;
        let mut stream = self.rows(&rows.places)?;
        let query = self.remember(index, &block.attention_norms.entering(&stream)?, rows)?;
        let attended = self.attend(index, &query, &self.seen[seen])?;
        let attended = block.attention_norms.leaving(block.attention.o_proj.forward(&attended)?)?;
        let fed = |stream: &Tensor| {
            block.mlp_norms.leaving(block.mlp.forward(&block.mlp_norms.entering(stream)?)?)
        };
        if block.parallel {
            let added = fed(&stream)?;
            let _ = stream.f_add_(&attended)?.f_add_(&added)?;
        } else {
            let _ = stream.f_add_(&attended)?;
            let added = fed(&stream)?;
            let _ = stream.f_add_(&added)?;
        }
        Ok(())
    }
}

impl Text for TensorText {
    /// A block's mask has a row for each of them and each head that shares keys.
    const MOST_TOGETHER: usize = 256;
}
