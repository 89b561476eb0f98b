//! The second real model, Gemma 3 270M: token ids against llama.cpp, states against Hugging Face transformers
//! (`golden/make_gemma3.py`). It is 240 MB to download, so these run when they are asked for, and not otherwise:
//!
//! `cargo test --release --package onejump-tests --test gemma3 -- --ignored`

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use onejump_core::files::sha256_bytes;
use onejump_exit::{ExitHead, SharedHead};
use onejump_fetch::builtin::GEMMA3_270M;
use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::Place;
use onejump_models::head::Head;
use onejump_models::session::{self, Model};
use onejump_models::transformer::Transformer;
use onejump_tests::{Tensors, golden, relative_error, repository};
use serde_json::{Value, json};
use tch::Tensor;

/// What llama.cpp makes of texts.
fn golden_ids() -> Value {
    serde_json::from_slice(&fs::read(golden("gemma3_ids.json")).unwrap()).unwrap()
}

#[test]
#[ignore = "downloads 240 MB"]
fn token_ids_are_llama_cpps() {
    let tokenizer = Checkpoint::open(GEMMA3_270M.name).unwrap().tokenizer().unwrap();
    let ids = |text: &str| tokenizer.encode(text, true).unwrap().get_ids().to_vec();
    let golden = golden_ids();
    let edges = golden["edges"].as_array().unwrap();
    assert!(edges.len() > 30);
    for edge in edges {
        assert_eq!(json!(ids(edge["text"].as_str().unwrap())), edge["token_ids"], "{}", edge["text"]);
    }
    for file in ["train.txt", "test.txt"] {
        let text = fs::read_to_string(repository(&format!("data/wikipedia/{file}"))).unwrap();
        let listing: String = text
            .lines()
            .map(|line| ids(line).iter().map(u32::to_string).collect::<Vec<_>>().join(" ") + "\n")
            .collect();
        assert_eq!(json!(sha256_bytes(listing.as_bytes())), golden["files"][file], "{file}");
    }
}

/// 18 blocks of f32 sums in another order: measured 2.4e-6.
#[test]
#[ignore = "downloads 240 MB"]
fn states_and_answers_are_transformers() {
    let tensors = Tensors::read(&golden("gemma3.safetensors"));
    let golden = golden_ids();
    let edges = golden["edges"].as_array().unwrap();
    let texts = [
        "Hello  world   three",
        "emoji 🙂 and 漢字 and ẞ",
        "b <b>html</b> </p>",
        "naïve café — “quoted” …",
        "Привет, мир",
    ];
    let ids = texts.map(|text| -> Vec<i64> {
        let edge = edges.iter().find(|edge| edge["text"] == text).unwrap();
        serde_json::from_value(edge["token_ids"].clone()).unwrap()
    });
    let mut checkpoint = Checkpoint::open(GEMMA3_270M.name).unwrap();
    let model = Transformer::load(&mut checkpoint, Place::CPU).unwrap();
    let head = SharedHead::new(&Head::load(&mut checkpoint, Place::CPU).unwrap());
    let states = model.states_at_last(&ids.each_ref().map(Vec::as_slice)).unwrap(); // (K + 1, N, H)
    let (levels, count, width) = states.size3().unwrap();
    let expected = Tensor::from_slice(&tensors.f32("hidden")).view([count, levels, width]);
    for level in 0..levels {
        for sample in 0..count {
            let values = |tensor: Tensor| Vec::<f32>::try_from(tensor.contiguous().view([-1])).unwrap();
            let error = relative_error(
                &values(states.get(level).get(sample)),
                &values(expected.get(sample).get(level)),
            );
            assert!(error < 1e-5, "level {level}, {:?}: {error}", texts[sample as usize]);
        }
    }
    let best = ExitHead::new(None, &head).unwrap().best(&states.get(-1), 5).unwrap();
    let (tokens, logits) = (tensors.i32("top_tokens"), tensors.f32("top_logits"));
    let found = best.iter().flat_map(|best| &best.tokens);
    for ((candidate, token), logit) in found.zip(tokens).zip(logits) {
        assert_eq!(candidate.token, i64::from(token));
        assert!((candidate.logit - logit).abs() < 1e-3, "{candidate:?} {logit}");
    }
}

/// 169.2 million weights of Q8_0 in 9 bits, 63.4 of Q5_0 in 9, 23.6 of Q4_K in 6 and 11.8 of Q6_K in 12: 297 MB, where f32
/// would be 1,072.
#[test]
#[ignore = "downloads 240 MB"]
fn weights_stay_in_their_own_blocks() {
    let mut checkpoint = Checkpoint::open(GEMMA3_270M.name).unwrap();
    let model = Model::load(&mut checkpoint).unwrap();
    let head = Head::load(&mut checkpoint, Place::CPU).unwrap();
    let bytes = model.bytes() + session::Head::new(&head, &model).unwrap().bytes();
    assert!((296_000_000..298_000_000).contains(&bytes), "{bytes}");
}
