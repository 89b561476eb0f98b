//! Against what other libraries read in the same files (`tests/golden/make_gguf.py` of the repository).

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};

use onejump_gguf::GgufFile;
use safetensors::SafeTensors;
use serde::Deserialize;

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(file)
}

/// Both sides multiply the same integers and scales in f32; the order of two products may differ: 2⁻²² of
/// the largest value of the tensor.
#[test]
fn quantised_tensors_are_the_gguf_packages() {
    let mut file = GgufFile::open(&golden("quants.gguf")).unwrap();
    let bytes = fs::read(golden("quants.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut names = tensors.names();
    names.sort_unstable();
    assert_eq!(names.len(), 13);
    for (index, name) in names.iter().enumerate() {
        let expected = tensors.tensor(name).unwrap();
        let values: Vec<f32> =
            expected.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let ours = file.tensor(&format!("model.layers.{index}.mlp.up_proj.weight")).unwrap();
        assert_eq!(ours.shape, expected.shape(), "{name}");
        let largest = values.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        let worst = ours.values.iter().zip(&values).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
        assert!(worst <= largest * 2f32.powi(-22), "{name}: {worst} of {largest}");
    }
}

#[derive(Deserialize)]
struct Encoded {
    text: String,
    ids: Vec<u32>,
}

fn same_ids(name: &str) {
    let tokenizer = GgufFile::open(&golden(&format!("{name}.gguf"))).unwrap().tokenizer().unwrap();
    let rows: Vec<Encoded> =
        serde_json::from_slice(&fs::read(golden(&format!("{name}.json"))).unwrap()).unwrap();
    assert!(rows.len() > 100);
    for Encoded { text, ids } in rows {
        let ours = tokenizer.encode(text.as_str(), true).unwrap();
        assert_eq!(ours.get_ids(), ids, "{text:?} became {:?}", ours.get_tokens());
        // The ids stand for the text: a composed character for the two that it is made of, and in SentencePiece a blank
        // for its own sign for it.
        let composed = text.replace("e\u{301}", "é");
        let sentencepiece = name == "sentencepiece";
        let meant = if sentencepiece { text.replace('\u{2581}', " ") } else { composed };
        // SentencePiece's begin with a token that no text has.
        assert_eq!(tokenizer.decode(&ids, sentencepiece).unwrap(), meant, "{name}");
    }
}

#[test]
fn sentencepiece_ids_are_sentencepieces() {
    same_ids("sentencepiece");
}

#[test]
fn gpt_neox_ids_are_transformers() {
    same_ids("gpt_neox");
}

#[test]
fn qwen2_ids_are_transformers() {
    same_ids("qwen2");
}
