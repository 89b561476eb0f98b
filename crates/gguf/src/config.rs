//! The model's configuration, in the words of Hugging Face's `config.json`.

use candle_core::quantized::gguf_file::Value as GgufValue;
use serde_json::{Map, Value, json};

use crate::file::integer;
use crate::keys::LINEAR_FACTORS;
use crate::names::{self, EMBEDDING};
use crate::{GgufError, GgufFile};

/// The values of `general.architecture` that [`GgufFile::config`] knows; Hugging Face's `model_type` spells
/// them alike, but for `gptneox`, for Gemma 3's language model, and for OLMo 3, whose files say `olmo2`. (Mistral's files
/// say `llama`.)
const ARCHITECTURES: [&str; 10] =
    ["gemma2", "gemma3", "gpt2", "gptneox", "llama", "olmo2", "phi3", "qwen2", "qwen3", "smollm3"];

/// llama.cpp's rotary base where the file names none.
const DEFAULT_THETA: f64 = 10_000.0;

/// Architectures whose files may have a window shorter than their context.
const WITH_WINDOW: [&str; 4] = ["gemma2", "gemma3", "olmo2", "phi3"];

/// Every so many blocks of a SmolLM3 one does not rotate; no key of a file says it.
const SMOLLM3_INTERVAL: u64 = 4;

/// The share of a head that is rotated. The model multiplies it by the width and drops the fraction, so it may not be too
/// small by a rounding.
pub(crate) fn share(rotated: u64, width: u64) -> f64 {
    let share = rotated as f64 / width as f64;
    if ((width as f64 * share) as u64) < rotated { share.next_up() } else { share }
}

/// The keys that one architecture alone reads.
fn own_keys(architecture: &str) -> &'static [&'static str] {
    match architecture {
        "gemma2" => &["attn_logit_softcapping", "final_logit_softcapping"],
        "gemma3" => &["attention.sliding_window_pattern", "final_logit_softcapping", "rope.freq_base_swa"],
        "gptneox" => &["use_parallel_residual"],
        "olmo2" => &["attention.sliding_window_pattern", "rope.freq_base_swa"],
        _ => &[],
    }
}

impl GgufFile {
    /// The configuration as `config.json` would say it.
    ///
    /// # Errors
    /// [`GgufError`] if the architecture is not known, or a required value is missing.
    pub fn config(&mut self) -> Result<Value, GgufError> {
        let architecture = self.architecture()?.to_owned();
        self.check_is_model(&architecture)?;
        if !ARCHITECTURES.contains(&architecture.as_str()) {
            return Err(self.content_error(format!(
                "architecture '{architecture}' is not supported in GGUF; known: {}",
                ARCHITECTURES.join(", ")
            )));
        }
        self.check_keys(&architecture, own_keys(&architecture))?;
        self.check_tensors(self.integer(&self.own("block_count")?)?, |name| {
            names::is_read(name, &architecture)
        })?;
        let causal = self.own("attention.causal")?;
        if self.number(&causal).is_some_and(|causal| causal != 1.0) {
            return Err(self.refused(&causal));
        }
        let mut config = Map::new();
        let model_type = if architecture == "gptneox" { "gpt_neox" } else { architecture.as_str() };
        config.insert("model_type".into(), model_type.into());
        config.insert("vocab_size".into(), self.shape(EMBEDDING)?.first().copied().into());
        if let Some(id) = self.value("tokenizer.ggml.bos_token_id") {
            config.insert("bos_token_id".into(), integer(id).into());
        }
        match architecture.as_str() {
            "gpt2" => self.gpt2(&mut config)?,
            "gptneox" => self.gptneox(&mut config)?,
            _ => self.llama(&mut config)?,
        }
        match architecture.as_str() {
            "gemma2" | "gemma3" => self.gemma(&mut config)?,
            "olmo2" => self.olmo3(&mut config)?,
            "smollm3" => drop(config.insert("no_rope_layer_interval".into(), SMOLLM3_INTERVAL.into())),
            _ => {}
        }
        Ok(Value::Object(config))
    }

    /// The ids of the tokens that end a text or a turn of it.
    pub fn end_ids(&self) -> Vec<i64> {
        let keys = ["eos_token_id", "eot_token_id", "eom_token_id", "eos_token_ids", "eog_token_ids"];
        let values = keys.iter().filter_map(|key| self.value(&format!("tokenizer.ggml.{key}")));
        let ids = values.flat_map(|value| match value {
            GgufValue::Array(ids) => ids.iter().filter_map(integer).collect(),
            id => Vec::from_iter(integer(id)),
        });
        ids.map(|id| id as i64).collect()
    }

