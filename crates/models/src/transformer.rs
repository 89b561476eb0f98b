//! A transformer of any known architecture, tapped at every level.

use tch::{Device, Tensor};

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::decoder::Decoder;
use crate::head::Head;
use crate::pack::Pack;
use crate::{gpt2, llama, mistral, phi3, qwen};

/// An architecture: what `model_type` calls it, and how its parts are loaded.
pub(crate) struct Family {
    model_type: &'static str,
    decoder: fn(&mut Checkpoint, Device) -> Result<Decoder, ModelError>,
    pub head: fn(&mut Checkpoint, Device) -> Result<Head, ModelError>,
}

/// The architectures that are known.
const FAMILIES: [Family; 6] = [
    Family { model_type: "gpt2", decoder: gpt2::decoder, head: gpt2::head },
    Family { model_type: "llama", decoder: llama::decoder, head: llama::head },
    Family { model_type: "mistral", decoder: mistral::decoder, head: llama::head },
    Family { model_type: "phi3", decoder: phi3::decoder, head: llama::head },
    Family { model_type: "qwen2", decoder: qwen::qwen2, head: llama::head },
    Family { model_type: "qwen3", decoder: qwen::qwen3, head: llama::head },
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

/// A model without its head, in f32.
pub struct Transformer {
    model: Decoder,
    device: Device,
}

impl Transformer {
    /// Loads the blocks and the embedding of a checkpoint.
    ///
    /// # Errors
    /// [`ModelError`] if the architecture is not known or a tensor is missing or misshapen.
    pub fn load(checkpoint: &mut Checkpoint, device: Device) -> Result<Self, ModelError> {
        Ok(Self { model: (family(checkpoint)?.decoder)(checkpoint, device)?, device })
    }

    /// The same model; the weights are shared, not copied. A clone can be sent to another thread.
    pub fn shallow_clone(&self) -> Self {
        Self { model: self.model.shallow_clone(), device: self.device }
    }

    /// Where the model computes.
    pub fn device(&self) -> Device {
        self.device
    }

    /// H.
    pub fn hidden_size(&self) -> usize {
        self.model.dimensions.hidden_size as usize
    }

    /// K.
    pub fn blocks(&self) -> usize {
        self.model.blocks.len()
    }

    /// V.
    pub fn vocab_size(&self) -> usize {
        self.model.dimensions.vocab_size as usize
    }

    /// The longest sequence that the model takes.
    pub fn context(&self) -> usize {
        self.model.dimensions.context as usize
    }

    /// The hidden states at the last token of each sequence, at every level: (K + 1, N, H).
    ///
    /// Level 0 is the embedding; level K is before the final norm.
    ///
    /// # Errors
    /// [`ModelError`] if a sequence is empty, too long, or has an id outside the vocabulary.
    pub fn states_at_last(&self, sequences: &[&[i64]]) -> Result<Tensor, ModelError> {
        for sequence in sequences {
            if sequence.is_empty() || sequence.len() > self.context() {
                return Err(ModelError::Usage(format!(
                    "a sequence of {} tokens; the model takes 1 to {}",
                    sequence.len(),
                    self.context()
                )));
            }
            let known = 0..self.vocab_size() as i64;
            if let Some(id) = sequence.iter().find(|id| !known.contains(id)) {
                return Err(ModelError::Usage(format!(
                    "token id {id} is outside the vocabulary of {}",
                    self.vocab_size()
                )));
            }
        }
        tch::no_grad(|| {
            let pack = Pack::new(sequences, self.device)?;
            let levels = self.model.tap(&pack)?;
            Ok(Tensor::f_stack(&levels, 0)?.f_index_select(1, &pack.restore)?)
        })
    }
}
