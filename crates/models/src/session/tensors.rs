//! A text in tensors, for a GPU: what a block computes for a few rows, and what is kept of a text there.
//!
//! The parts of a block are those of a [walk](crate::walk::Walk); here they see the keys and values of tokens before. A GPU
//! multiplies one row and several in different ways, so that a token's states depend on how many go together, by rounding.

use std::borrow::Cow;
use std::ops::Range;

use onejump_tensor::rows::{tensor, values};
use onejump_tensor::transfer::{self, to_device};
use tch::Tensor;

use super::head::Head;
use super::layer::Layer;
use super::rows::Rows;
use super::tensor_model::TensorModel;
use super::text::{Pass, Text};
use crate::ModelError;
use crate::attention::Attention;
use crate::decoder::{Block, Decoder, Positions};
use crate::device::Place;
use crate::rotary::Angles;

/// How many rows go through a block together at most: a mask has a row for each of them and each head that shares keys.
const MOST_TOGETHER: usize = 256;

/// A text on its way through a model.
pub(super) struct TensorText {
    decoder: Decoder,
    place: Place,
    /// Each token's residual stream at the level where it stands, (capacity, H).
    states: Tensor,
    /// Of each block.
    caches: Vec<Cache>,
    /// For each kind of block, at every position.
    angles: Vec<Angles>,
    /// Those that went through the last block.
    together: Together,
}

/// The keys and values that a block has of each token, (G, capacity, d) each.
struct Cache {
    keys: Tensor,
    values: Tensor,
}

/// Rows that go through blocks together, and what is the same for all blocks of a kind.
struct Together {
    rows: Rows,
    /// For each kind of rotary embedding.
    angles: Vec<Angles>,
    seen: Vec<Seen>,
}

/// What rows see in a block of a kind.
struct Seen {
    window: Option<usize>,
    /// How many heads share keys and values.
    shared: usize,
    /// The first token that any of them sees.
    first: usize,
    /// Whether a row sees a token, (n · shared, tokens) in the order of the queries; not needed for a row that sees all.
    mask: Option<Tensor>,
}

impl TensorText {
    /// Room for a text.
    pub fn new(model: &TensorModel, capacity: usize) -> Result<Self, ModelError> {
        let (decoder, place) = (model.decoder(), model.place);
        let options = (place.dtype, place.device);
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
        Ok(Self {
            states: room(&[capacity, decoder.dimensions.hidden_size])?,
            caches: decoder.blocks.iter().map(cache).collect::<Result<_, ModelError>>()?,
            angles,
            together: Together {
                rows: Rows { places: 0..0, siblings: None },
                angles: Vec::new(),
                seen: Vec::new(),
            },
            decoder,
            place,
        })
    }

    fn rows(&self, places: &Range<usize>) -> Result<Tensor, ModelError> {
        Ok(self.states.f_narrow(0, places.start as i64, places.len() as i64)?)
    }

    /// Where each stands in the text, (n).
    fn positions(&self, rows: &Rows) -> Result<Tensor, ModelError> {
        let positions: Vec<i64> = rows.places.clone().map(|place| rows.position(place) as i64).collect();
        Ok(to_device(&Tensor::f_from_slice(&positions)?, self.place.device)?)
    }

    /// What these rows have in every block.
    fn bring_together(&mut self, rows: &Rows) -> Result<(), ModelError> {
        if self.together.rows == *rows {
            return Ok(());
        }
        let Range { start, end } = rows.places;
        let angles = if rows.in_order() == rows.places.len() {
            let part = |angles: &Angles| angles.part(start as i64, (end - start) as i64);
            self.angles.iter().map(part).collect::<Result<_, _>>()?
        } else {
            let positions = self.positions(rows)?;
            self.angles.iter().map(|angles| angles.rows(&positions)).collect::<Result<_, _>>()?
        };
        self.together = Together { rows: rows.clone(), angles, seen: Vec::new() };
        Ok(())
    }

    /// What the rows see in a block.
    fn see(&mut self, index: usize) -> Result<usize, ModelError> {
        let attention = &self.decoder.blocks[index].attention;
        let window = attention.comparison.window.map(|window| window as usize);
        let shared = (attention.heads / attention.groups) as usize;
        let Together { rows, seen, .. } = &mut self.together;
        if let Some(known) = seen.iter().position(|seen| (seen.window, seen.shared) == (window, shared)) {
            return Ok(known);
        }
        let places = &rows.places;
        let first = places.clone().map(|place| rows.first_seen(place, window)).min().unwrap_or(0);
        let sees_all = places.len() == 1 && rows.in_order() == 1;
        let mask = if sees_all {
            None
        } else {
            let sees = places.clone().flat_map(|place| {
                let row: Vec<bool> =
                    (first..places.end).map(|other| rows.sees(place, other, window)).collect();
                std::iter::repeat_n(row, shared).flatten()
            });
            let sees = Tensor::f_from_slice(&sees.collect::<Vec<_>>())?;
            let sees = sees.f_view([(places.len() * shared) as i64, (places.end - first) as i64])?;
            Some(to_device(&sees, self.place.device)?)
        };
        seen.push(Seen { window, shared, first, mask });
        Ok(seen.len() - 1)
    }

