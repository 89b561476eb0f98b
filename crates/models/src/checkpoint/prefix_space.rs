//! The space before the first word, where a directory's `tokenizer_config.json` decides about it.
//!
//! A tokenizer.json says by itself how text becomes tokens, and the class `PreTrainedTokenizerFast` (in transformers 5:
//! `TokenizersBackend`) believes it. Some classes of transformers take the vocabulary alone from it and build the rest
//! anew, with `add_prefix_space` from tokenizer_config.json. Token ids are those of `AutoTokenizer`, so which class it
//! would take has to be known. Checked against transformers 5.23.

use std::path::Path;

use onejump_core::files;
use onejump_fetch::checkpoint::TOKENIZER_CONFIG;
use serde::Deserialize;
use serde_json::Value;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{NormalizerWrapper, Tokenizer};

use crate::ModelError;

/// What tokenizer_config.json says of the class and of the space.
#[derive(Debug, Default, Deserialize)]
struct TokenizerConfig {
    tokenizer_class: Option<String>,
    add_prefix_space: Option<bool>,
    legacy: Option<bool>,
}

/// How a class treats the space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// As tokenizer.json has it.
    AsWritten,
    /// `add_prefix_space` is set in the byte-level pre-tokenizer; without the key there is no space.
    ByteLevel,
    /// A Llama's: the space is a `▁` before the text; without the key there is one.
    Metaspace,
}

/// Sets the space before the first word as the class does that transformers takes for the directory. Returns whether it
/// was otherwise before.
pub(super) fn apply(dir: &Path, model_config: &Value, tokenizer: &mut Tokenizer) -> Result<bool, ModelError> {
    let path = dir.join(TOKENIZER_CONFIG);
    let config: TokenizerConfig =
        if path.is_file() { files::read_json(&path)? } else { TokenizerConfig::default() };
    let before = first_token(tokenizer);
    let named = config.tokenizer_class.as_deref().or(model_config["tokenizer_class"].as_str());
    let is_byte_level = tokenizer.get_pre_tokenizer().is_some_and(has_byte_level);
    match class(model_config["model_type"].as_str().unwrap_or_default(), named, is_byte_level) {
        Class::AsWritten => {}
        Class::ByteLevel => {
            if let Some(mut steps) = tokenizer.get_pre_tokenizer().cloned() {
                for byte_level in byte_levels(&mut steps) {
                    byte_level.add_prefix_space = config.add_prefix_space.unwrap_or(false);
                }
                tokenizer.with_pre_tokenizer(Some(steps));
            }
        }
        Class::Metaspace => {
            let scheme = match (config.add_prefix_space, config.legacy) {
                (Some(false), _) => PrependScheme::Never,
                (_, Some(true)) => PrependScheme::Always,
                _ => PrependScheme::First,
            };
            tokenizer.with_normalizer(None::<NormalizerWrapper>).map_err(|error| {
                ModelError::checkpoint(&path, format!("does not fit its tokenizer.json: {error}"))
            })?;
            tokenizer.with_pre_tokenizer(Some(Metaspace::new('▁', scheme, false)));
        }
    }
    Ok(first_token(tokenizer) != before)
}

/// The first token of a text of one letter, which shows whether a space comes before it.
fn first_token(tokenizer: &Tokenizer) -> Option<u32> {
    let encoding = tokenizer.encode("a", false).ok()?;
    encoding.get_ids().first().copied()
}

/// The class that transformers takes, by the model's type and by the class that the directory names.
fn class(model_type: &str, named: Option<&str>, is_byte_level: bool) -> Class {
    let named = named.map(|name| name.strip_suffix("Fast").unwrap_or(name));
    let name = match (model_type, named) {
        // The names in these families' directories are often wrong, so transformers ignores them.
        ("qwen2", _) => "Qwen2Tokenizer",
        ("mistral" | "phi3" | "olmo2" | "olmo3", _) => "TokenizersBackend",
        (_, Some(named)) => named,
        ("gpt2", None) => "GPT2Tokenizer",
        ("gpt_neox", None) => "GPTNeoXTokenizer",
        ("qwen3" | "qwen3_moe", None) => "Qwen2Tokenizer",
        _ => "TokenizersBackend",
    };
    match name {
        "GPT2Tokenizer" | "GPTNeoXTokenizer" | "Qwen2Tokenizer" | "CodeGenTokenizer" => Class::ByteLevel,
        // Llama 3 has this name too, but a byte-level tokenizer.
        "LlamaTokenizer" if !is_byte_level => Class::Metaspace,
        _ => Class::AsWritten,
    }
}

fn has_byte_level(steps: &PreTokenizerWrapper) -> bool {
    match steps {
        PreTokenizerWrapper::ByteLevel(_) => true,
        PreTokenizerWrapper::Sequence(sequence) => sequence.as_ref().iter().any(has_byte_level),
        _ => false,
    }
}

fn byte_levels(steps: &mut PreTokenizerWrapper) -> Vec<&mut ByteLevel> {
    match steps {
        PreTokenizerWrapper::ByteLevel(byte_level) => vec![byte_level],
        PreTokenizerWrapper::Sequence(sequence) => {
            sequence.as_mut().iter_mut().flat_map(byte_levels).collect()
        }
        _ => Vec::new(),
    }
}
