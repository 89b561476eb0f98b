//! A transformer of any known architecture, tapped at every level.

use tch::{Device, Tensor};

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::decoder::{Decoder, Dimensions, Positions};
use crate::device::Place;
use crate::family::Family;
use crate::head::EMBEDDINGS;
use crate::pack::Pack;
pub use crate::sampled::Sampled;
use crate::walk::{Walk, Wanted};

/// What is known of a model before it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline {
    /// H.
    pub hidden_size: usize,
    /// K.
    pub blocks: usize,
    /// V.
    pub vocab_size: usize,
    /// The longest sequence that the model takes.
    pub context: usize,
    /// How many values all tensors of the checkpoint have together.
    pub parameters: u64,
    /// How many tensors are of V×H: 2 where the head is not tied to the embedding.
    pub vocabulary_matrices: usize,
}

impl Outline {
    /// Reads the configuration and the tensors' shapes.
    ///
    /// # Errors
    /// [`ModelError`] if the architecture is not known or its configuration not understood.
    pub fn of(checkpoint: &Checkpoint) -> Result<Self, ModelError> {
        let dimensions = Family::of(checkpoint)?.dimensions(checkpoint)?;
        // A tied matrix may be saved under the head's name alone.
        let only_head = !EMBEDDINGS.iter().any(|name| checkpoint.has_tensor(name));
        Ok(Self {
            hidden_size: dimensions.hidden_size as usize,
            blocks: dimensions.blocks,
            vocab_size: dimensions.vocab_size as usize,
            context: dimensions.context as usize,
            parameters: checkpoint.parameters(),
            vocabulary_matrices: 1 + usize::from(checkpoint.unembedding().is_some() && !only_head),
        })
    }
}

/// A model without its head.
pub struct Transformer {
    model: Decoder,
    place: Place,
    /// Whether sequences of similar lengths attend together.
    padded: bool,
}

impl Transformer {
    /// Loads the blocks and the embedding of a checkpoint, to compute in `place`'s type.
    ///
    /// # Errors
    /// [`ModelError`] if the architecture is not known, a tensor is missing or misshapen, or the blocks have more tensors
    /// than the configuration accounts for.
    pub fn load(checkpoint: &mut Checkpoint, place: Place) -> Result<Self, ModelError> {
        let padded = place.device != Device::Cpu;
        Ok(Self { model: Decoder::load(checkpoint, place)?, place, padded })
    }

    /// The same model with sequences of similar lengths attending together, padded, or each length by itself. The
    /// states differ by rounding alone. A GPU pads, a processor does not, unless told.
    pub fn with_padding(self, padded: bool) -> Self {
        Self { padded, ..self }
    }

    /// The same model; the weights are shared, not copied. A clone can be sent to another thread.
    pub fn shallow_clone(&self) -> Self {
        Self { model: self.model.shallow_clone(), place: self.place, padded: self.padded }
    }

    /// Where the model computes.
    pub fn device(&self) -> Device {
        self.place.device
    }

    /// H.
    pub fn hidden_size(&self) -> usize {
        self.model.dimensions.hidden_size as usize
    }

    /// K.
    pub fn blocks(&self) -> usize {
        self.model.blocks.len()
    }

    /// The hidden states at the last token of each sequence, at every level: (K + 1, N, H) f32.
    ///
    /// Level 0 is the embedding; level K is before the final norm.
    ///
    /// # Errors
    /// [`ModelError`] if a sequence is empty, too long, or has an id outside the vocabulary.
    pub fn states_at_last(&self, sequences: &[&[i64]]) -> Result<Tensor, ModelError> {
        self.states_until(self.blocks(), sequences)
    }

    /// The same at levels 0 to `level` alone, with the same numbers: (level + 1, N, H) f32. The blocks behind are
    /// not computed.
    ///
    /// # Errors
    /// [`ModelError`] if there is no such level, or as [`Transformer::states_at_last`].
    pub fn states_until(&self, level: usize, sequences: &[&[i64]]) -> Result<Tensor, ModelError> {
        self.check_level(level)?;
        self.start(sequences)?.states_until(level)
    }

