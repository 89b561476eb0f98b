//! OLMo 2 (Team OLMo 2024, arXiv:2501.00656) and OLMo 3 (2025): Llama with its norms after attention and feed-forward
//! instead of before, and norms over all heads' queries and keys together. In OLMo 3 most blocks have a window, and the
//! blocks with a window have a rotary embedding of their own. Weight names are those of Hugging Face's
//! `Olmo2ForCausalLM` and `Olmo3ForCausalLM`.
//!
//! A block is y = x + norm(attention(x)), then y + norm'(mlp(y)). Level k is the residual stream after block k, the last
//! sum; no norm stands between it and the next block.

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::config_keys::Keys;
use crate::decoder::Decoder;
use crate::device::Place;
use crate::llama::{self, Config, NormsAt, QueryKeyNorm, READ, Variant};
use crate::rotary_kinds::rotaries;

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
    config.set_default_kinds(FULL_EVERY);
    // transformers takes a base beside the parameters for full attention alone, which no released model means.
    let theta = checkpoint.config()["rope_theta"].as_f64().unwrap_or(OLMO3_THETA);
    let clear = Some(theta).filter(|&theta| theta == OLMO3_THETA);
    let variant = Variant {
        windows: config.windows(checkpoint.path(), &[])?,
        rotaries: rotaries(checkpoint, [clear; 2])?,
        rotary_of_block: config.rotary_of_block(),
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
        norms: NormsAt::After,
        ..Variant::default()
    }
}
