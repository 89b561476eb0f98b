//! Mistral (Jiang et al. 2023, arXiv:2310.06825): Llama with a sliding window over the keys, where
//! config.json has one. Weight names are those of Hugging Face's `MistralForCausalLM`.

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::config_keys::Keys;
use crate::decoder::Decoder;
use crate::device::Place;
use crate::llama::{self, Config, READ, Variant};

/// What is done with the keys of config.json. A window is there unless `sliding_window` is null.
pub(crate) const KEYS: Keys = Keys {
    read: &[READ, &["layer_types", "sliding_window"]],
    harmless: &[],
    neutral: &[],
    defaults: r#"{
        "hidden_act": "silu", "max_position_embeddings": 131072, "num_key_value_heads": 8, "rms_norm_eps": 1e-6,
        "sliding_window": 4096
    }"#,
    rotary_by_kind: false,
};

pub(crate) fn decoder(checkpoint: &mut Checkpoint, keys: &Keys, place: Place) -> Result<Decoder, ModelError> {
    let config = Config::read(checkpoint, keys)?;
    let windows = config.one_window(checkpoint.path())?;
    llama::load(checkpoint, &config, &Variant { windows, ..Variant::default() }, place)
}