    fn gpt2(&self, config: &mut Map<String, Value>) -> Result<(), GgufError> {
        for (key, name) in [
            ("n_embd", "embedding_length"),
            ("n_inner", "feed_forward_length"),
            ("n_layer", "block_count"),
            ("n_positions", "context_length"),
            ("n_head", "attention.head_count"),
        ] {
            config.insert(key.into(), self.integer(&self.own(name)?)?.into());
        }
        self.check_plain_attention()?;
        let epsilon = self.float(&self.own("attention.layer_norm_epsilon")?)?;
        config.insert("layer_norm_epsilon".into(), json!(epsilon));
        config.insert("activation_function".into(), "gelu_new".into());
        Ok(())
    }

    /// Refuses windows, and heads that share keys, in families that have neither.
    pub(crate) fn check_plain_attention(&self) -> Result<(), GgufError> {
        for (name, plain) in
            [("attention.sliding_window", 0), ("attention.head_count_kv", self.heads()? as u64)]
        {
            if self.optional(name)?.is_some_and(|value| value != plain) {
                return Err(self.refused(&self.own(name)?));
            }
        }
        Ok(())
    }

    fn llama(&mut self, config: &mut Map<String, Value>) -> Result<(), GgufError> {
        for (key, name) in [
            ("hidden_size", "embedding_length"),
            ("intermediate_size", "feed_forward_length"),
            ("num_hidden_layers", "block_count"),
            ("max_position_embeddings", "context_length"),
        ] {
            config.insert(key.into(), self.integer(&self.own(name)?)?.into());
        }
        let (heads, groups) = (self.heads()?, self.kv_heads()?);
        config.insert("num_attention_heads".into(), heads.into());
        config.insert("num_key_value_heads".into(), groups.into());
        let width = self.head_width()?;
        if self.optional("attention.value_length")?.is_some_and(|values| values != width) {
            return Err(self.refused(&self.own("attention.value_length")?));
        }
        config.insert("head_dim".into(), width.into());
        let epsilon = self.float(&self.own("attention.layer_norm_rms_epsilon")?)?;
        config.insert("rms_norm_eps".into(), json!(epsilon));
        let context = self.integer(&self.own("context_length")?)?;
        if let Some(window) = self.optional("attention.sliding_window")?.filter(|&window| window > 0) {
            // Of these families only some have windows in GGUF; one as wide as the context changes nothing.
            if window < context && !WITH_WINDOW.contains(&self.architecture()?) {
                return Err(self.refused(&self.own("attention.sliding_window")?));
            }
            config.insert("sliding_window".into(), window.into());
        }
        config.insert("hidden_act".into(), "silu".into());
        self.check_biases()?;
        config
            .insert("attention_bias".into(), self.has_tensor("model.layers.0.self_attn.q_proj.bias").into());
        config.insert("mlp_bias".into(), self.has_tensor("model.layers.0.mlp.down_proj.bias").into());
        config.insert("tie_word_embeddings".into(), (!self.has_tensor("lm_head.weight")).into());
        let original = self.optional("rope.scaling.original_context_length")?;
        if let Some(original) = original {
            config.insert("original_max_position_embeddings".into(), original.into());
        }
        let rotated = self.optional("rope.dimension_count")?.unwrap_or(width);
        // Of these families only Phi-3 can rotate a part of each head.
        if rotated != width && self.architecture()? != "phi3" {
            return Err(self.refused(&self.own("rope.dimension_count")?));
        }
        let rotary = self.rotary(share(rotated, width))?;
        config.insert("rope_parameters".into(), rotary);
        Ok(())
    }

    /// The rotary embedding: base, rotated share, scaling. Without its scaling a model gives wrong states, so an
    /// unknown scaling is refused.
    pub(crate) fn rotary(&mut self, share: f64) -> Result<Value, GgufError> {
        let theta_key = self.own("rope.freq_base")?;
        let theta = if self.value(&theta_key).is_some() { self.float(&theta_key)? } else { DEFAULT_THETA };
        let mut rotary = json!({"rope_theta": theta, "partial_rotary_factor": share});
        let (kind_key, attention) = (self.own("rope.scaling.type")?, self.own("rope.scaling.attn_factor")?);
        let kind =
            if self.value(&kind_key).is_some() { Some(self.string(&kind_key)?.to_owned()) } else { None };
        // Where llama.cpp finds no type, a factor is a linear scaling's.
        let kind = kind.unwrap_or_else(|| "linear".into());
        let factor = if kind == "none" { 1.0 } else { self.linear_factor()? };
        let [every, short, long] =
            ["rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight"];
        if !["none", "linear", "longrope"].contains(&kind.as_str()) {
            return Err(self.content_error(format!(
                "rotary scaling '{kind}' is not supported in GGUF; use the model's Hugging Face directory"
            )));
        }
        if self.has(short) && self.has(long) {
            if factor != 1.0 {
                return Err(self.content_error(format!(
                    "has both a rotary scaling by {factor} and tables of factors ({short}): which is meant is not known"
                )));
            }
            rotary["rope_type"] = "longrope".into();
            rotary["short_factor"] = json!(self.dequantised(short)?.values);
            rotary["long_factor"] = json!(self.dequantised(long)?.values);
            if self.value(&attention).is_some() {
                rotary["attention_factor"] = json!(self.float(&attention)?);
            }
            return Ok(rotary);
        }
        if kind == "longrope" || self.has(short) || self.has(long) {
            let reason =
                format!("rotary scaling 'longrope' needs the tensors {short} and {long}; one is missing");
            return Err(self.content_error(reason));
        }
        if self.number(&attention).is_some_and(|scale| scale != 1.0) {
            return Err(self.refused(&attention));
        }
        if self.has(every) {
            // Llama 3's scaling, as the divisor of each frequency: one table, whatever the length.
            let factors = self.dequantised(every)?.values;
            let factors: Vec<f64> = factors.into_iter().map(|divisor| f64::from(divisor) * factor).collect();
            rotary["rope_type"] = "longrope".into();
            rotary["attention_factor"] = json!(1.0);
            rotary["short_factor"] = json!(factors);
            rotary["long_factor"] = json!(factors);
        } else if factor != 1.0 {
            rotary["rope_type"] = "linear".into();
            rotary["factor"] = json!(factor);
        }
        Ok(rotary)
    }

