//! Every key and every tensor of a file is accounted for: what changes the computation is honoured or refused by name,
//! what is harmless is on a list, and an unknown key is warned of.

use candle_core::quantized::gguf_file::Value;

use crate::file::integer;
use crate::{GgufError, GgufFile};

/// Keys below the architecture's name that [`GgufFile::config`] reads.
const READ: [&str; 17] = [
    "attention.causal",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_epsilon",
    "attention.layer_norm_rms_epsilon",
    "attention.sliding_window",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scaling.attn_factor",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
];

/// The factor of a linear scaling: today's key, and that of 2023. A file may have either without a type.
pub(crate) const LINEAR_FACTORS: [&str; 2] = ["rope.scaling.factor", "rope.scale_linear"];

/// Keys below the architecture's name that change no hidden state of the families read here.
const HARMLESS: [&str; 9] = [
    "expert_used_count", // Without experts it says nothing.
    "pooling_type",
    "rope.scaling.finetuned",
    "rope.scaling.yarn_attn_factor", // Yarn's own numbers; yarn itself is refused.
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "rope.scaling.yarn_log_multiplier",
    "tensor_data_layout",
    "vocab_size", // The embedding's shape says it.
];

/// Keys below the architecture's name that change the computation, with the values that leave it as it is.
const NEUTRAL: [(&str, &[f64]); 36] = [
    ("activation.sparsity_scale", &[]),
    ("attention.clamp_kqv", &[0.0]),
    ("attention.group_norm_epsilon", &[]),
    ("attention.indexer.head_count", &[0.0]),
    ("attention.kv_lora_rank", &[0.0]),
    ("attention.max_alibi_bias", &[0.0]),
    ("attention.output_scale", &[1.0]),
    ("attention.q_lora_rank", &[0.0]),
    ("attention.relative_buckets_count", &[0.0]),
    ("attention.shared_kv_layers", &[0.0]),
    ("attention.sliding_window_pattern", &[]),
    ("attention.temperature_length", &[0.0]),
    ("attention.temperature_scale", &[0.0]),
    ("attn_logit_softcapping", &[0.0]),
    ("decoder_block_count", &[0.0]),
    ("embedding_length_per_layer_input", &[0.0]),
    ("embedding_scale", &[0.0, 1.0]),
    ("expert_count", &[0.0]),
    ("expert_feed_forward_length", &[0.0]),
    ("expert_shared_count", &[0.0]),
    ("final_logit_softcapping", &[0.0]),
    ("leading_dense_block_count", &[0.0]),
    ("logit_scale", &[0.0, 1.0]),
    ("nextn_predict_layers", &[0.0]),
    ("residual_scale", &[0.0, 1.0]),
    ("rope.dimension_count_swa", &[]),
    ("rope.dimension_sections", &[]),
    ("rope.freq_base_swa", &[]),
    ("rope.scaling.alpha", &[0.0, 1.0]),
    ("rope.scaling.yarn_ext_factor", &[0.0]),
    ("router_logit_softcapping", &[0.0]),
    ("ssm.state_size", &[0.0]),
    ("swin_norm", &[0.0]),
    ("use_alibi", &[0.0]),
    ("use_parallel_residual", &[0.0]),
    ("xielu.alpha_p", &[]),
];

/// Keys of the tokenizer that [`GgufFile::tokenizer_json`] reads, or that change no token ids.
const TOKENIZER: [&str; 17] = [
    "add_bos_token",
    "add_eos_token",
    "add_space_prefix",
    "added_tokens",
    "eos_token_ids",
    "eog_token_ids",
    "huggingface.json",
    "merges",
    "model",
    "pre",
    "precompiled_charsmap", // Of vocabularies that are refused.
    "rwkv.world",
    "scores",
    "suppress_tokens",
    "token_type",
    "token_type_count",
    "tokens",
];

/// Switches of the tokenizer that change token ids and are not honoured.
const TOKENIZER_OFF: [&str; 4] =
    ["add_sep_token", "normalizer.lowercase", "remove_extra_whitespaces", "treat_whitespace_as_suffix"];

const ADVICE: &str = "is not supported in GGUF; use the model's Hugging Face directory";

