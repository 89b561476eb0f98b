//! Gemma 2 (Gemma Team 2024, arXiv:2408.00118) and Gemma 3 (2025, arXiv:2503.19786): Llama with an embedding times √H, norms
//! before and after each part whose gains are 1 + w, gelu in place of silu, a scale of the queries of their own, and a
//! window in most blocks. Gemma 2 soft-caps attention and logits; Gemma 3 has norms of queries and keys instead, and a
//! rotary embedding for each kind of block. Weight names are those of Hugging Face's `Gemma2ForCausalLM` and
//! `Gemma3ForCausalLM`; the language model of a `Gemma3ForConditionalGeneration` has the same below another prefix.
//!
//! A block is y = x + norm'(attention(norm(x))), then y + norm'''(mlp(norm''(y))). Level k is the residual stream after block
//! k, the last sum; level 0 is the embedding times √H.

use serde::Deserialize;

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::comparison::Comparison;
use crate::config_keys::Keys;
use crate::decoder::{Decoder, Gelu};
use crate::device::Place;
use crate::head::Head;
use crate::llama::{self, Config, FINAL_NORM, NormsAt, QueryKeyNorm, READ, Variant};
use crate::norm::Norm;
use crate::rotary_kinds::rotaries;

/// The keys that both read beside Llama's.
const GEMMA: &[&str] = &[
    "attention_bias",
    "final_logit_softcapping",
    "hidden_activation",
    "layer_types",
    "query_pre_attn_scalar",
    "sliding_window",
];

/// What is done with the keys of config.json of a Gemma 2.
pub(crate) const GEMMA2_KEYS: Keys = Keys {
    read: &[READ, GEMMA, &["attn_logit_softcapping"]],
    harmless: &["hidden_act"], // transformers reads hidden_activation alone.
    neutral: &[],
    defaults: r#"{
        "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh", "max_position_embeddings": 8192, "num_key_value_heads": 4,
        "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-6, "sliding_window": 4096, "tie_word_embeddings": true
    }"#,
    rotary_by_kind: false,
};

/// What is done with those of a Gemma 3, whose attention has no soft-cap in transformers.
pub(crate) const GEMMA3_KEYS: Keys = Keys {
    read: &[READ, GEMMA, &["rope_local_base_freq", "sliding_window_pattern"]],
    harmless: &["hidden_act"],
    neutral: &[],
    defaults: r#"{
        "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh", "max_position_embeddings": 131072,
        "num_attention_heads": 8, "num_key_value_heads": 4, "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-6,
        "rope_local_base_freq": 10000.0, "rope_theta": 1000000.0, "sliding_window": 4096, "sliding_window_pattern": 6,
        "tie_word_embeddings": true, "vocab_size": 262208
    }"#,
    rotary_by_kind: true,
};

/// Of a Gemma 2's blocks every second is without a window.
const GEMMA2_PERIOD: usize = 2;

/// The keys that Llama does not have.
#[derive(Debug, Clone, Deserialize)]
struct Own {
    query_pre_attn_scalar: f64,
    attn_logit_softcapping: Option<f64>,
    final_logit_softcapping: Option<f64>,
    sliding_window_pattern: Option<usize>,
    rope_theta: Option<f64>,
    rope_local_base_freq: Option<f64>,
}

impl Own {
    fn read(checkpoint: &Checkpoint, keys: &Keys) -> Result<Self, ModelError> {
        let own: Self = checkpoint.parse_config(keys)?;
        let positive = |value: Option<f64>| value.is_none_or(|value| value > 0.0 && value.is_finite());
        let caps = [own.attn_logit_softcapping, own.final_logit_softcapping, Some(own.query_pre_attn_scalar)];
        if !caps.into_iter().all(positive) || own.sliding_window_pattern == Some(0) {
            let reason = "query_pre_attn_scalar, soft-caps and sliding_window_pattern must be above 0";
            return Err(ModelError::checkpoint(checkpoint.path(), reason));
        }
        Ok(own)
    }
}

pub(crate) fn gemma2(checkpoint: &mut Checkpoint, keys: &Keys, place: Place) -> Result<Decoder, ModelError> {
    let (mut config, own) = (Config::read(checkpoint, keys)?, Own::read(checkpoint, keys)?);
    config.set_default_kinds(GEMMA2_PERIOD);
    let windows = config.windows(checkpoint.path(), &[])?;
    let variant = Variant { windows, ..variant(checkpoint, keys, &config, &own)? };
    llama::load(checkpoint, &config, &variant, place)
}

pub(crate) fn gemma3(checkpoint: &mut Checkpoint, keys: &Keys, place: Place) -> Result<Decoder, ModelError> {
    let (mut config, own) = (Config::read(checkpoint, keys)?, Own::read(checkpoint, keys)?);
    config.set_default_kinds(own.sliding_window_pattern.unwrap_or(1));
    let variant = Variant {
        query_key_norm: QueryKeyNorm::Head,
        windows: config.windows(checkpoint.path(), &[])?,
        rotaries: rotaries(checkpoint, [own.rope_theta, own.rope_local_base_freq])?,
        rotary_of_block: config.rotary_of_block(),
        ..variant(checkpoint, keys, &config, &own)?
    };
    llama::load(checkpoint, &config, &variant, place)
}

/// What both change of Llama.
fn variant(checkpoint: &Checkpoint, keys: &Keys, config: &Config, own: &Own) -> Result<Variant, ModelError> {
    let gelu: Option<Gelu> = config.gate(checkpoint.path(), keys)?;
    Ok(Variant {
        qkv_bias: config.attention_bias,
        output_bias: config.attention_bias,
        norms: NormsAt::Around,
        gains_around_one: true,
        gelu,
        embedding_scale: Some((config.hidden_size as f64).sqrt()),
        comparison: Comparison {
            window: None,
            scale: Some(own.query_pre_attn_scalar.powf(-0.5)),
            soft_cap: own.attn_logit_softcapping,
        },
        ..Variant::default()
    })
}

/// Loads the final norm and the unembedding, without the blocks.
pub(crate) fn head(checkpoint: &mut Checkpoint, keys: &Keys, place: Place) -> Result<Head, ModelError> {
    let (config, own) = (Config::read(checkpoint, keys)?, Own::read(checkpoint, keys)?);
    let unembedding = llama::unembedding(checkpoint, &config, place)?;
    let norm = Norm::rms_around_one(checkpoint, FINAL_NORM, config.hidden_size, config.rms_norm_eps, place)?;
    Ok(Head { norm, unembedding, soft_cap: own.final_logit_softcapping })
}
