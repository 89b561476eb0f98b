//! Mistral (Jiang et al. 2023, arXiv:2310.06825): Llama with a sliding window over the keys, where
//! config.json has one. Weight names are those of Hugging Face's `MistralForCausalLM`.

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::decoder::Decoder;
use crate::device::Place;
use crate::llama::{self, Config, Variant};

pub(crate) fn decoder(checkpoint: &mut Checkpoint, place: Place) -> Result<Decoder, ModelError> {
    let config = Config::read(checkpoint)?;
    let windows = vec![config.sliding_window; config.num_hidden_layers];
    llama::load(checkpoint, &config, &Variant { windows, ..Variant::default() }, place)
}
