//! What a file says about conversations.

use crate::{GgufError, GgufFile};

/// The tokens with a name that templates know: llama.cpp's key, and the template's.
const NAMED: [(&str, &str); 4] = [
    ("bos_token_id", "bos_token"),
    ("eos_token_id", "eos_token"),
    ("unknown_token_id", "unk_token"),
    ("padding_token_id", "pad_token"),
];

impl GgufFile {
    /// The Jinja template of a conversation, where there is one.
    ///
    /// # Errors
    /// [`GgufError`] if it is no text.
    pub fn chat_template(&self) -> Result<Option<&str>, GgufError> {
        let key = "tokenizer.chat_template";
        if self.value(key).is_some() { self.string(key).map(Some) } else { Ok(None) }
    }

    /// The tokens with a name that templates know: `bos_token` and others, with their texts.
    ///
    /// # Errors
    /// [`GgufError`] if one is not in the vocabulary.
    pub fn named_tokens(&self) -> Result<Vec<(&'static str, String)>, GgufError> {
        let vocabulary = self.strings("tokenizer.ggml.tokens")?;
        let mut named = Vec::new();
        for (key, name) in NAMED {
            let key = format!("tokenizer.ggml.{key}");
            if self.value(&key).is_none() {
                continue;
            }
            let id = self.integer(&key)?;
            let text = vocabulary.get(id as usize).ok_or_else(|| {
                self.content_error(format!("'{key}' is {id}; the vocabulary has {} tokens", vocabulary.len()))
            })?;
            named.push((name, (*text).to_owned()));
        }
        Ok(named)
    }
}
