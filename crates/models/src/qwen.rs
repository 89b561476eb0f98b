//! Qwen2 (arXiv:2407.10671) and Qwen3 (arXiv:2505.09388): Llama with biases on q, k and v, or with norms
//! over each head's query and key. Weight names are those of Hugging Face's `Qwen2ForCausalLM` and
//! `Qwen3ForCausalLM`.

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::config_keys::Keys;
use crate::decoder::Decoder;
use crate::device::Place;
use crate::llama::{self, Config, QueryKeyNorm, READ, Variant};

/// What is done with the keys of config.json of a Qwen2.
pub(crate) const QWEN2_KEYS: Keys = Keys {
    read: &[READ, &["layer_types", "max_window_layers", "sliding_window", "use_sliding_window"]],
    harmless: &["attention_bias"], // q, k and v have biases, and o has none, whatever it says.
    neutral: &[],
    defaults: r#"{
        "hidden_act": "silu", "max_position_embeddings": 32768, "max_window_layers": 28, "num_key_value_heads": 32,
        "rms_norm_eps": 1e-6, "sliding_window": 4096
    }"#,
    rotary_by_kind: false,
};

/// What is done with those of a Qwen3.
pub(crate) const QWEN3_KEYS: Keys = Keys {
    read: &[
        READ,
        &["attention_bias", "layer_types", "max_window_layers", "sliding_window", "use_sliding_window"],
    ],
    harmless: &[],
    neutral: &[],
    defaults: r#"{
        "head_dim": 128, "hidden_act": "silu", "max_position_embeddings": 32768, "max_window_layers": 28,
        "num_key_value_heads": 32, "rms_norm_eps": 1e-6, "sliding_window": 4096
    }"#,
    rotary_by_kind: false,
};

pub(crate) fn qwen2(checkpoint: &mut Checkpoint, keys: &Keys, place: Place) -> Result<Decoder, ModelError> {
    load(checkpoint, keys, |_| Variant { qkv_bias: true, ..Variant::default() }, place)
}

pub(crate) fn qwen3(checkpoint: &mut Checkpoint, keys: &Keys, place: Place) -> Result<Decoder, ModelError> {
    let variant = |config: &Config| Variant {
        qkv_bias: config.attention_bias,
        output_bias: config.attention_bias,
        query_key_norm: QueryKeyNorm::Head,
        ..Variant::default()
    };
    load(checkpoint, keys, variant, place)
}

fn load(
    checkpoint: &mut Checkpoint,
    keys: &Keys,
    variant: impl Fn(&Config) -> Variant,
    place: Place,
) -> Result<Decoder, ModelError> {
    let mut config = Config::read(checkpoint, keys)?;
    config.sliding_window = config.sliding_window.filter(|_| config.use_sliding_window);
    // Without `layer_types` the blocks from `max_window_layers` on have the window.
    let first = config.max_window_layers.unwrap_or(usize::MAX);
    let unsaid: Vec<_> =
        (0..config.num_hidden_layers).map(|block| config.sliding_window.filter(|_| block >= first)).collect();
    let windows = config.windows(checkpoint.path(), &unsaid)?;
    llama::load(checkpoint, &config, &Variant { windows, ..variant(&config) }, place)
}
