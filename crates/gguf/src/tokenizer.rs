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

/// Qwen's split of a text into pieces: Llama 3's, but each digit alone.
const QWEN_SPLIT: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The values of `tokenizer.ggml.pre` of models with Qwen's tokenizer.
const QWEN_PRE: [&str; 2] = ["qwen2", "deepseek-r1-qwen"];

impl GgufFile {
    /// The tokenizer as a `tokenizer.json` of Hugging Face's `tokenizers` library.
    ///
    /// # Errors
    /// [`GgufError`] if the vocabulary is of a kind that is not known, or incomplete.
    pub fn tokenizer_json(&self) -> Result<Value, GgufError> {
        let tokens = self.strings("tokenizer.ggml.tokens")?;
        let types = self.token_types(tokens.len())?;
        let (normalizer, pre_tokenizer, model) = match self.string("tokenizer.ggml.model")? {
            "gpt2" => (self.normalizer()?, self.pre_tokenizer()?, self.byte_level(&tokens)?),
            "llama" => {
                let (normalizer, model) = self.sentencepiece(&tokens, &types)?;
                (normalizer, Value::Null, model)
            }
            other => {
                return Err(self.content_error(format!(
                    "tokenizer '{other}' is not supported in GGUF (known: gpt2, that is byte-level BPE, and llama, \
                     that is SentencePiece); use the model's Hugging Face directory"
                )));
            }
        };
        Ok(json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added_tokens(&tokens, &types),
            "normalizer": normalizer,
            "pre_tokenizer": pre_tokenizer,
            "post_processor": self.post_processor(&tokens)?,
            "decoder": null,
            "model": model,
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

    /// Byte-level BPE.
    fn byte_level(&self, tokens: &[&str]) -> Result<Value, GgufError> {
        let vocabulary: Map<String, Value> =
            tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), id.into())).collect();
        Ok(json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": self.pre()? == "llama-bpe",
            "vocab": vocabulary,
            "merges": self.strings("tokenizer.ggml.merges")?,
        }))
    }

    fn pre(&self) -> Result<&str, GgufError> {
        match self.value("tokenizer.ggml.pre") {
            Some(_) => self.string("tokenizer.ggml.pre"),
            None => Ok("default"),
        }
    }

    /// Qwen's tokenizers compose characters. llama.cpp does not, but the models were trained with it.
    fn normalizer(&self) -> Result<Value, GgufError> {
        Ok(if QWEN_PRE.contains(&self.pre()?) { json!({"type": "NFC"}) } else { Value::Null })
    }

    /// How a text is split before merging, which GGUF only names.
    fn pre_tokenizer(&self) -> Result<Value, GgufError> {
        let split = |pattern: &str, byte_level: Value| {
            let split = json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
            json!({"type": "Sequence", "pretokenizers": [split, byte_level]})
        };
        let byte_level = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
        match self.pre()? {
            "gpt-2" | "default" => Ok(byte_level(true)),
            // Each digit is a piece of its own.
            "smollm" => Ok(json!({
                "type": "Sequence",
                "pretokenizers": [{"type": "Digits", "individual_digits": true}, byte_level(true)],
            })),
            "llama-bpe" => Ok(split(LLAMA_3_SPLIT, byte_level(false))),
            pre if QWEN_PRE.contains(&pre) => Ok(split(QWEN_SPLIT, byte_level(false))),
            other => Err(self.content_error(format!(
                "pre-tokenizer '{other}' is not known (known: gpt-2, smollm, llama-bpe, qwen2); use the model's Hugging \
                 Face directory"
            ))),
        }
    }

    fn token_types(&self, count: usize) -> Result<Vec<u64>, GgufError> {
        let key = "tokenizer.ggml.token_type";
        let wrong = || self.content_error(format!("'{key}' is no list of {count} whole numbers"));
        let list = self.required(key)?.to_vec().map_err(|_| wrong())?;
        let types: Option<Vec<u64>> = list.iter().map(integer).collect();
        types.filter(|types| types.len() == count).ok_or_else(wrong)
    }

    /// Puts the beginning-of-sequence token first where the file says so, and where it says nothing and
    /// llama.cpp does it.
    fn post_processor(&self, tokens: &[&str]) -> Result<Value, GgufError> {
        let add = self.value("tokenizer.ggml.add_bos_token").and_then(|value| value.to_bool().ok());
        let by_default = self.string("tokenizer.ggml.model")? == "llama" || self.pre()? == "llama-bpe";
        if !add.unwrap_or(by_default) {
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

/// Control tokens and tokens that were added as a whole are never split.
fn added_tokens(tokens: &[&str], types: &[u64]) -> Vec<Value> {
    let added = types.iter().zip(tokens).enumerate();
    let added = added.filter(|(_, (kind, _))| [CONTROL, USER_DEFINED].contains(kind));
    added
        .map(|(id, (&kind, token))| {
            json!({
                "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": kind == CONTROL,
            })
        })
        .collect()
}
