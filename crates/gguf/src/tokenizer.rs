//! The tokenizer that the file's vocabulary and merges describe, as a `tokenizer.json`.

use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;

use crate::file::integer;
use crate::{GgufError, GgufFile};

/// `tokenizer.ggml.token_type` of a control token such as `<|im_start|>`.
const CONTROL: u64 = 3;
/// `tokenizer.ggml.token_type` of a token that the model's authors added as a whole.
const USER_DEFINED: u64 = 4;

/// Llama 3's split of a text into pieces.
const LLAMA_3_SPLIT: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

impl GgufFile {
    /// The tokenizer as a `tokenizer.json` of Hugging Face's `tokenizers` library.
    ///
    /// # Errors
    /// [`GgufError`] if the vocabulary is of a kind that is not known, or incomplete.
    pub fn tokenizer_json(&self) -> Result<Value, GgufError> {
        let model = self.string("tokenizer.ggml.model")?;
        if model != "gpt2" {
            return Err(self.content_error(format!(
                "tokenizer '{model}' is not supported in GGUF (known: gpt2, that is byte-level BPE); use the \
                 model's Hugging Face directory"
            )));
        }
        let tokens = self.strings("tokenizer.ggml.tokens")?;
        let merges = self.strings("tokenizer.ggml.merges")?;
        let vocabulary: Map<String, Value> =
            tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), id.into())).collect();
        Ok(json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": self.added_tokens(&tokens)?,
            "normalizer": null,
            "pre_tokenizer": self.pre_tokenizer()?,
            "post_processor": self.post_processor(&tokens)?,
            "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
            "model": {
                "type": "BPE",
                "dropout": null,
                "unk_token": null,
                "continuing_subword_prefix": null,
                "end_of_word_suffix": null,
                "fuse_unk": false,
                "byte_fallback": false,
                "ignore_merges": self.pre()? == "llama-bpe",
                "vocab": vocabulary,
                "merges": merges,
            },
        }))
    }

    /// The tokenizer, ready to encode.
    ///
    /// # Errors
    /// [`GgufError`] as [`GgufFile::tokenizer_json`], or if the parts do not fit together.
    pub fn tokenizer(&self) -> Result<Tokenizer, GgufError> {
        let json = self.tokenizer_json()?.to_string();
        Tokenizer::from_bytes(json.as_bytes())
            .map_err(|error| self.content_error(format!("its vocabulary makes no tokenizer: {error}")))
    }

    fn pre(&self) -> Result<&str, GgufError> {
        match self.value("tokenizer.ggml.pre") {
            Some(_) => self.string("tokenizer.ggml.pre"),
            None => Ok("default"),
        }
    }

    /// How a text is split before merging, which GGUF only names.
    fn pre_tokenizer(&self) -> Result<Value, GgufError> {
        let byte_level = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
        match self.pre()? {
            "gpt-2" | "default" => Ok(byte_level(true)),
            // Each digit is a piece of its own.
            "smollm" => Ok(json!({
                "type": "Sequence",
                "pretokenizers": [{"type": "Digits", "individual_digits": true}, byte_level(true)],
            })),
            "llama-bpe" => Ok(json!({
                "type": "Sequence",
                "pretokenizers": [
                    {"type": "Split", "pattern": {"Regex": LLAMA_3_SPLIT}, "behavior": "Isolated", "invert": false},
                    byte_level(false),
                ],
            })),
            other => Err(self.content_error(format!(
                "pre-tokenizer '{other}' is not known (known: gpt-2, smollm, llama-bpe); use the model's Hugging \
                 Face directory"
            ))),
        }
    }

    /// Control tokens and tokens that were added as a whole are never split.
    fn added_tokens(&self, tokens: &[&str]) -> Result<Vec<Value>, GgufError> {
        let key = "tokenizer.ggml.token_type";
        let types =
            self.required(key)?.to_vec().map_err(|_| self.content_error(format!("'{key}' is no list")))?;
        if types.len() != tokens.len() {
            return Err(self.content_error(format!(
                "has {} tokens, but {} types",
                tokens.len(),
                types.len()
            )));
        }
        let added = types.iter().zip(tokens).enumerate().filter_map(|(id, (kind, token))| {
            let kind = integer(kind)?;
            (kind == CONTROL || kind == USER_DEFINED).then(|| {
                json!({
                    "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": kind == CONTROL,
                })
            })
        });
        Ok(added.collect())
    }

    /// Puts the beginning-of-sequence token first where the file says so.
    fn post_processor(&self, tokens: &[&str]) -> Result<Value, GgufError> {
        let add = self.value("tokenizer.ggml.add_bos_token").and_then(|value| value.to_bool().ok());
        if add != Some(true) {
            return Ok(Value::Null);
        }
        let id = self.integer("tokenizer.ggml.bos_token_id")?;
        let token = usize::try_from(id).ok().and_then(|id| tokens.get(id)).ok_or_else(|| {
            self.content_error(format!("its beginning-of-sequence token {id} is outside the vocabulary"))
        })?;
        Ok(json!({
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": token, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {*token: {"id": token, "ids": [id], "tokens": [token]}},
        }))
    }
}
