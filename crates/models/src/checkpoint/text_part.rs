//! The language model inside a checkpoint that also sees images.

use std::path::Path;

use serde_json::Value;

use crate::ModelError;

/// What such a checkpoint is called, and what its language model is called by itself.
const WRAPPERS: [(&str, &str); 1] = [("gemma3", "gemma3_text")];

/// Says whether the whole's head is its embedding, and is believed; transformers' default is that it is.
const TIED: &str = "tie_word_embeddings";

/// Keys of the language model that its own class honours and the whole's does not.
const ALONE: [&str; 1] = ["final_logit_softcapping"];

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
///
/// # Errors
/// [`ModelError`] if the whole and the language model by itself would answer differently.
pub(super) fn of(path: &Path, config: Value) -> Result<Value, ModelError> {
    let wrapper = WRAPPERS.iter().find(|(whole, _)| config["model_type"] == *whole);
    let (Some((whole, model_type)), Some(text)) = (wrapper, config["text_config"].as_object()) else {
        return Ok(config);
    };
    let honoured_alone = |key: &&str| text.get(*key).is_some_and(|value| !value.is_null());
    if let Some(key) = ALONE.iter().find(|key| honoured_alone(key)) {
        let value = &text[*key];
        return Err(ModelError::checkpoint(
            path,
            format!(
                "text_config has {key} {value}, which a {whole} model ignores and a {model_type} honours; take the \
                 {model_type} checkpoint, or set it to null"
            ),
        ));
    }
    let mut own = text.clone();
    own.insert("model_type".into(), (*model_type).into());
    own.insert(TIED.into(), config.get(TIED).cloned().unwrap_or(Value::Bool(true)));
    for (key, value) in config.as_object().into_iter().flatten() {
        if !IMAGES.contains(&key.as_str()) {
            own.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    Ok(own.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn part(config: Value) -> Result<Value, String> {
        of(Path::new("m"), config).map_err(|error| error.to_string())
    }

    #[test]
    fn the_language_model_is_taken_out() {
        let whole = json!({
            "model_type": "gemma3", "image_token_index": 5, "architectures": ["A"], "next_year": 1,
            "text_config": {"model_type": "gemma3_text", "hidden_size": 48, "final_logit_softcapping": null},
            "vision_config": {"hidden_size": 9}
        });
        let text = json!({
            "model_type": "gemma3_text", "hidden_size": 48, "final_logit_softcapping": null,
            "tie_word_embeddings": true, "architectures": ["A"], "next_year": 1
        });
        assert_eq!(part(whole).unwrap(), text);
        // Another family's section stays where it is, and is refused.
        for other in [json!({"model_type": "llava", "text_config": {}}), json!({"model_type": "gemma3"})] {
            assert_eq!(part(other.clone()).unwrap(), other);
        }
    }

    #[test]
    fn the_whole_says_whether_its_head_is_the_embedding() {
        let tied = |whole: Value, text: bool| {
            let mut config = json!({"model_type": "gemma3", "text_config": {"tie_word_embeddings": text}});
            if !whole.is_null() {
                config["tie_word_embeddings"] = whole;
            }
            part(config).unwrap()["tie_word_embeddings"].clone()
        };
        assert_eq!(
            [tied(json!(false), true), tied(json!(true), false), tied(Value::Null, false)],
            [false, true, true]
        );
    }

    #[test]
    fn a_soft_cap_that_the_whole_ignores_is_refused() {
        let config = json!({"model_type": "gemma3", "text_config": {"final_logit_softcapping": 30.0}});
        let said = part(config).unwrap_err();
        assert!(said.contains("final_logit_softcapping 30.0, which a gemma3 model ignores"), "{said}");
    }
}
