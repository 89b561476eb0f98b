//! OLMo 2 (Team OLMo 2024, arXiv:2501.00656) and OLMo 3 (2025): Llama with its norms after attention and feed-forward
//! instead of before, and norms over all heads' queries and keys together. In OLMo 3 most blocks have a window, and the
//! blocks with a window have a rotary embedding of their own. Weight names are those of Hugging Face's
//! `Olmo2ForCausalLM` and `Olmo3ForCausalLM`.
//!
//! A block is y = x + norm(attention(x)), then y + norm'(mlp(y)). Level k is the residual stream after block k, the last
//! sum; no norm stands between it and the next block.

use serde_json::{Map, Value, json};

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::config_keys::Keys;
use crate::decoder::Decoder;
use crate::device::Place;
use crate::llama::{self, Config, QueryKeyNorm, READ, Variant};
use crate::rotary::RotaryConfig;

/// The kinds of blocks of an OLMo 3, in the words of `layer_types` and `rope_parameters`.
const KINDS: [&str; 2] = ["full_attention", "sliding_attention"];

/// OLMo 3's base of the rotary embedding where config.json names none.
const OLMO3_THETA: f64 = 500_000.0;

/// Where config.json has no `layer_types`, each block of this many is without a window, the last of them.
const FULL_EVERY: usize = 4;

/// What is done with the keys of config.json of an OLMo 2.
pub(crate) const OLMO2_KEYS: Keys = Keys {
    read: &[READ, &["attention_bias"]],
    harmless: &[],
    neutral: &[],
    defaults: r#"{"hidden_act": "silu", "max_position_embeddings": 2048, "rms_norm_eps": 1e-5}"#,
    rotary_by_kind: false,
};

/// What is done with those of an OLMo 3. Three blocks of four have a window unless `sliding_window` is null.
pub(crate) const OLMO3_KEYS: Keys = Keys {
    read: &[READ, &["attention_bias", "layer_types", "sliding_window"]],
    harmless: &[],
    neutral: &[],
    defaults: r#"{
        "hidden_act": "silu", "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "sliding_window": 4096
    }"#,
    rotary_by_kind: true,
};

pub(crate) fn olmo2(checkpoint: &mut Checkpoint, keys: &Keys, place: Place) -> Result<Decoder, ModelError> {
    let config = Config::read(checkpoint, keys)?;
    llama::load(checkpoint, &config, &variant(&config), place)
}

pub(crate) fn olmo3(checkpoint: &mut Checkpoint, keys: &Keys, place: Place) -> Result<Decoder, ModelError> {
    let mut config = Config::read(checkpoint, keys)?;
    let blocks = config.num_hidden_layers;
    let types = config.layer_types.get_or_insert_with(|| {
        (1..=blocks).map(|block| KINDS[usize::from(!block.is_multiple_of(FULL_EVERY))].to_owned()).collect()
    });
    let rotary_of_block = types.iter().map(|kind| KINDS.iter().position(|known| known == kind)).collect();
    let variant = Variant {
        windows: config.windows(checkpoint.path(), &[])?,
        rotaries: rotaries(checkpoint)?,
        rotary_of_block,
        ..variant(&config)
    };
    llama::load(checkpoint, &config, &variant, place)
}

/// What both change of Llama.
fn variant(config: &Config) -> Variant {
    Variant {
        qkv_bias: config.attention_bias,
        output_bias: config.attention_bias,
        query_key_norm: QueryKeyNorm::Whole,
        norms_after: true,
        ..Variant::default()
    }
}

/// The rotary embedding of each kind of block. A `rope_scaling`, as old files have it, is that of full attention.
fn rotaries(checkpoint: &Checkpoint) -> Result<Vec<RotaryConfig>, ModelError> {
    let config = checkpoint.config();
    let wrong = |reason: &str| ModelError::checkpoint(checkpoint.path(), reason);
    let by_kind = config["rope_parameters"].as_object().cloned().unwrap_or_default();
    if by_kind
        .iter()
        .any(|(key, value)| !KINDS.contains(&key.as_str()) || !(value.is_object() || value.is_null()))
    {
        return Err(wrong(
            "rope_parameters must have 'full_attention' and 'sliding_attention' in this architecture",
        ));
    }
    KINDS
        .iter()
        .map(|&kind| {
            let mut parameters: Map<String, Value> = by_kind
                .get(kind)
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default();
            if let (true, Some(scaling)) = (kind == "full_attention", config["rope_scaling"].as_object()) {
                // transformers looks for `rope_type` alone here, and would leave the scaling out.
                if scaling.contains_key("type") && !scaling.contains_key("rope_type") {
                    return Err(wrong("rope_scaling has a 'type' but no 'rope_type'; name it so in this architecture"));
                }
                parameters.extend(scaling.clone());
            }
            // transformers takes a base beside the parameters for full attention alone, which no released model means.
            let theta = config["rope_theta"].as_f64().unwrap_or(OLMO3_THETA);
            if theta != OLMO3_THETA && !parameters.contains_key("rope_theta") {
                return Err(wrong(
                    "rope_theta stands beside rope_parameters, and which blocks it is for is not clear; put it into both \
                     kinds of blocks in rope_parameters",
                ));
            }
            parameters.entry("rope_theta").or_insert(json!(theta));
            RotaryConfig::of_kind(checkpoint.path(), parameters)
        })
        .collect()
}