    /// The hidden states at every position of one sequence, at levels 0 to `level`: (level + 1, T, H) f32.
    ///
    /// They are those of [`Transformer::states_at_last`] for each beginning of the sequence, up to rounding. The exception is
    /// a model whose rotary angles depend on the length of the sequence (Phi-3's `longrope`), once the sequence is
    /// longer than its first set of angles reaches: then all positions have the second set's, as in transformers.
    ///
    /// # Errors
    /// [`ModelError`] if there is no such level, or as [`Transformer::states_at_last`].
    pub fn states(&self, tokens: &[i64], level: usize) -> Result<Tensor, ModelError> {
        self.check_level(level)?;
        Walk::start(&self.model, self.pack(&[tokens])?, Wanted::Every)?.states_until(level)
    }

    /// The hidden states at the wanted positions of each sequence, at the given levels (ascending): (levels, R, H) f32,
    /// sequence by sequence. Blocks behind the last of the levels are not computed, and each sequence is computed once.
    ///
    /// They are those of [`Transformer::states_at_last`] for the beginnings that end at the wanted positions, up to
    /// rounding: the same sums in another order. Where rotary angles depend on the length of the sequence, its wanted
    /// positions on either side of the change are computed as two sequences.
    ///
    /// # Errors
    /// [`ModelError`] if there is no such level, a position is missing or outside its sequence, or as
    /// [`Transformer::states_at_last`].
    pub fn states_of(&self, levels: &[usize], sequences: &[Sampled]) -> Result<Tensor, ModelError> {
        levels.iter().try_for_each(|&level| self.check_level(level))?;
        let sequences = self.pieces(sequences)?;
        self.check(sequences.iter().map(|sequence| sequence.tokens))?;
        let pack = Pack::of(&sequences, self.place.device, self.padded)?;
        Walk::start(&self.model, pack, Wanted::Sampled)?.states_at(levels)
    }

    /// Each sequence up to its last wanted position; in several pieces where the angles of its wanted positions differ.
    fn pieces<'a>(&self, sequences: &[Sampled<'a>]) -> Result<Vec<Sampled<'a>>, ModelError> {
        let mut changes: Vec<usize> = match &self.model.positions {
            Positions::Learned(_) => Vec::new(),
            Positions::Rotary(kinds) => kinds.iter().filter_map(|rotary| rotary.change()).collect(),
        };
        changes.sort_unstable();
        changes.push(usize::MAX);
        let mut pieces = Vec::with_capacity(sequences.len());
        for &Sampled { tokens, positions } in sequences {
            let ascending = positions.windows(2).all(|pair| pair[0] < pair[1]);
            if !ascending || positions.last().is_none_or(|&last| last >= tokens.len()) {
                return Err(ModelError::Positions { length: tokens.len() });
            }
            let mut rest = positions;
            for &change in &changes {
                let (before, others) = rest.split_at(rest.partition_point(|&position| position < change));
                if let Some(&last) = before.last() {
                    pieces.push(Sampled { tokens: &tokens[..=last], positions: before });
                }
                rest = others;
            }
        }
        Ok(pieces)
    }

    /// Starts a walk through the blocks, for a caller that decides on the way how far to go.
    ///
    /// ```no_run
    /// # fn sure(_: &tch::Tensor) -> bool { true }
    /// # fn early(model: &onejump_models::transformer::Transformer) -> Result<(), onejump_models::ModelError> {
    /// let mut walk = model.start(&[&[504, 3575, 282]])?;
    /// while walk.level() < model.blocks() && !sure(&walk.state()?) {
    ///     walk.advance()?; // one block
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Transformer::states_at_last`].
    pub fn start(&self, sequences: &[&[i64]]) -> Result<Walk<'_>, ModelError> {
        Walk::start(&self.model, self.pack(sequences)?, Wanted::Sampled)
    }

    fn check_level(&self, level: usize) -> Result<(), ModelError> {
        let blocks = self.blocks();
        if level > blocks { Err(ModelError::NoLevel { level, blocks }) } else { Ok(()) }
    }

    fn pack(&self, sequences: &[&[i64]]) -> Result<Pack, ModelError> {
        self.check(sequences.iter().copied())?;
        Pack::new(sequences, self.place.device, self.padded)
    }

    fn check<'a>(&self, mut sequences: impl Iterator<Item = &'a [i64]>) -> Result<(), ModelError> {
        let Dimensions { context, vocab_size, .. } = self.model.dimensions;
        sequences.try_for_each(|sequence| {
            if sequence.is_empty() || sequence.len() > context as usize {
                return Err(ModelError::SequenceLength { found: sequence.len(), context });
            }
            match sequence.iter().find(|id| !(0..vocab_size).contains(*id)) {
                Some(&id) => Err(ModelError::TokenId { id, vocab_size }),
                None => Ok(()),
            }
        })
    }
}
