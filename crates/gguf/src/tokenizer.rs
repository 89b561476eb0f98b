//! The tokenizer that the file's vocabulary and merges describe, as a `tokenizer.json`.

use candle_core::quantized::gguf_file::Value as GgufValue;
use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;

use crate::file::integer;
use crate::sentencepiece::UNKNOWN;
use crate::{GgufError, GgufFile};

/// `tokenizer.ggml.token_type` of a control token such as `<|im_start|>`.
const CONTROL: u64 = 3;
/// `tokenizer.ggml.token_type` of a token that the model's authors added as a whole.
const USER_DEFINED: u64 = 4;

/// Llama 3's split of a text into pieces.
const LLAMA_3_SPLIT: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The values of `tokenizer.ggml.pre` of models with Llama 3's tokenizer.
const LLAMA_3_PRE: [&str; 3] = ["llama-bpe", "llama3", "llama-v3"];

/// Qwen's split of a text into pieces: Llama 3's, but each digit alone.
const QWEN_SPLIT: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The id of `<|endoftext|>` in Qwen's vocabularies.
const QWEN_END: usize = 151_643;

/// The values of `tokenizer.ggml.pre` of models with Qwen's tokenizer.
const QWEN_PRE: [&str; 2] = ["qwen2", "deepseek-r1-qwen"];

/// The value of `tokenizer.ggml.pre` of models with GPT-NeoX's tokenizer: Pythia, and the first OLMo.
const NEOX_PRE: &str = "olmo";

