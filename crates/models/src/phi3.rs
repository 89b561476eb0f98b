//! Phi-3 (Abdin et al. 2024, arXiv:2404.14219): Llama with q, k and v in one tensor, gate and up in one,
//! a sliding window, and two tables of rotary factors. Weight names are those of Hugging Face's
//! `Phi3ForCausalLM`.

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::config_keys::Keys;
use crate::decoder::Decoder;
use crate::device::Place;
use crate::llama::{self, Config, READ, Variant};

/// What is done with the keys of config.json.
pub(crate) const KEYS: Keys = Keys {
    read: &[READ, &["layer_types", "partial_rotary_factor", "sliding_window"]],
    harmless: &[],
    neutral: &[],
    defaults: r#"{
        "hidden_act": "silu", "max_position_embeddings": 4096, "original_max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5
    }"#,
    rotary_by_kind: false,
};

pub(crate) fn decoder(checkpoint: &mut Checkpoint, keys: &Keys, place: Place) -> Result<Decoder, ModelError> {
    let config = Config::read(checkpoint, keys)?;
    let windows = config.one_window(checkpoint.path())?;
    let variant = Variant { fused: true, windows, partial_rotary: true, ..Variant::default() };
    llama::load(checkpoint, &config, &variant, place)
}
