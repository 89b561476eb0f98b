//! Where a checkpoint keeps its template and the tokens that it names.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use onejump_core::files::{self, FileError};
use onejump_fetch::checkpoint::{CHAT_TEMPLATE, TOKENIZER_CONFIG};
use onejump_gguf::GgufFile;
use serde_json::Value;

use super::ChatTemplate;
use crate::ModelError;

/// How a named token's key ends in `tokenizer_config.json`.
const TOKEN: &str = "_token";

/// The template among several that is for conversations without tools.
const DEFAULT: &str = "default";

/// A directory's: `chat_template.jinja`, or the text in `tokenizer_config.json`.
pub(crate) fn directory(path: &Path) -> Result<ChatTemplate, ModelError> {
    let (file, config_file) = (path.join(CHAT_TEMPLATE), path.join(TOKENIZER_CONFIG));
    let config: Value = if config_file.is_file() { files::read_json(&config_file)? } else { Value::Null };
    let missing = || ModelError::NoChatTemplate { path: path.to_owned() };
    if file.is_file() {
        let source = fs::read_to_string(&file).map_err(FileError::reading(&file))?;
        return ChatTemplate::new(file, &source, named_tokens(&config));
    }
    let source = in_config(&config["chat_template"]).ok_or_else(missing)?;
    ChatTemplate::new(config_file, source, named_tokens(&config))
}

/// A file's.
pub(crate) fn gguf(path: &Path, gguf: &GgufFile) -> Result<ChatTemplate, ModelError> {
    let missing = || ModelError::NoChatTemplate { path: path.to_owned() };
    let source = gguf.chat_template()?.ok_or_else(missing)?;
    let tokens = gguf.named_tokens()?.into_iter().map(|(name, text)| (name.to_owned(), text));
    ChatTemplate::new(path.to_owned(), source, tokens.collect())
}

/// One text, or a list of them with names.
fn in_config(template: &Value) -> Option<&str> {
    let Value::Array(templates) = template else { return template.as_str() };
    templates.iter().find(|template| template["name"] == DEFAULT)?["template"].as_str()
}

/// `"bos_token": "<s>"`, or the text inside an object.
fn named_tokens(config: &Value) -> BTreeMap<String, String> {
    let entries = config.as_object().into_iter().flatten().filter(|(name, _)| name.ends_with(TOKEN));
    let text = |token: &Value| token.as_str().or_else(|| token["content"].as_str()).map(str::to_owned);
    entries.filter_map(|(name, token)| Some((name.clone(), text(token)?))).collect()
}
