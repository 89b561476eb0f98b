//! What is done with each key of config.json: it is read, or it changes no hidden state, or it is refused by name unless
//! its value leaves the computation as it is. A key on no list is warned of, so that next year's is noticed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::ModelError;

/// The keys of a family, beside those that all families have.
pub(crate) struct Keys {
    /// Keys that the family reads: the family's own, and those of the family that it is built on.
    pub read: &'static [&'static [&'static str]],
    /// Keys that change no hidden state of this family.
    pub harmless: &'static [&'static str],
    /// Keys that this family takes only with some values.
    pub neutral: &'static [(&'static str, Neutral)],
    /// What the configuration class of transformers takes for a key that a config.json does not have, as a JSON object.
    pub defaults: &'static str,
    /// Whether `rope_parameters` has a rotary embedding for each kind of block; it has one for all otherwise.
    pub rotary_by_kind: bool,
}

/// The values of a key that leave the computation as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Neutral {
    /// null, false, 0, and what is empty.
    Off,
    /// true.
    On,
    /// 1, and what is off.
    One,
    /// A list of `full_attention` alone.
    FullAttention,
    /// At least as many tokens as the family's context, and what is off.
    WholeContext,
    /// The value of another key.
    As(&'static str),
    /// transformers does not read the key in this family, so that any value is ignored, with a warning.
    Ignored,
}

/// Keys without influence on hidden states, whatever the family: about files, training, text generation, and other tasks.
const HARMLESS: &[&str] = &[
    "architectures",
    "attention_dropout",
    "attn_implementation",
    "attn_pdrop",
    "auto_map",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "cache_implementation",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "custom_pipelines",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "early_stopping",
    "embd_pdrop",
    "encoder_no_repeat_ngram_size",
    "eos_token_id",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "hidden_dropout",
    "id2label",
    "initializer_range",
    "is_decoder",
    "is_llama_config",
    "keys_to_ignore_at_inference",
    "label2id",
    "length_penalty",
    "max_length",
    "max_window_layers",
    "min_length",
    "model_max_length",
    "model_type",
    "name_or_path",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_labels",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token_id",
    "prefix",
    "pretraining_tp",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "resid_pdrop",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tie_last_hidden_states",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "typical_p",
    "unk_token_id",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
    "use_flash_attention_2",
];

/// Keys that change the computation of some model, with the values that do not.
const NEUTRAL: &[(&str, Neutral)] = &[
    ("activation", Neutral::As("hidden_act")),
    ("add_cross_attention", Neutral::Off),
    ("add_qkv_bias", Neutral::Off),
    ("alibi", Neutral::Off),
    // Biases are tensors, and a tensor that nobody reads is refused.
    ("attention_bias", Neutral::Ignored),
    ("attention_chunk_size", Neutral::Off),
    ("attention_logit_softcapping", Neutral::Off),
    ("attention_multiplier", Neutral::Off),
    ("attn_logit_softcapping", Neutral::Off),
    ("attn_temperature_tuning", Neutral::Off),
    ("clip_qkv", Neutral::Off),
    ("cross_attention_hidden_size", Neutral::Off),
    ("embedding_multiplier", Neutral::One),
    ("embedding_scale", Neutral::One),
    ("final_logit_softcapping", Neutral::Off),
    ("first_k_dense_replace", Neutral::Off),
    ("hidden_activation", Neutral::As("hidden_act")),
    ("interleaved_sliding_window", Neutral::Off),
    ("is_causal", Neutral::On),
    ("is_encoder_decoder", Neutral::Off),
    ("kv_lora_rank", Neutral::Off),
    ("layer_types", Neutral::FullAttention),
    ("llama_4_scaling", Neutral::Off),
    ("logit_scale", Neutral::One),
    ("logits_scaling", Neutral::One),
    ("logits_soft_cap", Neutral::Off),
    ("mlp_bias", Neutral::Ignored),
    ("moe_intermediate_size", Neutral::Off),
    ("mup_base_width", Neutral::Off),
    ("mup_multiplier", Neutral::One),
    ("n_routed_experts", Neutral::Off),
    ("no_rope_layer_interval", Neutral::Off),
    ("no_rope_layers", Neutral::Off),
    ("num_experts", Neutral::Off),
    ("num_kv_shared_layers", Neutral::Off),
    ("num_local_experts", Neutral::Off),
    ("parallel_attn", Neutral::Off),
    ("partial_rotary_factor", Neutral::Ignored),
    ("per_layer_config", Neutral::Off),
    ("pruned_heads", Neutral::Off),
    ("q_lora_rank", Neutral::Off),
    ("qk_layernorm", Neutral::Off),
    ("qk_norm", Neutral::Off),
    ("qkv_bias", Neutral::Ignored),
    ("query_pre_attn_scalar", Neutral::Off),
    ("residual_multiplier", Neutral::One),
    ("residual_scale", Neutral::One),
    ("rope_interleave", Neutral::Off),
    ("rope_interleaved", Neutral::Off),
    ("rope_local_base_freq", Neutral::Off),
    ("rope_ratio", Neutral::One),
    ("rotary_pct", Neutral::One),
    ("scale_attn_by_inverse_layer_idx", Neutral::Off),
    ("scale_attn_weights", Neutral::On),
    ("scale_depth", Neutral::Off),
    ("scale_emb", Neutral::One),
    ("sliding_window", Neutral::WholeContext),
    ("sliding_window_pattern", Neutral::Off),
    ("text_config", Neutral::Off),
    ("use_alibi", Neutral::Off),
    ("use_bias", Neutral::Ignored),
    ("use_bidirectional_attention", Neutral::Off),
    ("use_mrope", Neutral::Off),
    ("use_parallel_residual", Neutral::Off),
    ("use_qk_norm", Neutral::Off),
    ("use_sliding_window", Neutral::Off),
    ("vision_config", Neutral::Off),
];

