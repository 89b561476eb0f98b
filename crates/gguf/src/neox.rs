//! The configuration of GPT-NeoX and Pythia.

use serde_json::{Map, Value, json};

use crate::config::share;
use crate::{GgufError, GgufFile};

impl GgufFile {
    /// The values of a `gptneox` file. It does not say which gelu a model has: llama.cpp approximates it by tanh, Pythia's
    /// is exact, and that is what is taken. (GPT-NeoX-20B's `gelu_fast` differs by up to 5e-4 in each value.)
    pub(crate) fn gptneox(&mut self, config: &mut Map<String, Value>) -> Result<(), GgufError> {
        for (key, name) in [
            ("hidden_size", "embedding_length"),
            ("intermediate_size", "feed_forward_length"),
            ("num_hidden_layers", "block_count"),
            ("max_position_embeddings", "context_length"),
            ("num_attention_heads", "attention.head_count"),
        ] {
            config.insert(key.into(), self.integer(&self.own(name)?)?.into());
        }
        self.check_plain_attention()?;
        let width = self.integer(&self.own("embedding_length")?)? / (self.heads()? as u64).max(1);
        for name in ["attention.key_length", "attention.value_length"] {
            if self.optional(name)?.is_some_and(|own| own != width) {
                return Err(self.refused(&self.own(name)?));
            }
        }
        let parallel = self.own("use_parallel_residual")?;
        let Some(is_parallel) = self.number(&parallel) else {
            return Err(self.content_error(format!("lacks the metadata '{parallel}'")));
        };
        config.insert("use_parallel_residual".into(), (is_parallel != 0.0).into());
        let epsilon = self.float(&self.own("attention.layer_norm_epsilon")?)?;
        config.insert("layer_norm_eps".into(), json!(epsilon));
        config.insert("hidden_act".into(), "gelu".into());
        config.insert("attention_bias".into(), self.has("blk.0.attn_qkv.bias").into());
        config.insert("tie_word_embeddings".into(), (!self.has_tensor("embed_out.weight")).into());
        let rotated = self.optional("rope.dimension_count")?.unwrap_or(width);
        let rotary = self.rotary(share(rotated, width))?;
        config.insert("rope_parameters".into(), rotary);
        Ok(())
    }
}
