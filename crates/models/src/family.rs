//! The architectures that are known: what `model_type` calls them, and how their parts are loaded.

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::config_keys::Keys;
use crate::decoder::{Decoder, Dimensions};
use crate::device::Place;
use crate::head::Head;
use crate::{gemma, gpt_neox, gpt2, llama, mistral, olmo, phi3, qwen, smollm3};

/// An architecture.
pub(crate) struct Family {
    model_type: &'static str,
    keys: Keys,
    dimensions: fn(&Checkpoint, &Keys) -> Result<Dimensions, ModelError>,
    decoder: fn(&mut Checkpoint, &Keys, Place) -> Result<Decoder, ModelError>,
    head: fn(&mut Checkpoint, &Keys, Place) -> Result<Head, ModelError>,
}

/// No vocabulary, width, depth or context is larger; the longest contexts are of 10 million tokens.
const MAX_SIZE: i64 = 1 << 24;

static FAMILIES: [Family; 12] = [
    gemma_like("gemma2", gemma::GEMMA2_KEYS, gemma::gemma2),
    gemma_like("gemma3_text", gemma::GEMMA3_KEYS, gemma::gemma3),
    Family {
        model_type: "gpt2",
        keys: gpt2::KEYS,
        dimensions: gpt2::dimensions,
        decoder: gpt2::decoder,
        head: gpt2::head,
    },
    Family {
        model_type: "gpt_neox",
        keys: gpt_neox::KEYS,
        dimensions: gpt_neox::dimensions,
        decoder: gpt_neox::decoder,
        head: gpt_neox::head,
    },
    llama_like("llama", llama::KEYS, llama::decoder),
    llama_like("mistral", mistral::KEYS, mistral::decoder),
    llama_like("olmo2", olmo::OLMO2_KEYS, olmo::olmo2),
    llama_like("olmo3", olmo::OLMO3_KEYS, olmo::olmo3),
    llama_like("phi3", phi3::KEYS, phi3::decoder),
    llama_like("qwen2", qwen::QWEN2_KEYS, qwen::qwen2),
    llama_like("qwen3", qwen::QWEN3_KEYS, qwen::qwen3),
    llama_like("smollm3", smollm3::KEYS, smollm3::decoder),
];

/// A family that has Llama's configuration and head.
const fn llama_like(
    model_type: &'static str,
    keys: Keys,
    decoder: fn(&mut Checkpoint, &Keys, Place) -> Result<Decoder, ModelError>,
) -> Family {
    Family { model_type, keys, dimensions: llama::dimensions, decoder, head: llama::head }
}

/// A family that has Llama's sizes, and Gemma's head.
const fn gemma_like(
    model_type: &'static str,
    keys: Keys,
    decoder: fn(&mut Checkpoint, &Keys, Place) -> Result<Decoder, ModelError>,
) -> Family {
    Family { model_type, keys, dimensions: llama::dimensions, decoder, head: gemma::head }
}

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
        let dimensions = (self.dimensions)(checkpoint, &self.keys)?;
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

impl Decoder {
    /// Loads the embedding and the blocks.
    pub fn load(checkpoint: &mut Checkpoint, place: Place) -> Result<Self, ModelError> {
        let family = Family::of(checkpoint)?;
        family.dimensions(checkpoint)?;
        let decoder = (family.decoder)(checkpoint, &family.keys, place)?;
        checkpoint.check_blocks_are_read()?;
        Ok(decoder)
    }
}

impl Head {
    /// Loads the final norm and the unembedding; nothing else of the checkpoint is read.
    ///
    /// # Errors
    /// [`ModelError`] if the architecture is not known, or the checkpoint has no head, or another one.
    pub fn load(checkpoint: &mut Checkpoint, place: Place) -> Result<Self, ModelError> {
        let family = Family::of(checkpoint)?;
        let head = (family.head)(checkpoint, &family.keys, place)?;
        checkpoint.check_head_is_read()?;
        Ok(head)
    }
}