    /// The factor of a linear rotary scaling, 1 where there is none. llama.cpp reads 0 as none.
    fn linear_factor(&self) -> Result<f64, GgufError> {
        let mut factors = Vec::new();
        for name in LINEAR_FACTORS {
            let key = self.own(name)?;
            if self.value(&key).is_some() {
                let factor = self.float(&key)?;
                factors.push(if factor == 0.0 { 1.0 } else { factor });
            }
        }
        match factors[..] {
            [new, old] if new != old => Err(self.content_error(format!(
                "has two rotary scalings that contradict each other: {} of {new}, {} of {old}",
                LINEAR_FACTORS[0], LINEAR_FACTORS[1]
            ))),
            [] => Ok(1.0),
            [factor, ..] if factor > 0.0 && factor.is_finite() => Ok(factor),
            [factor, ..] => Err(self.content_error(format!("its rotary scaling is by {factor}"))),
        }
    }

    /// Refuses biases that a model without a bias of its query or its way down would not read.
    fn check_biases(&self) -> Result<(), GgufError> {
        for (flag, others) in
            [("attn_q", &["attn_k", "attn_v", "attn_output"][..]), ("ffn_down", &["ffn_gate", "ffn_up"])]
        {
            let has = |module: &str| self.has(&format!("blk.0.{module}.bias"));
            let odd = self.tensor_names().find(|name| {
                !has(flag) && others.iter().any(|module| name.ends_with(&format!(".{module}.bias")))
            });
            if let Some(name) = odd {
                return Err(self.content_error(format!(
                    "the tensor '{name}' is there, blk.0.{flag}.bias is not: such a model is not supported"
                )));
            }
        }
        Ok(())
    }

    /// The width of a head.
    pub(crate) fn head_width(&self) -> Result<u64, GgufError> {
        let shared = || Ok(self.integer(&self.own("embedding_length")?)? / (self.heads()? as u64).max(1));
        self.optional("attention.key_length")?.map_or_else(shared, Ok)
    }

    pub(crate) fn architecture(&self) -> Result<&str, GgufError> {
        self.string("general.architecture")
    }

    /// The full key of a value that belongs to the file's architecture.
    pub(crate) fn own(&self, name: &str) -> Result<String, GgufError> {
        Ok(format!("{}.{name}", self.architecture()?))
    }

    pub(crate) fn heads(&self) -> Result<usize, GgufError> {
        Ok(self.integer(&self.own("attention.head_count")?)? as usize)
    }

    pub(crate) fn kv_heads(&self) -> Result<usize, GgufError> {
        Ok(self.optional("attention.head_count_kv")?.map_or(self.heads()?, |groups| groups as usize))
    }

    /// A whole number of the architecture, where the file has it.
    pub(crate) fn optional(&self, name: &str) -> Result<Option<u64>, GgufError> {
        let key = self.own(name)?;
        if self.value(&key).is_some() { self.integer(&key).map(Some) } else { Ok(None) }
    }

    pub(crate) fn float(&self, key: &str) -> Result<f64, GgufError> {
        match self.required(key)? {
            GgufValue::F32(value) => Ok(f64::from(*value)),
            GgufValue::F64(value) => Ok(*value),
            _ => Err(self.content_error(format!("'{key}' is no floating-point number"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn a_share_of_a_head_is_the_same_number_of_values() {
        for width in 1..=512u64 {
            for rotated in 0..=width {
                assert_eq!((width as f64 * share(rotated, width)) as u64, rotated, "{rotated} of {width}");
            }
            assert_eq!(share(width, width), 1.0);
        }
    }
}
