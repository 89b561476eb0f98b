//! A small random model and samples for it, made in a moment: for tests in which only the amount of
//! work counts.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::{Map, Value, json};
use tch::{Device, Kind, Tensor};

/// The sizes of a random Llama with one attention head.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// H.
    pub hidden: i64,
    /// K.
    pub blocks: i64,
    /// V.
    pub vocabulary: i64,
}

/// Writes a Hugging Face directory; the same sizes give the same bytes.
///
/// # Panics
/// If it cannot be written.
#[allow(clippy::unwrap_used)]
pub fn write_model(folder: &Path, sizes: Sizes) {
    let Sizes { hidden, blocks, vocabulary } = sizes;
    let width = hidden;
    fs::create_dir_all(folder).unwrap();
    let config = json!({
        "model_type": "llama", "vocab_size": vocabulary, "hidden_size": hidden, "intermediate_size": width,
        "num_hidden_layers": blocks, "num_attention_heads": 1, "max_position_embeddings": 16,
        "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": true,
    });
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let mut number = 0i64;
    let mut random = |size: &[i64], scale: f64| {
        number += 1;
        let count: i64 = size.iter().product();
        // Waves of a frequency without a period: as good as noise here, and the same everywhere.
        let angles =
            (Tensor::arange(count, (Kind::Double, Device::Cpu)) + number) * (12.9898 + number as f64);
        ((angles.sin() * 43758.5453).frac() * scale).to_kind(Kind::Float).reshape(size)
    };
    let matrix = 2.0 / (hidden as f64).sqrt();
    let ones = || Tensor::ones([hidden], (Kind::Float, Device::Cpu));
    let mut tensors = vec![
        ("model.embed_tokens.weight".to_owned(), random(&[vocabulary, hidden], 1.0)),
        ("model.norm.weight".to_owned(), ones()),
    ];
    for block in 0..blocks {
        let mut add =
            |name: &str, tensor| tensors.push((format!("model.layers.{block}.{name}.weight"), tensor));
        add("input_layernorm", ones());
        add("post_attention_layernorm", ones());
        for name in ["q_proj", "k_proj", "v_proj", "o_proj"] {
            add(&format!("self_attn.{name}"), random(&[hidden, hidden], matrix));
        }
        add("mlp.gate_proj", random(&[width, hidden], matrix));
        add("mlp.up_proj", random(&[width, hidden], matrix));
        add("mlp.down_proj", random(&[hidden, width], matrix));
    }
    Tensor::write_safetensors(&tensors, folder.join("model.safetensors")).unwrap();
}

/// Writes `samples` JSON lines of one to four tokens.
///
/// # Panics
/// If the file cannot be written.
#[allow(clippy::unwrap_used)]
pub fn write_samples(path: &Path, sizes: Sizes, samples: usize) {
    let mut text = String::new();
    for sample in 0..samples {
        let length = 1 + sample % 4;
        // Few samples are equal: their states hardly compress.
        let id = |place: usize| ((sample * 4 + place) as u32).wrapping_mul(2_654_435_769) >> 8;
        let ids: Vec<_> = (0..length).map(|place| i64::from(id(place)) % sizes.vocabulary).collect();
        text.push_str(&format!("{{\"input_ids\": {ids:?}, \"position\": {}}}\n", length - 1));
    }
    fs::write(path, text).unwrap();
}

/// Writes a tokenizer that knows a word for each token: `w17` is token 17.
///
/// # Panics
/// If the file cannot be written.
#[allow(clippy::unwrap_used)]
pub fn write_tokenizer(folder: &Path, sizes: Sizes) {
    let vocabulary: Map<String, Value> =
        (0..sizes.vocabulary).map(|token| (format!("w{token}"), token.into())).collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "w0"},
    });
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
}

/// Writes `texts` lines of one to eight words that a tokenizer of [`write_tokenizer`] knows.
///
/// # Panics
/// If the file cannot be written.
#[allow(clippy::unwrap_used)]
pub fn write_texts(path: &Path, sizes: Sizes, texts: usize) {
    let mut file = BufWriter::new(fs::File::create(path).unwrap());
    for text in 0..texts {
        let token = |place: usize| ((text * 8 + place) as u32).wrapping_mul(2_654_435_769) >> 8;
        let words: Vec<_> = (0..1 + text % 8)
            .map(|place| format!("w{}", i64::from(token(place)) % sizes.vocabulary))
            .collect();
        writeln!(file, "{}", words.join(" ")).unwrap();
    }
    file.flush().unwrap();
}
