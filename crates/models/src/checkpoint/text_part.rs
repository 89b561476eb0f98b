//! The language model inside a checkpoint that also sees images.

use serde_json::Value;

/// What such a checkpoint is called, and what its language model is called by itself.
const WRAPPERS: [(&str, &str); 1] = [("gemma3", "gemma3_text")];

/// Keys of the whole that are about images.
const IMAGES: [&str; 9] = [
    "boi_token_id",
    "boi_token_index",
    "eoi_token_id",
    "eoi_token_index",
    "image_token_id",
    "image_token_index",
    "mm_tokens_per_image",
    "text_config",
    "vision_config",
];

/// The configuration of the language model: its own section, and what the whole says beside it. Others are returned as
/// they are.
pub(super) fn of(config: Value) -> Value {
    let wrapper = WRAPPERS.iter().find(|(whole, _)| config["model_type"] == *whole);
    let (Some((_, model_type)), Some(text)) = (wrapper, config["text_config"].as_object()) else {
        return config;
    };
    let mut own = text.clone();
    own.insert("model_type".into(), (*model_type).into());
    for (key, value) in config.as_object().into_iter().flatten() {
        if !IMAGES.contains(&key.as_str()) {
            own.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    own.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_language_model_is_taken_out() {
        let whole = json!({
            "model_type": "gemma3", "image_token_index": 5, "architectures": ["A"], "next_year": 1,
            "text_config": {"model_type": "gemma3_text", "hidden_size": 48}, "vision_config": {"hidden_size": 9}
        });
        let text = json!({
            "model_type": "gemma3_text", "hidden_size": 48, "architectures": ["A"], "next_year": 1
        });
        assert_eq!(of(whole), text);
        // Another family's section stays where it is, and is refused.
        for other in [json!({"model_type": "llava", "text_config": {}}), json!({"model_type": "gemma3"})] {
            assert_eq!(of(other.clone()), other);
        }
    }
}
