//! SmolLM3 (Bakouch et al. 2025): Llama where every fourth block does not rotate queries and keys (NoPE, Yang et al. 2025,
//! arXiv:2501.18795). Weight names are those of Hugging Face's `SmolLM3ForCausalLM`.

use serde::Deserialize;

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::config_keys::Keys;
use crate::decoder::Decoder;
use crate::device::Place;
use crate::llama::{self, Config, READ, Variant};

/// What is done with the keys of config.json.
pub(crate) const KEYS: Keys = Keys {
    read: &[
        READ,
        &[
            "attention_bias",
            "layer_types",
            "mlp_bias",
            "no_rope_layer_interval",
            "no_rope_layers",
            "sliding_window",
            "use_sliding_window",
        ],
    ],
    harmless: &[],
    neutral: &[],
    defaults: r#"{
        "hidden_act": "silu", "max_position_embeddings": 32768, "no_rope_layer_interval": 4, "num_key_value_heads": 4,
        "rms_norm_eps": 1e-6, "rope_theta": 2000000.0, "tie_word_embeddings": true
    }"#,
    rotary_by_kind: false,
};

/// The keys that Llama does not have.
#[derive(Debug, Clone, Deserialize)]
struct Rotated {
    /// 1 for each block that rotates, 0 for the others.
    no_rope_layers: Option<Vec<u8>>,
    no_rope_layer_interval: Option<usize>,
}

pub(crate) fn decoder(checkpoint: &mut Checkpoint, keys: &Keys, place: Place) -> Result<Decoder, ModelError> {
    let mut config = Config::read(checkpoint, keys)?;
    let rotated = rotated(checkpoint, keys, config.num_hidden_layers)?;
    config.sliding_window = config.sliding_window.filter(|_| config.use_sliding_window);
    // Without `layer_types` the blocks without a rotary embedding have the window.
    let unsaid: Vec<_> = rotated.iter().map(|rotates| config.sliding_window.filter(|_| !rotates)).collect();
    let windows = config.windows(checkpoint.path(), &unsaid)?;
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

/// Which blocks rotate.
fn rotated(checkpoint: &Checkpoint, keys: &Keys, blocks: usize) -> Result<Vec<bool>, ModelError> {
    let said: Rotated = checkpoint.parse_config(keys)?;
    let wrong = |reason: &str| Err(ModelError::checkpoint(checkpoint.path(), reason));
    match (said.no_rope_layers, said.no_rope_layer_interval) {
        (Some(list), _) if list.len() < blocks => {
            wrong("no_rope_layers has fewer entries than there are blocks")
        }
        (Some(list), _) => Ok(list[..blocks].iter().map(|&rotates| rotates != 0).collect()),
        (None, Some(interval)) if interval > 0 => {
            Ok((1..=blocks).map(|block| block % interval != 0).collect())
        }
        (None, _) => wrong("no_rope_layer_interval is 0 or missing; possible are 1 and more"),
    }
}
