//! Blocks with and without a window, and their rotary embeddings, as OLMo 3 and Gemma have them.

use candle_core::quantized::gguf_file::Value as GgufValue;
use serde_json::{Map, Value, json};

use crate::file::integer;
use crate::{GgufError, GgufFile};

impl GgufFile {
    /// `layer_types`: the file's pattern, or by `period` where it has none.
    pub(crate) fn kinds_of_blocks(
        &self,
        config: &mut Map<String, Value>,
        period: u64,
    ) -> Result<(), GgufError> {
        let kind = |has_window: bool| if has_window { "sliding_attention" } else { "full_attention" };
        let kinds: Vec<_> = self.window_pattern(period)?.into_iter().map(kind).collect();
        config.insert("layer_types".into(), json!(kinds));
        Ok(())
    }

    /// Gives each kind of block its `rope_parameters`. Blocks with a window rotate with a base alone, `theta` where the
    /// file names none; a scaling is for the other blocks. (Of an OLMo 3 llama.cpp loads a base of their own,
    /// `rope.freq_base_swa`, and rotates with the other. What the file says is what the model was trained with, so it is
    /// honoured here.)
    pub(crate) fn rotary_by_kind(
        &self,
        config: &mut Map<String, Value>,
        theta: Value,
    ) -> Result<(), GgufError> {
        let key = self.own("rope.freq_base_swa")?;
        let theta = if self.value(&key).is_some() { json!(self.float(&key)?) } else { theta };
        let full = config.remove("rope_parameters").unwrap_or_default();
        let rotary = json!({"full_attention": full, "sliding_attention": {"rope_theta": theta}});
        config.insert("rope_parameters".into(), rotary);
        Ok(())
    }

    /// Whether each block has a window. A file has a list with a switch for each block, or the length of a period, whose
    /// last block has none.
    fn window_pattern(&self, period: u64) -> Result<Vec<bool>, GgufError> {
        let (key, blocks) =
            (self.own("attention.sliding_window_pattern")?, self.integer(&self.own("block_count")?)?);
        let periodic =
            |period: u64| (0..blocks).map(|block| period == 0 || block % period < period - 1).collect();
        let Some(value) = self.value(&key) else { return Ok(periodic(period)) };
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
