//! The architectures that are known: what `model_type` calls them, and how their parts are loaded.

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::decoder::{Decoder, Dimensions};
use crate::device::Place;
use crate::head::Head;
use crate::{gpt_neox, gpt2, llama, mistral, olmo, phi3, qwen, smollm3};

/// An architecture.
pub(crate) struct Family {
    model_type: &'static str,
    dimensions: fn(&Checkpoint) -> Result<Dimensions, ModelError>,
    pub decoder: fn(&mut Checkpoint, Place) -> Result<Decoder, ModelError>,
    head: fn(&mut Checkpoint, Place) -> Result<Head, ModelError>,
}

/// No vocabulary, width, depth or context is larger; the longest contexts are of 10 million tokens.
const MAX_SIZE: i64 = 1 << 24;

const FAMILIES: [Family; 10] = [
    Family { model_type: "gpt2", dimensions: gpt2::dimensions, decoder: gpt2::decoder, head: gpt2::head },
    Family {
        model_type: "gpt_neox",
        dimensions: gpt_neox::dimensions,
        decoder: gpt_neox::decoder,
        head: gpt_neox::head,
    },
    Family { model_type: "llama", dimensions: llama::dimensions, decoder: llama::decoder, head: llama::head },
    Family {
        model_type: "mistral",
        dimensions: llama::dimensions,
        decoder: mistral::decoder,
        head: llama::head,
    },
    Family { model_type: "olmo2", dimensions: llama::dimensions, decoder: olmo::olmo2, head: llama::head },
    Family { model_type: "olmo3", dimensions: llama::dimensions, decoder: olmo::olmo3, head: llama::head },
    Family { model_type: "phi3", dimensions: llama::dimensions, decoder: phi3::decoder, head: llama::head },
    Family { model_type: "qwen2", dimensions: llama::dimensions, decoder: qwen::qwen2, head: llama::head },
    Family { model_type: "qwen3", dimensions: llama::dimensions, decoder: qwen::qwen3, head: llama::head },
    Family {
        model_type: "smollm3",
        dimensions: llama::dimensions,
        decoder: smollm3::decoder,
        head: llama::head,
    },
];

impl Family {
    /// The family of a checkpoint.
    pub fn of(checkpoint: &Checkpoint) -> Result<&'static Self, ModelError> {
        let model_type = checkpoint.architecture()?;
        let family = FAMILIES.iter().find(|family| family.model_type == model_type);
        family.ok_or_else(|| ModelError::UnknownArchitecture {
            path: checkpoint.path().to_owned(),
            model_type: model_type.to_owned(),
            known: FAMILIES.iter().map(|family| family.model_type).collect(),
        })
    }

    /// The sizes in the configuration. Memory is taken by them, so impossible ones are refused.
    pub fn dimensions(&self, checkpoint: &Checkpoint) -> Result<Dimensions, ModelError> {
        let dimensions = (self.dimensions)(checkpoint)?;
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
}

impl Head {
    /// Loads the final norm and the unembedding; nothing else of the checkpoint is read.
    ///
    /// # Errors
    /// [`ModelError`] if the architecture is not known or a tensor is missing.
    pub fn load(checkpoint: &mut Checkpoint, place: Place) -> Result<Self, ModelError> {
        (Family::of(checkpoint)?.head)(checkpoint, place)
    }
}
