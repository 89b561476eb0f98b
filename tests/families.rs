//! Every architecture against Hugging Face transformers, on small random checkpoints
//! (`parity/parity.py make tests/parity/cases`).

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;

use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::Place;
use onejump_models::head::Head;
use onejump_store::hidden::HiddenStates;
use onejump_tests::{Tensors, folder, relative_error, succeed};
use tch::Tensor;

/// Sums over a few dozen values in another order: a few roundings of f32 (6e-8) per block.
const TOLERANCE: f64 = 1e-5;

#[test]
fn states_and_logits_are_transformers() {
    let (mut directories, mut files) = (0, 0);
    for case in fs::read_dir(folder().join("parity/cases")).unwrap() {
        let case = case.unwrap().path();
        check(&case, &case, &[]);
        // As for a GPU: similar lengths attend together, padded.
        check(&case, &case, &["--batch-parts", "4"]);
        directories += 1;
        // The same weights as llama.cpp lays them out.
        let gguf = case.join("model.gguf");
        if gguf.is_file() {
            check(&case, &gguf, &[]);
            files += 1;
        }
    }
    assert!(directories >= 31 && files >= 17, "only {directories} directories and {files} GGUF files");
}

fn check(case: &Path, model: &Path, more: &[&str]) {
    let name = format!("{} {more:?}", model.display());
    let output = tempfile::tempdir().unwrap();
    let out = output.path().join("hidden");
    let (model, samples) = (model.display().to_string(), case.join("samples.jsonl").display().to_string());
    let out_text = out.display().to_string();
    let capture = ["--model", &model, "--samples", &samples, "--out", &out_text, "--device", "cpu"];
    succeed("onejump-capture", &[&capture[..], &["--batch-tokens", "40"], more].concat());
    let hidden = HiddenStates::open(&out).unwrap();
    let golden = Tensors::read(&case.join("golden.safetensors"));
    let (expected, logits) = (golden.f32("hidden"), golden.f32("logits"));
    let (n, levels, h) = (hidden.samples(), hidden.blocks() + 1, hidden.hidden_size());
    assert_eq!(expected.len(), n * levels * h, "{name}");
    for level in 0..levels {
        let ours = hidden.level(level).unwrap();
        for sample in 0..n {
            let theirs = &expected[(sample * levels + level) * h..][..h];
            let error = relative_error(&ours[sample * h..][..h], theirs);
            assert!(error < TOLERANCE, "{name}, level {level}, sample {sample}: {error}");
        }
    }
    let last = Tensor::from_slice(&hidden.level(levels - 1).unwrap()).reshape([n as i64, h as i64]);
    let head = Head::load(&mut Checkpoint::open(&model).unwrap(), Place::CPU).unwrap();
    let ours = Vec::<f32>::try_from(head.logits(&last).unwrap().reshape([-1])).unwrap();
    let error = relative_error(&ours, &logits);
    assert!(error < TOLERANCE, "{name}, logits: {error}");
}
