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

/// A model without its weights.
pub struct Checkpoint {
    pub name: &'static str,
    /// What to compute in: f32 where it fits into 24 GB beside everything else.
    pub dtype: &'static str,
    /// Its config.json.
    pub config: Value,
    /// The names and shapes of its tensors.
    pub tensors: Vec<(String, Vec<u64>)>,
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
