//! Phi-3 (Abdin et al. 2024, arXiv:2404.14219): Llama with q, k and v in one tensor, gate and up in one,
//! a sliding window, and two tables of rotary factors. Weight names are those of Hugging Face's
//! `Phi3ForCausalLM`.

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::decoder::Decoder;
use crate::device::Place;
use crate::llama::{self, Config, Variant};

pub(crate) fn decoder(checkpoint: &mut Checkpoint, place: Place) -> Result<Decoder, ModelError> {
    let config = Config::read(checkpoint)?;
    let windows = vec![config.sliding_window; config.num_hidden_layers];
    llama::load(checkpoint, &config, &Variant { fused: true, windows, ..Variant::default() }, place)
}