impl GgufFile {
    /// The tokenizer as a `tokenizer.json` of Hugging Face's `tokenizers` library.
    ///
    /// # Errors
    /// [`GgufError`] if the vocabulary is of a kind that is not known, or incomplete.
    pub fn tokenizer_json(&self) -> Result<Value, GgufError> {
        let tokens = self.strings("tokenizer.ggml.tokens")?;
        let types = self.token_types(tokens.len())?;
        let (normalizer, pre_tokenizer, model, decoder) = match self.string("tokenizer.ggml.model")? {
            "gpt2" => {
                self.warn_of_assumption()?;
                let decoder = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true});
                (self.normalizer()?, self.pre_tokenizer()?, self.byte_level(&tokens)?, decoder)
            }
            "llama" => {
                let (normalizer, model) = self.sentencepiece(&tokens, &types)?;
                (normalizer, Value::Null, model, self.sentencepiece_decoder())
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
            "decoder": decoder,
            "model": model,
        }))
    }

    /// The tokenizer, ready to encode and to decode.
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
            "ignore_merges": LLAMA_3_PRE.contains(&self.pre()?),
            "vocab": vocabulary,
            "merges": self.strings("tokenizer.ggml.merges")?,
        }))
    }

    /// How a text is split before merging. Files from before May 2024 do not say it; Llama 3's and Qwen's
    /// vocabularies show it.
    fn pre(&self) -> Result<&str, GgufError> {
        if self.value("tokenizer.ggml.pre").is_some() {
            return self.string("tokenizer.ggml.pre");
        }
        let tokens = self.required("tokenizer.ggml.tokens")?.to_vec().map_or(&[][..], Vec::as_slice);
        let is = |token: &GgufValue, text: &str| matches!(token, GgufValue::String(token) if token == text);
        let ends_qwen = tokens.get(QWEN_END).is_some_and(|token| is(token, "<|endoftext|>"));
        Ok(if tokens.iter().any(|token| is(token, "<|begin_of_text|>")) {
            "llama-bpe"
        } else if ends_qwen {
            "qwen2"
        } else if self.architecture()? == "gpt2" {
            "gpt-2"
        } else {
            "default"
        })
    }

    /// Says what is assumed where a file does not say how texts are split.
    fn warn_of_assumption(&self) -> Result<(), GgufError> {
        let pre = self.pre()?;
        let split = match pre {
            "llama-bpe" => "Llama 3's",
            "qwen2" => "Qwen's",
            _ => "GPT-2's",
        };
        let named = self.value("tokenizer.ggml.pre").is_some();
        if pre == "default" || !named && pre != "gpt-2" {
            let says = if named { "has only 'default' as" } else { "lacks" };
            tracing::warn!(
                "the GGUF file {says} tokenizer.ggml.pre, which names how a text is split into words; judged by the \
                 vocabulary, {split} split is assumed. If that is wrong, token ids are wrong: prefer a newer GGUF file \
                 or the model's Hugging Face directory"
            );
        }
        Ok(())
    }

    /// Qwen's and GPT-NeoX's tokenizers compose characters. llama.cpp does not, but the models were trained with it.
    fn normalizer(&self) -> Result<Value, GgufError> {
        let pre = self.pre()?;
        Ok(if pre == NEOX_PRE || QWEN_PRE.contains(&pre) { json!({"type": "NFC"}) } else { Value::Null })
    }

    /// How a text is split before merging, which GGUF only names.
    fn pre_tokenizer(&self) -> Result<Value, GgufError> {
        let split = |pattern: &str, byte_level: Value| {
            let split = json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
            json!({"type": "Sequence", "pretokenizers": [split, byte_level]})
        };
        let byte_level = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
        match self.pre()? {
            "gpt-2" | "default" | NEOX_PRE => Ok(byte_level(true)),
            // Each digit is a piece of its own.
            "smollm" => Ok(json!({
                "type": "Sequence",
                "pretokenizers": [{"type": "Digits", "individual_digits": true}, byte_level(true)],
            })),
            pre if LLAMA_3_PRE.contains(&pre) => Ok(split(LLAMA_3_SPLIT, byte_level(false))),
            pre if QWEN_PRE.contains(&pre) => Ok(split(QWEN_SPLIT, byte_level(false))),
            other => Err(self.content_error(format!(
                "pre-tokenizer '{other}' is not known (known: gpt-2, olmo, smollm, llama-bpe, qwen2); use the model's Hugging \
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

    /// Puts the beginning-of-sequence token first and the end-of-sequence token last where the file says so; the first
    /// also where the file says nothing and llama.cpp does it.
    fn post_processor(&self, tokens: &[&str]) -> Result<Value, GgufError> {
        let spm = self.string("tokenizer.ggml.model")? == "llama";
        let bos_by_default = spm || LLAMA_3_PRE.contains(&self.pre()?);
        let first = self.added(tokens, "bos", bos_by_default)?;
        let last = self.added(tokens, "eos", false)?;
        if first.is_none() && last.is_none() {
            return Ok(Value::Null);
        }
        let piece = |token: &str| json!({"SpecialToken": {"id": token, "type_id": 0}});
        let mut single: Vec<Value> = first.iter().map(|(_, token)| piece(token)).collect();
        single.push(json!({"Sequence": {"id": "A", "type_id": 0}}));
        single.extend(last.iter().map(|(_, token)| piece(token)));
        let special: Map<String, Value> = first
            .iter()
            .chain(&last)
            .map(|(id, token)| ((*token).into(), json!({"id": token, "ids": [id], "tokens": [token]})))
            .collect();
        Ok(json!({
            "type": "TemplateProcessing",
            "single": single,
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": special,
        }))
    }

    /// The token `bos` or `eos`, if each text gets it.
    fn added<'a>(
        &self,
        tokens: &[&'a str],
        which: &str,
        by_default: bool,
    ) -> Result<Option<(u64, &'a str)>, GgufError> {
        let key = format!("tokenizer.ggml.add_{which}_token");
        let add = match self.value(&key) {
            Some(value) => value
                .to_bool()
                .map_err(|_| self.content_error(format!("'{key}' is neither true nor false")))?,
            None => by_default,
        };
        if !add {
            return Ok(None);
        }
        let id = self.integer(&format!("tokenizer.ggml.{which}_token_id"))?;
        let token = usize::try_from(id).ok().and_then(|id| tokens.get(id)).ok_or_else(|| {
            let name = if which == "bos" { "beginning" } else { "end" };
            self.content_error(format!("its {name}-of-sequence token {id} is outside the vocabulary"))
        })?;
        Ok(Some((id, token)))
    }
}

/// Control tokens, the unknown token and tokens that were added as a whole are never split: `<unk>` in a text, as
/// WikiText has it, is the token.
fn added_tokens(tokens: &[&str], types: &[u64]) -> Vec<Value> {
    let added = types.iter().zip(tokens).enumerate();
    let added = added.filter(|(_, (kind, _))| [UNKNOWN, CONTROL, USER_DEFINED].contains(kind));
    added
        .map(|(id, (&kind, token))| {
            json!({
                "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": kind != USER_DEFINED,
            })
        })
        .collect()
}
