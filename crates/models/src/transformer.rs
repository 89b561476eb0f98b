//! A transformer of any known architecture, tapped at every level.

use tch::{Device, Kind, Tensor};

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::decoder::{Decoder, Dimensions};
use crate::device::Place;
use crate::head::Head;
use crate::pack::Pack;
use crate::{gpt2, llama, mistral, phi3, qwen};

/// An architecture: what `model_type` calls it, and how its parts are loaded.
pub(crate) struct Family {
    model_type: &'static str,
    dimensions: fn(&Checkpoint) -> Result<Dimensions, ModelError>,
    decoder: fn(&mut Checkpoint, Place) -> Result<Decoder, ModelError>,
    pub head: fn(&mut Checkpoint, Place) -> Result<Head, ModelError>,
}

/// No vocabulary, width, depth or context is larger; the longest contexts are of 10 million tokens.
const MAX_SIZE: i64 = 1 << 24;

/// The architectures that are known.
const FAMILIES: [Family; 6] = [
    Family { model_type: "gpt2", dimensions: gpt2::dimensions, decoder: gpt2::decoder, head: gpt2::head },
    Family { model_type: "llama", dimensions: llama::dimensions, decoder: llama::decoder, head: llama::head },
    Family {
        model_type: "mistral",
        dimensions: llama::dimensions,
        decoder: mistral::decoder,
        head: llama::head,
    },
    Family { model_type: "phi3", dimensions: llama::dimensions, decoder: phi3::decoder, head: llama::head },
    Family { model_type: "qwen2", dimensions: llama::dimensions, decoder: qwen::qwen2, head: llama::head },
    Family { model_type: "qwen3", dimensions: llama::dimensions, decoder: qwen::qwen3, head: llama::head },
];

/// The family of a checkpoint.
pub(crate) fn family(checkpoint: &Checkpoint) -> Result<&'static Family, ModelError> {
    let model_type = checkpoint.architecture()?;
    FAMILIES.iter().find(|family| family.model_type == model_type).ok_or_else(|| {
        let known: Vec<_> = FAMILIES.iter().map(|family| family.model_type).collect();
        ModelError::checkpoint(
            checkpoint.path(),
            format!("model_type '{model_type}' is not supported; known: {}", known.join(", ")),
        )
    })
}

/// The sizes in the configuration, if they are possible: memory is taken by them.
fn dimensions(checkpoint: &Checkpoint) -> Result<Dimensions, ModelError> {
    let dimensions = (family(checkpoint)?.dimensions)(checkpoint)?;
    let Dimensions { vocab_size, hidden_size, blocks, context } = dimensions;
    for (what, size) in [
        ("a vocabulary", vocab_size),
        ("a hidden size", hidden_size),
        ("a number of blocks", blocks as i64),
        ("a context", context),
    ] {
        if !(1..=MAX_SIZE).contains(&size) {
            let reason = format!("its configuration has {what} of {size}; possible are 1 to {MAX_SIZE}");
            return Err(ModelError::checkpoint(checkpoint.path(), reason));
        }
    }
    Ok(dimensions)
}

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
    /// Values in the checkpoint.
    pub parameters: u64,
    /// V×H matrices among them: 2 where the head is not tied to the embedding.
    pub vocabulary_matrices: usize,
}

impl Outline {
    /// Reads the configuration and the tensors' shapes.
    ///
    /// # Errors
    /// [`ModelError`] if the architecture is not known or its configuration not understood.
    pub fn of(checkpoint: &Checkpoint) -> Result<Self, ModelError> {
        let dimensions = dimensions(checkpoint)?;
        Ok(Self {
            hidden_size: dimensions.hidden_size as usize,
            blocks: dimensions.blocks,
            vocab_size: dimensions.vocab_size as usize,
            context: dimensions.context as usize,
            parameters: checkpoint.parameters(),
            vocabulary_matrices: 1 + usize::from(checkpoint.has_tensor("lm_head.weight")),
        })
    }
}

/// A model without its head.
pub struct Transformer {
    model: Decoder,
    place: Place,
}

impl Transformer {
    /// Loads the blocks and the embedding of a checkpoint, to compute in `place`'s type.
    ///
    /// # Errors
    /// [`ModelError`] if the architecture is not known or a tensor is missing or misshapen.
    pub fn load(checkpoint: &mut Checkpoint, place: Place) -> Result<Self, ModelError> {
        dimensions(checkpoint)?;
        Ok(Self { model: (family(checkpoint)?.decoder)(checkpoint, place)?, place })
    }

    /// The same model; the weights are shared, not copied. A clone can be sent to another thread.
    pub fn shallow_clone(&self) -> Self {
        Self { model: self.model.shallow_clone(), place: self.place }
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
        for sequence in sequences {
            if sequence.is_empty() || sequence.len() > self.model.dimensions.context as usize {
                return Err(ModelError::Usage(format!(
                    "a sequence of {} tokens; the model takes 1 to {}",
                    sequence.len(),
                    self.model.dimensions.context
                )));
            }
            let known = 0..self.model.dimensions.vocab_size;
            if let Some(id) = sequence.iter().find(|id| !known.contains(id)) {
                return Err(ModelError::Usage(format!(
                    "token id {id} is outside the vocabulary of {}",
                    self.model.dimensions.vocab_size
                )));
            }
        }
        tch::no_grad(|| {
            let pack = Pack::new(sequences, self.place.device)?;
            let levels = self.model.tap(&pack)?;
            Ok(Tensor::f_stack(&levels, 0)?.f_index_select(1, &pack.restore)?.f_to_kind(Kind::Float)?)
        })
    }
}
