//! Checkpoints of a published model's configuration with random bf16 weights, streamed to disk in shards,
//! with a tokenizer of bytes.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use onejump_core::files::{self, FileError};
use onejump_core::seed::{self, Purpose};
use rand_chacha::rand_core::Rng;
use serde_json::{Value, json};

/// Values of a shard, about: 4 GB.
const SHARD: u64 = 2_000_000_000;

/// Spread of the random weights, as these models are initialised.
const SPREAD: f32 = 0.02;

/// A tensor is filled from a table of as many normal values as there are 16-bit numbers.
const TABLE: usize = 1 << 16;

/// A model of the paper without its weights.
pub struct Checkpoint {
    pub name: &'static str,
    /// What to compute in: f32 where it fits into 24 GB beside everything else.
    pub dtype: &'static str,
    config: Value,
    tensors: Vec<(String, Vec<u64>)>,
}

/// The three models of the paper (§4), with the configurations that are published with them.
pub fn all() -> [Checkpoint; 3] {
    [gpt2_xl(), phi3_mini(), llama2_7b()]
}

fn gpt2_xl() -> Checkpoint {
    let (h, v, t) = (1600, 50257, 1024);
    let config = json!({
        "model_type": "gpt2", "vocab_size": v, "n_embd": h, "n_layer": 48, "n_head": 25, "n_positions": t,
        "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new",
    });
    let mut tensors = vec![("wte.weight".to_owned(), vec![v, h]), ("wpe.weight".to_owned(), vec![t, h])];
    for block in 0..48 {
        for (module, input, output) in [
            ("attn.c_attn", h, 3 * h),
            ("attn.c_proj", h, h),
            ("mlp.c_fc", h, 4 * h),
            ("mlp.c_proj", 4 * h, h),
        ] {
            tensors.push((format!("h.{block}.{module}.weight"), vec![input, output]));
            tensors.push((format!("h.{block}.{module}.bias"), vec![output]));
        }
        for norm in ["ln_1", "ln_2"] {
            tensors.extend(["weight", "bias"].map(|part| (format!("h.{block}.{norm}.{part}"), vec![h])));
        }
    }
    tensors.extend(["weight", "bias"].map(|part| (format!("ln_f.{part}"), vec![h])));
    Checkpoint { name: "gpt2-xl", dtype: "f32", config, tensors }
}

fn phi3_mini() -> Checkpoint {
    let (h, inner, v) = (3072, 8192, 32064);
    let config = json!({
        "model_type": "phi3", "vocab_size": v, "hidden_size": h, "intermediate_size": inner, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "sliding_window": 2047, "hidden_act": "silu", "tie_word_embeddings": false,
    });
    let modules = [
        ("self_attn.qkv_proj", 3 * h, h),
        ("self_attn.o_proj", h, h),
        ("mlp.gate_up_proj", 2 * inner, h),
        ("mlp.down_proj", h, inner),
    ];
    Checkpoint { name: "phi3-mini", dtype: "bf16", config, tensors: llama_like(32, h, v, &modules) }
}

fn llama2_7b() -> Checkpoint {
    let (h, inner, v) = (4096, 11008, 32000);
    let config = json!({
        "model_type": "llama", "vocab_size": v, "hidden_size": h, "intermediate_size": inner, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": false, "bos_token_id": 1,
    });
    let modules = [
        ("self_attn.q_proj", h, h),
        ("self_attn.k_proj", h, h),
        ("self_attn.v_proj", h, h),
        ("self_attn.o_proj", h, h),
        ("mlp.gate_proj", inner, h),
        ("mlp.up_proj", inner, h),
        ("mlp.down_proj", h, inner),
    ];
    Checkpoint { name: "llama2-7b", dtype: "bf16", config, tensors: llama_like(32, h, v, &modules) }
}

fn llama_like(blocks: u64, h: u64, v: u64, modules: &[(&str, u64, u64)]) -> Vec<(String, Vec<u64>)> {
    let mut tensors = vec![("model.embed_tokens.weight".to_owned(), vec![v, h])];
    for block in 0..blocks {
        let name = |module: &str| format!("model.layers.{block}.{module}.weight");
        tensors.extend(modules.iter().map(|(module, output, input)| (name(module), vec![*output, *input])));
        tensors.extend(["input_layernorm", "post_attention_layernorm"].map(|norm| (name(norm), vec![h])));
    }
    tensors.push(("model.norm.weight".to_owned(), vec![h]));
    tensors.push(("lm_head.weight".to_owned(), vec![v, h]));
    tensors
}

impl Checkpoint {
    /// How many values the tensors have.
    pub fn parameters(&self) -> u64 {
        self.tensors.iter().map(|(_, shape)| shape.iter().product::<u64>()).sum()
    }