impl GgufFile {
    /// Refuses what is no language model by its own account.
    pub(crate) fn check_is_model(&self, architecture: &str) -> Result<(), GgufError> {
        let kind = self.value("general.type").and_then(|value| value.to_string().ok());
        let lora = self.tensor_names().any(|name| name.ends_with(".lora_a") || name.ends_with(".lora_b"));
        let experts = ["expert_count", "expert_used_count"].iter().any(|name| {
            self.value(&format!("{architecture}.{name}")).and_then(integer).is_some_and(|n| n > 0)
        });
        let is = match kind.map_or("model", String::as_str) {
            "adapter" => "is an adapter (LoRA), not a model; merge it into its model with llama-export-lora",
            _ if lora => "is an adapter (LoRA), not a model; merge it into its model with llama-export-lora",
            "mmproj" => {
                "is an image or sound projector (mmproj), not a model; give the language model's file"
            }
            _ if architecture == "clip" => {
                "is an image projector (mmproj), not a model; give the language model's file"
            }
            "imatrix" => "is an importance matrix for quantising, not a model; give the model's file",
            _ if architecture == "controlvector" => "is a control vector, not a model; give the model's file",
            _ if self.tensor_names().next().is_none() => {
                "has a vocabulary alone and no tensors; give the model's file"
            }
            _ if experts || self.tensor_names().any(|name| name.contains("_exps.")) => {
                "is a mixture of experts, which is not supported; take a dense model"
            }
            _ => return Ok(()),
        };
        Err(self.content_error(is.into()))
    }

    /// Refuses keys that change the computation and are not honoured; warns of keys that are not known. `more` names
    /// keys that the architecture alone reads.
    pub(crate) fn check_keys(&self, architecture: &str, more: &[&str]) -> Result<(), GgufError> {
        let mut unknown = Vec::new();
        let mut keys: Vec<&str> = self.keys().collect();
        keys.sort_unstable();
        for key in keys {
            let own = key.strip_prefix(architecture).and_then(|rest| rest.strip_prefix('.'));
            let known = match (own, key.strip_prefix("tokenizer.ggml."), key.strip_prefix("tokenizer.")) {
                (Some(name), ..) => {
                    let lists = [&READ[..], &LINEAR_FACTORS, &HARMLESS, more];
                    lists.iter().any(|list| list.contains(&name)) || self.is_neutral(key, name)?
                }
                (_, Some(name), _) => self.is_known_of_tokenizer(key, name)?,
                (.., Some(name)) => name.starts_with("chat_template") || TOKENIZER.contains(&name),
                _ => true,
            };
            if !known {
                unknown.push(key);
            }
        }
        if !unknown.is_empty() {
            tracing::warn!(
                "the GGUF file has metadata that is not known here and not honoured: {}",
                unknown.join(", ")
            );
        }
        Ok(())
    }

    /// Whether a key that would change the computation leaves it as it is; false where the key is not known.
    fn is_neutral(&self, key: &str, name: &str) -> Result<bool, GgufError> {
        if name == "attention.scale" {
            let plain = 1.0 / (self.head_width()? as f64).sqrt();
            let scale = self.number(key);
            return match scale.is_some_and(|scale| scale == 0.0 || (scale / plain - 1.0).abs() < 1e-4) {
                true => Ok(true),
                false => Err(self.refused(key)),
            };
        }
        let Some((_, neutral)) = NEUTRAL.iter().find(|(known, _)| *known == name) else { return Ok(false) };
        match self.number(key) {
            Some(value) if neutral.contains(&value) => Ok(true),
            _ => Err(self.refused(key)),
        }
    }

    fn is_known_of_tokenizer(&self, key: &str, name: &str) -> Result<bool, GgufError> {
        if TOKENIZER_OFF.contains(&name) {
            return match self.number(key) {
                Some(0.0) => Ok(true),
                _ => Err(self.refused(key)),
            };
        }
        Ok(TOKENIZER.contains(&name) || name.ends_with("_token_id"))
    }

    /// Says that a key is not honoured.
    pub(crate) fn refused(&self, key: &str) -> GgufError {
        let value = match (self.number(key), self.value(key)) {
            (Some(number), _) => number.to_string(),
            (_, Some(Value::String(text))) => format!("'{text}'"),
            _ => "set".into(),
        };
        self.content_error(format!("'{key}' is {value}, which {ADVICE}"))
    }

    /// A number or a switch, whatever its type in the file.
    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        match self.value(key)? {
            Value::F32(value) => Some((*value).into()),
            Value::F64(value) => Some(*value),
            Value::Bool(value) => Some(u8::from(*value).into()),
            Value::I8(_) | Value::I16(_) | Value::I32(_) | Value::I64(_)
                if integer(self.value(key)?).is_none() =>
            {
                Some(-1.0)
            }
            value => integer(value).map(|value| value as f64),
        }
    }

    /// Refuses tensors that nobody would read. `has` says which names the model reads, without `blk.N.` in front.
    pub(crate) fn check_tensors(&self, blocks: u64, has: impl Fn(&str) -> bool) -> Result<(), GgufError> {
        let known = |name: &str| match name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
            Some((block, module)) => block.parse::<u64>().is_ok_and(|block| block < blocks) && has(module),
            None => has(name),
        };
        let stranger = self.tensor_names().filter(|name| !known(name)).min();
        match stranger {
            Some(name) => Err(self.content_error(format!(
                "the tensor '{name}' is none of a model of this kind with {blocks} blocks, and a model with it {ADVICE}"
            ))),
            None => Ok(()),
        }
    }
}
