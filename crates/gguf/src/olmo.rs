//! What makes a file of the architecture `olmo2` an OLMo 3: a window in some of its blocks.

use candle_core::quantized::gguf_file::Value as GgufValue;
use serde_json::{Map, Value, json};

use crate::file::integer;
use crate::{GgufError, GgufFile};

/// Without a pattern in the file, each block of this many is without a window, the last of them.
const DEFAULT_PERIOD: u64 = 4;

impl GgufFile {
    /// Turns the configuration of an OLMo 2 into that of an OLMo 3 if the file has a window. Blocks with a window rotate
    /// with a base alone; a scaling is for the other blocks. (llama.cpp loads a base of their own, `rope.freq_base_swa`, and
    /// rotates with the other. What the file says is what the model was trained with, so it is honoured here.)
    pub(crate) fn olmo3(&self, config: &mut Map<String, Value>) -> Result<(), GgufError> {
        if !config.contains_key("sliding_window") {
            return Ok(());
        }
        config.insert("model_type".into(), "olmo3".into());
        let kind = |has_window: bool| if has_window { "sliding_attention" } else { "full_attention" };
        let kinds: Vec<_> = self.window_pattern()?.into_iter().map(kind).collect();
        config.insert("layer_types".into(), json!(kinds));
        let full = config.remove("rope_parameters").unwrap_or_default();
        let swa = self.own("rope.freq_base_swa")?;
        let theta =
            if self.value(&swa).is_some() { json!(self.float(&swa)?) } else { full["rope_theta"].clone() };
        let rotary = json!({"full_attention": full, "sliding_attention": {"rope_theta": theta}});
        config.insert("rope_parameters".into(), rotary);
        Ok(())
    }

    /// Whether each block has a window. A file has a list with a switch for each block, or the length of a period.
    fn window_pattern(&self) -> Result<Vec<bool>, GgufError> {
        let (key, blocks) =
            (self.own("attention.sliding_window_pattern")?, self.integer(&self.own("block_count")?)?);
        let periodic =
            |period: u64| (0..blocks).map(|block| period == 0 || block % period < period - 1).collect();
        let Some(value) = self.value(&key) else { return Ok(periodic(DEFAULT_PERIOD)) };
        let switch = |value: &GgufValue| match value {
            GgufValue::Bool(value) => Some(*value),
            value => integer(value).map(|value| value != 0),
        };
        let pattern = match value {
            GgufValue::Array(list) if list.len() as u64 == blocks => list.iter().map(switch).collect(),
            value => integer(value).map(periodic),
        };
        pattern.ok_or_else(|| {
            self.content_error(format!("'{key}' is no list of {blocks} switches, nor a period"))
        })
    }
}