impl Keys {
    /// Whether the family reads a key.
    pub fn reads(&self, key: &str) -> bool {
        self.read.iter().any(|list| list.contains(&key))
    }

    /// Adds the keys that a config.json leaves out, as transformers does.
    pub fn complete(&self, config: &mut Value) {
        let (Value::Object(config), Ok(defaults)) = (config, serde_json::from_str(self.defaults)) else {
            return;
        };
        let defaults: Map<String, Value> = defaults;
        for (key, value) in defaults {
            config.entry(key).or_insert(value);
        }
    }

    /// Refuses what would change the computation and is not honoured; warns of what is not known.
    pub fn check(&self, path: &Path, config: &Value) -> Result<(), ModelError> {
        let Value::Object(keys) = config else { return Ok(()) };
        let (mut ignored, mut unknown) = (Vec::new(), Vec::new());
        for (key, value) in keys {
            let name = key.as_str();
            // What begins with an underscore is transformers' own, such as `_name_or_path`.
            let listed = |list: &[&str]| list.contains(&name);
            if name.starts_with('_') || self.reads(name) || listed(self.harmless) || listed(HARMLESS) {
                continue;
            }
            let mut known = self.neutral.iter().chain(NEUTRAL);
            match known.find(|(known, _)| *known == name) {
                None => unknown.push(key.clone()),
                Some((_, Neutral::Ignored)) if !is_off(value) && !is_one(value) => {
                    ignored.push(format!("{key} = {value}"));
                }
                Some((_, neutral)) if neutral.has(value, keys) => {}
                Some((_, neutral)) => return Err(refusal(path, key, value, *neutral)),
            }
        }
        if !ignored.is_empty() {
            warn_once(format!(
                "{}: its configuration has {}, which transformers does not read in this architecture; ignored",
                path.display(),
                ignored.join(", ")
            ));
        }
        warn_of_unknown(path, &unknown);
        Ok(())
    }
}

/// One line that names keys on no list.
pub(crate) fn warn_of_unknown(path: &Path, keys: &[String]) {
    if !keys.is_empty() {
        warn_once(format!(
            "{}: its configuration has keys that are not known here: {}; if they change what the model computes, the \
             states are not the model's",
            path.display(),
            keys.join(", ")
        ));
    }
}

/// A program may open a checkpoint several times; the same line is said once.
fn warn_once(line: String) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(line.clone()) {
        tracing::warn!("{line}");
    }
}

