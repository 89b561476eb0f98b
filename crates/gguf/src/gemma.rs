//! What makes a file's configuration that of a Gemma 2 or 3. Files do not name the scale of the queries, nor all of the
//! kinds of blocks: llama.cpp knows them by the model's size, and so does this.

use serde_json::{Map, Value, json};

use crate::{GgufError, GgufFile};

/// Every so many blocks there is one without a window.
const PERIODS: [(&str, u64); 2] = [("gemma2", 2), ("gemma3", 6)];

/// The blocks of the 27-billion models, whose queries are scaled by the width of the model over its heads; the others by
/// the width of a head.
const BLOCKS_OF_27B: [(&str, u64); 2] = [("gemma2", 46), ("gemma3", 62)];

/// Gemma 2's soft-caps and window where a file has none.
const GEMMA2_CAPS: [(&str, f64); 2] = [("attn_logit_softcapping", 50.0), ("final_logit_softcapping", 30.0)];
const GEMMA2_WINDOW: u64 = 4096;

/// Gemma 3's base of the rotary embedding of blocks with a window.
const GEMMA3_THETA: f64 = 10_000.0;

impl GgufFile {
    /// Completes what a Llama's file would say.
    pub(crate) fn gemma(&mut self, config: &mut Map<String, Value>) -> Result<(), GgufError> {
        let architecture = self.architecture()?.to_owned();
        let of = |table: &[(&str, u64)]| {
            table.iter().find(|(name, _)| *name == architecture).map_or(0, |(_, value)| *value)
        };
        config.remove("hidden_act");
        config.insert("hidden_activation".into(), "gelu_pytorch_tanh".into());
        let (blocks, heads) = (self.integer(&self.own("block_count")?)?, self.heads()? as u64);
        let width = self.integer(&self.own("embedding_length")?)?;
        let scale = if blocks == of(&BLOCKS_OF_27B) { width / heads.max(1) } else { self.head_width()? };
        config.insert("query_pre_attn_scalar".into(), scale.into());
        if architecture == "gemma2" {
            config.entry("sliding_window").or_insert(GEMMA2_WINDOW.into());
            for (name, default) in GEMMA2_CAPS {
                let key = self.own(name)?;
                config.insert(name.into(), json!(self.number(&key).unwrap_or(default)));
            }
        } else {
            config.insert("model_type".into(), "gemma3_text".into());
            let cap = self.own("final_logit_softcapping")?;
            // llama.cpp takes 0 for none.
            if let Some(cap) = self.number(&cap).filter(|&cap| cap != 0.0) {
                config.insert("final_logit_softcapping".into(), json!(cap));
            }
            self.rotary_by_kind(config, json!(GEMMA3_THETA))?;
        }
        self.kinds_of_blocks(config, of(&PERIODS))
    }
}