    /// Writes config.json, tokenizer.json, the shards and their index.
    pub fn write(&self, folder: &Path) -> Result<()> {
        files::write_json(&folder.join("config.json"), &self.config)?;
        files::write_json(&folder.join("tokenizer.json"), &byte_tokenizer())?;
        let mut shards: Vec<Vec<&(String, Vec<u64>)>> = vec![Vec::new()];
        let mut filled = 0;
        for tensor in &self.tensors {
            let values: u64 = tensor.1.iter().product();
            if filled + values > SHARD && filled > 0 {
                shards.push(Vec::new());
                filled = 0;
            }
            filled += values;
            shards.last_mut().into_iter().for_each(|shard| shard.push(tensor));
        }
        let mut map = BTreeMap::new();
        for (index, shard) in shards.iter().enumerate() {
            let file = format!("model-{:05}-of-{:05}.safetensors", index + 1, shards.len());
            map.extend(shard.iter().map(|(name, _)| (name.clone(), file.clone())));
            write_shard(&folder.join(file), shard, index as u64)?;
        }
        let index = json!({"metadata": {}, "weight_map": map});
        Ok(files::write_json(&folder.join("model.safetensors.index.json"), &index)?)
    }
}

/// One safetensors file: the length of the header, the header, the values in its order.
fn write_shard(path: &Path, tensors: &[&(String, Vec<u64>)], index: u64) -> Result<()> {
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (name, shape) in tensors {
        let start = end;
        end += 2 * shape.iter().product::<u64>();
        header.insert(name.clone(), json!({"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}));
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut random = seed::stream(0, Purpose::Init, index);
    let table = normal_table(&mut random);
    let mut bytes = vec![0; 1 << 20];
    files::write_with(path, |writer| {
        let wrong = |source| FileError::Write { path: path.to_owned(), source };
        writer.write_all(&(header.len() as u64).to_le_bytes()).map_err(wrong)?;
        writer.write_all(&header).map_err(wrong)?;
        for (name, shape) in tensors {
            let mut left = 2 * shape.iter().product::<u64>() as usize;
            while left > 0 {
                let chunk = &mut bytes[..left.min(1 << 20)];
                fill(chunk, name, &table, &mut random);
                writer.write_all(chunk).map_err(wrong)?;
                left -= chunk.len();
            }
        }
        Ok::<(), FileError>(())
    })?;
    Ok(())
}

/// Fills bytes with bf16 values: 1 for a norm's weight, 0 for a bias, else random.
fn fill(bytes: &mut [u8], name: &str, table: &[u16], random: &mut impl Rng) {
    let norm = ["norm", "ln_1", "ln_2", "ln_f"].iter().any(|part| name.contains(part));
    if norm || name.ends_with(".bias") {
        let value = if name.ends_with(".bias") { 0 } else { bf16(1.0) };
        bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|pair| *pair = value.to_le_bytes());
        return;
    }
    random.fill_bytes(bytes);
    for pair in bytes.as_chunks_mut::<2>().0 {
        *pair = table[usize::from(u16::from_le_bytes(*pair))].to_le_bytes();
    }
}

/// Values of spread [`SPREAD`], close to normal: sums of twelve uniform ones.
fn normal_table(random: &mut impl Rng) -> Vec<u16> {
    let mut uniform = || random.next_u32() as f32 / u32::MAX as f32;
    (0..TABLE).map(|_| bf16(((0..12).map(|_| uniform()).sum::<f32>() - 6.0) * SPREAD)).collect()
}

/// The upper half of an f32, rounded to nearest.
fn bf16(value: f32) -> u16 {
    ((value.to_bits() + 0x8000) >> 16) as u16
}

/// A tokenizer with a token for each byte: these models' own are not at hand, and ids are ids.
fn byte_tokenizer() -> Value {
    // GPT-2's printable characters for the bytes: those that print stand for themselves, the others follow
    // U+0100 in order.
    let prints = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let mut vocabulary = serde_json::Map::new();
    let mut shifted = 0x100;
    for byte in 0..256 {
        let code = if prints(byte) {
            byte
        } else {
            shifted += 1;
            shifted - 1
        };
        let character = char::from_u32(code).unwrap_or_default();
        vocabulary.insert(character.to_string(), byte.into());
    }
    let byte_level =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": byte_level, "post_processor": null, "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": [],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parameter counts that are published with the models.
    #[test]
    fn the_models_have_their_published_sizes() {
        let counts = all().map(|model| model.parameters());
        assert_eq!(counts, [1_557_611_200, 3_821_079_552, 6_738_415_616]);
    }
}
