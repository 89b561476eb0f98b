//! The model's configuration, in the words of Hugging Face's `config.json`.

use candle_core::quantized::gguf_file::Value as GgufValue;
use serde_json::{Map, Value, json};

use crate::file::integer;
use crate::{GgufError, GgufFile};

/// The values of `general.architecture` that [`GgufFile::config`] knows.
const ARCHITECTURES: [&str; 1] = ["llama"];

impl GgufFile {
    /// The configuration as `config.json` would say it.
    ///
    /// # Errors
    /// [`GgufError`] if the architecture is not known, or a required value is missing.
    pub fn config(&self) -> Result<Value, GgufError> {
        let architecture = self.string("general.architecture")?;
        if !ARCHITECTURES.contains(&architecture) {
            return Err(self.content_error(format!(
                "architecture '{architecture}' is not supported in GGUF; known: {}",
                ARCHITECTURES.join(", ")
            )));
        }
        let mut config = Map::new();
        config.insert("model_type".into(), architecture.into());
        config.insert("vocab_size".into(), self.strings("tokenizer.ggml.tokens")?.len().into());
        for (key, name) in [
            ("hidden_size", "embedding_length"),
            ("intermediate_size", "feed_forward_length"),
            ("num_hidden_layers", "block_count"),
            ("max_position_embeddings", "context_length"),
        ] {
            config.insert(key.into(), self.integer(&format!("{architecture}.{name}"))?.into());
        }
        config.insert("num_attention_heads".into(), self.heads()?.into());
        config.insert("num_key_value_heads".into(), self.kv_heads()?.into());
        if let Some(width) = self.value(&format!("{architecture}.attention.key_length")) {
            config.insert("head_dim".into(), integer(width).into());
        }
        let epsilon = self.float(&format!("{architecture}.attention.layer_norm_rms_epsilon"))?;
        config.insert("rms_norm_eps".into(), json!(epsilon));
        // llama.cpp's default where the file is silent.
        let theta = match self.value(&format!("{architecture}.rope.freq_base")) {
            Some(_) => self.float(&format!("{architecture}.rope.freq_base"))?,
            None => 10_000.0,
        };
        config.insert("rope_theta".into(), json!(theta));
        self.refuse_rope_scaling(architecture)?;
        if let Some(id) = self.value("tokenizer.ggml.bos_token_id") {
            config.insert("bos_token_id".into(), integer(id).into());
        }
        config.insert("hidden_act".into(), "silu".into());
        config.insert("tie_word_embeddings".into(), (!self.has_tensor("lm_head.weight")).into());
        Ok(Value::Object(config))
    }

    pub(crate) fn heads(&self) -> Result<usize, GgufError> {
        let architecture = self.string("general.architecture")?;
        Ok(self.integer(&format!("{architecture}.attention.head_count"))? as usize)
    }

    pub(crate) fn kv_heads(&self) -> Result<usize, GgufError> {
        let architecture = self.string("general.architecture")?;
        match self.value(&format!("{architecture}.attention.head_count_kv")) {
            Some(_) => Ok(self.integer(&format!("{architecture}.attention.head_count_kv"))? as usize),
            None => self.heads(),
        }
    }

    fn float(&self, key: &str) -> Result<f64, GgufError> {
        match self.required(key)? {
            GgufValue::F32(value) => Ok(f64::from(*value)),
            GgufValue::F64(value) => Ok(*value),
            _ => Err(self.content_error(format!("'{key}' is no floating-point number"))),
        }
    }

    /// A scaled rotary embedding that was silently left out would give wrong states.
    fn refuse_rope_scaling(&self, architecture: &str) -> Result<(), GgufError> {
        let scaling = self.value(&format!("{architecture}.rope.scaling.type"));
        let kind = scaling.and_then(|value| value.to_string().ok()).map_or("none", String::as_str);
        if kind != "none" || self.has_rope_factors() {
            return Err(self.content_error(format!(
                "rotary scaling '{kind}' is not supported in GGUF; use the model's Hugging Face directory"
            )));
        }
        Ok(())
    }
}
