//! A transformer of any known architecture, tapped at every level.

use tch::{Device, Tensor};

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::head::{RmsNorm, Unembedding};
use crate::llama::Llama;
use crate::pack::Pack;

/// The values of `model_type` that are known.
pub const ARCHITECTURES: [&str; 1] = ["llama"];

/// A model without its head, in f32.
pub struct Transformer {
    model: Llama,
    device: Device,
}

impl Transformer {
    /// Loads the blocks and the embedding of a checkpoint.
    ///
    /// # Errors
    /// [`ModelError`] if the architecture is not known or a tensor is missing or misshapen.
    pub fn load(checkpoint: &mut Checkpoint, device: Device) -> Result<Self, ModelError> {
        known(checkpoint)?;
        Ok(Self { model: Llama::load(checkpoint, device)?, device })
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
        self.model.config.hidden_size as usize
    }

    /// K.
    pub fn blocks(&self) -> usize {
        self.model.config.num_hidden_layers
    }

    /// V.
    pub fn vocab_size(&self) -> usize {
        self.model.config.vocab_size as usize
    }

    /// The longest sequence that the model takes.
    pub fn context(&self) -> usize {
        self.model.config.max_position_embeddings as usize
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

/// The head of any known architecture.
pub(crate) fn load_head(
    checkpoint: &mut Checkpoint,
    device: Device,
) -> Result<(RmsNorm, Unembedding), ModelError> {
    known(checkpoint)?;
    Llama::load_head(checkpoint, device)
}

fn known(checkpoint: &Checkpoint) -> Result<(), ModelError> {
    let architecture = checkpoint.architecture()?;
    if ARCHITECTURES.contains(&architecture) {
        return Ok(());
    }
    Err(ModelError::checkpoint(
        checkpoint.path(),
        format!("model_type '{architecture}' is not supported; known: {}", ARCHITECTURES.join(", ")),
    ))
}
