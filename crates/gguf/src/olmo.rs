//! What makes a file of the architecture `olmo2` an OLMo 3: a window in some of its blocks.

use serde_json::{Map, Value};

use crate::{GgufError, GgufFile};

/// Without a pattern in the file, each block of this many is without a window, the last of them.
const DEFAULT_PERIOD: u64 = 4;

impl GgufFile {
    /// Turns the configuration of an OLMo 2 into that of an OLMo 3 if the file has a window.
    pub(crate) fn olmo3(&self, config: &mut Map<String, Value>) -> Result<(), GgufError> {
        if !config.contains_key("sliding_window") {
            return Ok(());
        }
        config.insert("model_type".into(), "olmo3".into());
        self.kinds_of_blocks(config, DEFAULT_PERIOD)?;
        let theta = config["rope_parameters"]["rope_theta"].clone();
        self.rotary_by_kind(config, theta)
    }
}
