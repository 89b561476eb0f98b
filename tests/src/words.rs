//! Small checkpoints whose tokenizers know some words.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::folder;

/// Six words; the first stands for all others.
pub const WORDS: [&str; 6] = ["<unk>", "<s>", "</s>", "the", "quick", "fox"];

/// A checkpoint of `parity/cases` with 96 tokens, whose tokenizer has a word for each of the first ids, and these special
/// tokens around a sentence.
///
/// # Panics
/// If it cannot be written.
#[allow(clippy::unwrap_used)]
pub fn checkpoint(base: &str, words: &[&str], around: [Option<&str>; 2]) -> tempfile::TempDir {
    let made = tempfile::tempdir().unwrap();
    let base = folder().join("parity/cases").join(base);
    for file in ["config.json", "model.safetensors"] {
        fs::copy(base.join(file), made.path().join(file)).unwrap();
    }
    let id = |word: &str| words.iter().position(|known| *known == word).unwrap();
    let vocabulary: Map<String, Value> =
        words.iter().map(|word| ((*word).to_owned(), id(word).into())).collect();
    let special = |word: &str| (word.to_owned(), json!({"id": word, "ids": [id(word)], "tokens": [word]}));
    let [first, last] =
        around.map(|word| word.map(|word| json!({"SpecialToken": {"id": word, "type_id": 0}})));
    let sentence = json!({"Sequence": {"id": "A", "type_id": 0}});
    let single: Vec<Value> = first.into_iter().chain([sentence.clone()]).chain(last).collect();
    let tokens: Map<String, Value> = around.into_iter().flatten().map(special).collect();
    let added: Vec<Value> = around
        .into_iter()
        .flatten()
        .map(|word| {
            json!({"id": id(word), "content": word, "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": true})
        })
        .collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "decoder": null,
        "post_processor": {"type": "TemplateProcessing", "single": single,
                           "pair": [sentence, {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": tokens},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": words[0]},
    });
    fs::write(made.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    made
}

/// Changes keys of config.json.
///
/// # Panics
/// If it cannot be written.
#[allow(clippy::unwrap_used)]
pub fn configure(model: &Path, changes: Value) {
    let path = model.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    fs::write(path, config.to_string()).unwrap();
}
