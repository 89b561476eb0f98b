//! SmolLM3 (Bakouch et al. 2025): Llama where every fourth block does not rotate queries and keys (NoPE, Yang et al. 2025,
//! arXiv:2501.18795). Weight names are those of Hugging Face's `SmolLM3ForCausalLM`.
//!
//! Keys of config.json that change the computation, beside Llama's: `no_rope_layers`, `no_rope_layer_interval`, and with
//! `use_sliding_window` also `sliding_window` and `layer_types`.

use serde::Deserialize;

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::decoder::Decoder;
use crate::device::Place;
use crate::llama::{self, Config, Variant};

/// The base of the rotary embedding where config.json names none.
const DEFAULT_THETA: f64 = 2_000_000.0;

/// The keys that Llama does not have.
#[derive(Debug, Clone, Deserialize)]
struct Rotated {
    /// 1 for each block that rotates, 0 for the others.
    no_rope_layers: Option<Vec<u8>>,
    #[serde(default = "every_fourth")]
    no_rope_layer_interval: usize,
}

fn every_fourth() -> usize {
    4
}

pub(crate) fn decoder(checkpoint: &mut Checkpoint, place: Place) -> Result<Decoder, ModelError> {
    let mut config = Config::read(checkpoint)?;
    config.rotary.set_default_theta(DEFAULT_THETA);
    let keys: Rotated = checkpoint.parse_config()?;
    let wrong = |reason: &str| Err(ModelError::checkpoint(checkpoint.path(), reason));
    let blocks = config.num_hidden_layers;
    if keys.no_rope_layer_interval == 0 {
        return wrong("no_rope_layer_interval is 0; possible are 1 and more");
    }
    let rotated: Vec<bool> = match keys.no_rope_layers {
        Some(list) if list.len() < blocks => {
            return wrong("no_rope_layers has fewer entries than there are blocks");
        }
        Some(list) => list[..blocks].iter().map(|&rotates| rotates != 0).collect(),
        None => (1..=blocks).map(|block| block % keys.no_rope_layer_interval != 0).collect(),
    };
    if config.use_sliding_window && config.layer_types.as_ref().is_some_and(|types| types.len() != blocks) {
        return wrong("layer_types has not one entry for each block");
    }
    let windows = match (config.use_sliding_window, config.sliding_window) {
        (true, Some(_)) if config.layer_types.is_some() => config.windows_by_type(),
        // Without `layer_types` the blocks without a rotary embedding have the window.
        (true, window) => rotated.iter().map(|rotates| window.filter(|_| !rotates)).collect(),
        (false, _) => Vec::new(),
    };
    let bias = config.attention_bias;
    let variant = Variant {
        qkv_bias: bias,
        output_bias: bias,
        windows,
        rotary_of_block: rotated.iter().map(|rotates| rotates.then_some(0)).collect(),
        ..Variant::default()
    };
    llama::load(checkpoint, &config, &variant, place)
}
