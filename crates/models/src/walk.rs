//! Sequences on their way through the blocks, one block at a time.

use tch::{Kind, Tensor};

use crate::ModelError;
use crate::attention::PackAngles;
use crate::decoder::{Decoder, Positions};
use crate::pack::Pack;

/// Which tokens' states are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The sampled tokens'.
    Sampled,
    /// Every token's.
    Every,
}

/// Sequences between two blocks of a model. A block is computed when [`Walk::advance`] is called: whoever stops
/// early has not paid for the blocks behind.
pub struct Walk<'a> {
    model: &'a Decoder,
    pack: Pack,
    /// Those of each kind of block; none where positions are learned.
    angles: Vec<PackAngles>,
    wanted: Wanted,
    level: usize,
    /// The residual stream, (T, H); (R, H) where the last block has left only what is wanted.
    stream: Tensor,
}

impl<'a> Walk<'a> {
    pub(crate) fn start(model: &'a Decoder, pack: Pack, wanted: Wanted) -> Result<Self, ModelError> {
        tch::no_grad(|| {
            let stream = model.embed(&pack.tokens, &pack.positions)?; // (T, H)
            let angles = match &model.positions {
                Positions::Learned(_) => Vec::new(),
                Positions::Rotary(kinds) => kinds
                    .iter()
                    .map(|rotary| {
                        let all = rotary.at(&pack)?;
                        let sampled = all.rows(&pack.sorted_rows)?;
                        Ok(PackAngles { all, sampled })
                    })
                    .collect::<Result<_, ModelError>>()?,
            };
            Ok(Self { model, pack, angles, wanted, level: 0, stream })
        })
    }

    /// How many blocks are behind: 0 at first, K at the end.
    pub fn level(&self) -> usize {
        self.level
    }

    /// The hidden states at this level: of the sampled tokens of each sequence, which is the last one unless told, in the
    /// order in which the sequences were given, (R, H) f32.
    ///
    /// # Errors
    /// [`ModelError::Torch`] if libtorch refuses.
    pub fn state(&self) -> Result<Tensor, ModelError> {
        tch::no_grad(|| {
            let states = match self.wanted {
                Wanted::Every => self.stream.shallow_clone(),
                Wanted::Sampled if self.level == self.model.blocks.len() => {
                    self.stream.f_index_select(0, &self.pack.restore)?
                }
                Wanted::Sampled => self.stream.f_index_select(0, &self.pack.sampled_rows)?,
            };
            Ok(states.f_to_kind(Kind::Float)?)
        })
    }

    /// Goes through the next block.
    ///
    /// # Errors
    /// [`ModelError::NoLevel`] behind the last block.
    pub fn advance(&mut self) -> Result<(), ModelError> {
        let blocks = &self.model.blocks;
        let no_level = || ModelError::NoLevel { level: self.level + 1, blocks: blocks.len() };
        let block = blocks.get(self.level).ok_or_else(no_level)?;
        let is_last = self.level + 1 == blocks.len();
        self.stream = tch::no_grad(|| {
            if is_last && self.wanted == Wanted::Sampled {
                block.forward_sampled(&self.stream, &self.pack, &self.angles)
            } else {
                block.forward(&self.stream, &self.pack, &self.angles)
            }
        })?;
        self.level += 1;
        Ok(())
    }

    /// The states at some levels, ascending; no block behind the last of them is computed.
    pub(crate) fn states_at(mut self, levels: &[usize]) -> Result<Tensor, ModelError> {
        let mut states = Vec::with_capacity(levels.len());
        for &level in levels {
            while self.level < level {
                self.advance()?;
            }
            states.push(self.state()?);
        }
        Ok(Tensor::f_stack(&states, 0)?)
    }

    /// The states at this level and those up to `level`.
    pub(crate) fn states_until(mut self, level: usize) -> Result<Tensor, ModelError> {
        let mut states = vec![self.state()?];
        while self.level < level {
            self.advance()?;
            states.push(self.state()?);
        }
        Ok(Tensor::f_stack(&states, 0)?)
    }
}
