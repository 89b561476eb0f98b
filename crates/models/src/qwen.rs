//! Qwen2 (arXiv:2407.10671) and Qwen3 (arXiv:2505.09388): Llama with biases on q, k and v, or with norms
//! over each head's query and key. Weight names are those of Hugging Face's `Qwen2ForCausalLM` and
//! `Qwen3ForCausalLM`.

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::decoder::Decoder;
use crate::device::Place;
use crate::llama::{self, Config, QueryKeyNorm, Variant};

pub(crate) fn qwen2(checkpoint: &mut Checkpoint, place: Place) -> Result<Decoder, ModelError> {
    load(checkpoint, Variant { qkv_bias: true, ..Variant::default() }, place)
}

pub(crate) fn qwen3(checkpoint: &mut Checkpoint, place: Place) -> Result<Decoder, ModelError> {
    load(checkpoint, Variant { query_key_norm: QueryKeyNorm::Head, ..Variant::default() }, place)
}

fn load(checkpoint: &mut Checkpoint, variant: Variant, place: Place) -> Result<Decoder, ModelError> {
    let config = Config::read(checkpoint)?;
    if config.use_sliding_window && config.layer_types.is_none() {
        return Err(ModelError::checkpoint(
            checkpoint.path(),
            "config.json uses a sliding window but has no 'layer_types'; save it again with transformers 5",
        ));
    }
    let windows = if config.use_sliding_window { config.windows_by_type() } else { Vec::new() };
    llama::load(checkpoint, &config, &Variant { windows, ..variant }, place)
}