    /// Keeps the keys and values of what enters a block's attention (n, H); returns the queries, (n, A, d).
    fn remember(&self, index: usize, entering: &Tensor) -> Result<Tensor, ModelError> {
        let (block, Together { rows, angles, .. }) = (&self.decoder.blocks[index], &self.together);
        let angles = block.rotary.and_then(|kind| angles.get(kind));
        let [query, key, value] = block.attention.split(entering, angles)?;
        let Cache { keys, values } = &self.caches[index];
        for (kept, new) in [(keys, key), (values, value)] {
            let room = kept.f_narrow(1, rows.places.start as i64, rows.places.len() as i64)?;
            room.shallow_clone().f_copy_(&new.f_transpose(0, 1)?)?;
        }
        Ok(query)
    }

    /// Attention of queries (n, A, d) over the tokens that they see: (n, A·d).
    fn attend(&self, index: usize, query: &Tensor, seen: &Seen) -> Result<Tensor, ModelError> {
        let places = &self.together.rows.places;
        let attention = &self.decoder.blocks[index].attention;
        let (groups, width, shared) = (attention.groups, attention.width, seen.shared as i64);
        let (rows, first) = (places.len() as i64, seen.first as i64);
        // The heads of a group read the same keys and values: each is a row of queries of its own.
        let query = query.f_view([rows, groups, shared, width])?.f_transpose(0, 1)?;
        let query = query.f_reshape([1, groups, rows * shared, width])?;
        let part = |kept: &Tensor| kept.f_narrow(1, first, places.end as i64 - first)?.f_unsqueeze(0);
        let Cache { keys, values } = &self.caches[index];
        let mask = seen.mask.as_ref().map(Tensor::shallow_clone);
        let attended = attention.comparison.attend(&query, &part(keys)?, &part(values)?, mask, false)?;
        let by_row = attended.f_reshape([groups, rows, shared, width])?.f_transpose(0, 1)?;
        Ok(by_row.f_reshape([rows, groups * shared * width])?)
    }

    fn run(&mut self, index: usize, rows: &Rows) -> Result<(), ModelError> {
        self.bring_together(rows)?;
        let seen = self.see(index)?;
        let block = &self.decoder.blocks[index];
        let mut stream = self.rows(&rows.places)?;
        let query = self.remember(index, &block.attention_norms.entering(&stream)?)?;
        let attended =
            block.attention.o_proj.forward(&self.attend(index, &query, &self.together.seen[seen])?)?;
        stream.f_copy_(&block.feed_forward(attended, &stream)?)?;
        Ok(())
    }
}

impl Text for TensorText {
    fn most_together(&self) -> usize {
        MOST_TOGETHER
    }

    fn embed(&mut self, tokens: &[i64], rows: &Rows) -> Result<(), ModelError> {
        tch::no_grad(|| {
            let tokens = to_device(&Tensor::f_from_slice(tokens)?, self.place.device)?;
            let embedded = self.decoder.embed(&tokens, &self.positions(rows)?)?;
            self.rows(&rows.places)?.f_copy_(&embedded)?;
            Ok(())
        })
    }

    fn pass(&mut self, block: usize, rows: &Rows, pass: Pass) -> Result<(), ModelError> {
        tch::no_grad(|| match pass {
            Pass::Run => self.run(block, rows),
            Pass::Keep => {
                self.bring_together(rows)?;
                let stream = self.rows(&rows.places)?;
                let norms = &self.decoder.blocks[block].attention_norms;
                self.remember(block, &norms.entering(&stream)?).map(drop)
            }
        })
    }

    fn keep(&mut self, place: usize, first: usize) -> Result<(), ModelError> {
        let (place, first) = (place as i64, first as i64);
        let keep = |kept: &Tensor, axis: i64| -> Result<(), ModelError> {
            kept.f_narrow(axis, first, 1)?.f_copy_(&kept.f_narrow(axis, place, 1)?)?;
            Ok(())
        };
        keep(&self.states, 0)?;
        for Cache { keys, values } in &self.caches {
            keep(keys, 1)?;
            keep(values, 1)?;
        }
        Ok(())
    }

    fn states(&self, places: Range<usize>) -> Result<Cow<'_, [f32]>, ModelError> {
        Ok(Cow::Owned(values(&self.rows(&places)?)?))
    }

    fn logits(&self, head: &Head, places: Range<usize>) -> Result<Vec<f32>, ModelError> {
        tch::no_grad(|| Ok(values(&head.tensors().logits(&self.rows(&places)?)?)?))
    }

    fn read(&self, head: &Head, states: &[f32]) -> Result<Vec<f32>, ModelError> {
        let head = head.tensors();
        let states = to_device(&tensor(states, head.hidden_size())?, self.place.device)?;
        tch::no_grad(|| Ok(values(&head.logits(&states.f_to_kind(self.place.dtype)?)?)?))
    }

    fn wait(&self) {
        transfer::wait(self.place.device);
    }

    fn apply(&self, layer: &Layer, rows: &[f32]) -> Result<Vec<f32>, ModelError> {
        tch::no_grad(|| Ok(values(&layer.of_tensors(rows)?)?))
    }
}