impl Neutral {
    fn has(self, value: &Value, config: &Map<String, Value>) -> bool {
        let context = || config.get("max_position_embeddings").or(config.get("n_positions"))?.as_i64();
        match self {
            Self::Off => is_off(value),
            Self::On => value == &Value::Bool(true),
            Self::One => is_off(value) || is_one(value),
            Self::FullAttention => {
                let types = value.as_array().map(Vec::as_slice).unwrap_or_default();
                value.is_null() || value.is_array() && types.iter().all(|kind| kind == "full_attention")
            }
            Self::WholeContext => {
                let unused = config.get("use_sliding_window") == Some(&Value::Bool(false));
                is_off(value) || unused || value.is_i64() && value.as_i64() >= context()
            }
            Self::As(other) => value.is_null() || Some(value) == config.get(other),
            Self::Ignored => true,
        }
    }
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(values) => values.is_empty(),
    }
}

fn is_one(value: &Value) -> bool {
    value.as_f64() == Some(1.0)
}

fn refusal(path: &Path, key: &str, value: &Value, neutral: Neutral) -> ModelError {
    let taken = match neutral {
        Neutral::Off | Neutral::Ignored => "it has to be off or absent".to_owned(),
        Neutral::On => "it has to be true or absent".to_owned(),
        Neutral::One => "it has to be 1 or absent".to_owned(),
        Neutral::FullAttention => "every block has to be of full_attention".to_owned(),
        Neutral::WholeContext => "this architecture has no window shorter than its context".to_owned(),
        Neutral::As(other) => format!("it has to be the same as {other}"),
    };
    let value: String = value.to_string().chars().take(80).collect();
    let reason = format!(
        "its configuration has {key} = {value}, which changes what a model computes and is not supported here: {taken}"
    );
    ModelError::checkpoint(path, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KEYS: Keys = Keys {
        read: &[&["sliding_window"]],
        harmless: &["kind"],
        neutral: &[("layer_types", Neutral::Off)],
        defaults: r#"{"sliding_window": 4096}"#,
        rotary_by_kind: false,
    };

    fn said(config: &Value) -> Option<String> {
        KEYS.check(Path::new("m"), config).err().map(|error| error.to_string())
    }

    #[test]
    fn a_key_is_read_or_harmless_or_neutral_or_refused() {
        for (key, value) in [
            ("is_causal", json!(true)),
            ("is_encoder_decoder", json!(false)),
            ("logits_scaling", json!(1.0)),
            ("num_experts", json!(0)),
            ("attention_bias", json!(true)),
            ("sliding_window", json!(3)),
            ("kind", json!("a")),
            ("_private", json!(1)),
            ("next_year", json!(1)),
            ("pruned_heads", json!({})),
        ] {
            assert_eq!(said(&json!({key: value})), None, "{key}");
        }
        for (key, value, words) in [
            ("is_causal", json!(false), "is_causal = false"),
            ("is_causal", json!(null), "has to be true"),
            ("logits_scaling", json!(8), "has to be 1"),
            ("attn_logit_softcapping", json!(50.0), "attn_logit_softcapping = 50.0"),
            ("pruned_heads", json!({"0": [1]}), "pruned_heads"),
            ("layer_types", json!(["full_attention"]), "off or absent"),
        ] {
            let said = said(&json!({key: value})).unwrap();
            assert!(said.contains(words), "{said}");
        }
        let activations = |other| said(&json!({"hidden_act": "silu", "hidden_activation": other}));
        assert_eq!(activations("silu"), None);
        assert!(activations("gelu").unwrap().contains("the same as hidden_act"));
        let window = |window| {
            let config = json!({"max_position_embeddings": 64, "sliding_window": window});
            Neutral::WholeContext.has(&config["sliding_window"], config.as_object().unwrap())
        };
        assert!(window(json!(64)) && window(json!(null)) && !window(json!(63)) && !window(json!("63")));
    }

    #[test]
    fn missing_keys_are_those_of_transformers() {
        let complete = |mut config: Value| {
            KEYS.complete(&mut config);
            config["sliding_window"].clone()
        };
        assert_eq!(complete(json!({})), 4096);
        assert_eq!(complete(json!({"sliding_window": null})), Value::Null);
    }
}
