//! Texts and tokenizers that go wrong elsewhere: the token ids of transformers (`cases/prefix-space/make.py`), or
//! refused with the line and the reason; and states that need more room than usual.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use onejump_models::checkpoint::Checkpoint;
use onejump_store::part::{read_level, read_positions, read_token_ids};
use onejump_tests::words::{WORDS, checkpoint, configure};
use onejump_tests::{binary, fail, folder, succeed};
use serde_json::{Value, json};
use tch::Tensor;

/// Captures a text, or says why not.
struct Run {
    folder: tempfile::TempDir,
    arguments: Vec<String>,
}

impl Run {
    fn of(model: &Path, text: &[u8], more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("text.txt"), text).unwrap();
        let (model, text, out) = (model.display().to_string(), path("text.txt"), path("out"));
        let fixed = ["--device", "cpu", "--model", &model, "--sentences", &text, "--out", &out];
        let arguments = fixed.iter().chain(more).map(|&argument| argument.to_owned()).collect();
        Self { folder, arguments }
    }

    fn arguments(&self) -> Vec<&str> {
        self.arguments.iter().map(String::as_str).collect()
    }

    fn part(&self) -> PathBuf {
        self.folder.path().join("out/part-00000.parquet")
    }

    fn ids(&self) -> Vec<Vec<i32>> {
        succeed("onejump-capture", &self.arguments());
        read_token_ids(&self.part()).unwrap()
    }

    fn refusal(&self) -> String {
        fail("onejump-capture", &self.arguments())
    }
}

#[test]
fn the_space_before_the_first_word_is_that_of_transformers() {
    let cases = folder().join("cases/prefix-space");
    let read =
        |file: &str| -> Value { serde_json::from_slice(&fs::read(cases.join(file)).unwrap()).unwrap() };
    let golden = read("ids.json");
    let texts: Vec<String> = serde_json::from_value(golden["text"].clone()).unwrap();
    let list = golden["cases"].as_array().unwrap();
    assert!(list.len() > 400);
    let made = tempfile::tempdir().unwrap();
    let path = |file: &str| made.path().join(file);
    fs::copy(folder().join("parity/cases/gpt2/model.safetensors"), path("model.safetensors")).unwrap();
    for case in list {
        let mut tokenizer = read(&format!("{}.json", case["tokenizer"].as_str().unwrap()));
        let space = case["space"].as_bool().unwrap();
        if tokenizer["pre_tokenizer"].is_object() {
            tokenizer["pre_tokenizer"]["add_prefix_space"] = space.into();
        } else if !space {
            tokenizer["normalizer"] = tokenizer["normalizer"]["normalizers"][1].clone();
        }
        fs::write(path("config.json"), json!({"model_type": case["model_type"]}).to_string()).unwrap();
        fs::write(path("tokenizer.json"), tokenizer.to_string()).unwrap();
        let _ = fs::remove_file(path("tokenizer_config.json"));
        if !case["config"].is_null() {
            fs::write(path("tokenizer_config.json"), case["config"].to_string()).unwrap();
        }
        let tokenizer = Checkpoint::open(&made.path().display().to_string()).unwrap().tokenizer().unwrap();
        let ids: Vec<Value> = texts
            .iter()
            .map(|text| json!(tokenizer.encode(text.as_str(), false).unwrap().get_ids()))
            .collect();
        assert_eq!(json!(ids), golden["answers"][case["answer"].as_u64().unwrap() as usize], "{case}");
    }
}

#[test]
fn bos_is_about_the_beginning_and_the_end_stays() {
    let model = checkpoint("llama-grouped-tied", &WORDS, [Some("<s>"), Some("</s>")]);
    configure(model.path(), json!({"bos_token_id": 1}));
    let ids = |bos: &str| Run::of(model.path(), b"the quick fox\nfox\n", &["--bos", bos]).ids();
    assert_eq!(ids("auto"), [vec![1, 3, 4, 5, 2], vec![1, 5, 2]]);
    assert_eq!(ids("always"), ids("auto"));
    assert_eq!(ids("never"), [vec![3, 4, 5, 2], vec![5, 2]]);
    // The tokenizer adds an end alone; the beginning is the configuration's.
    let model = checkpoint("llama-grouped-tied", &WORDS, [None, Some("</s>")]);
    configure(model.path(), json!({"bos_token_id": 1}));
    let ids = |bos: &str| Run::of(model.path(), b"the quick fox\n", &["--bos", bos]).ids();
    assert_eq!(ids("auto"), [[3, 4, 5, 2]]);
    assert_eq!(ids("always"), [[1, 3, 4, 5, 2]]);
}

#[test]
fn a_token_without_an_embedding_is_named_with_its_line() {
    let words: Vec<String> = (0..98).map(|id| format!("w{id}")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let model = checkpoint("llama-grouped-tied", &words, [None, None]);
    let said = Run::of(model.path(), b"w1 w95\nw3\nw4 w96 w97\n", &[]).refusal();
    assert!(
        said.contains("text.txt, line 3: token 'w96' has the id 96") && said.contains("vocabulary of 96"),
        "{said}"
    );
}

#[test]
fn texts_are_utf8_with_or_without_a_mark_or_refused() {
    let model = checkpoint("llama-grouped-tied", &WORDS, [None, None]);
    assert_eq!(Run::of(model.path(), b"\xef\xbb\xbfthe fox\r\nfox\r\n", &[]).ids(), [vec![3, 5], vec![5]]);
    let utf16: Vec<u8> = "\u{feff}the fox\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (text, words) in [
        (&utf16[..], "is UTF-16 text"),
        (b"the\nf\xfcr\n", "line 2: byte 0xfc is not UTF-8 text"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer"),
        (b"\n \n", "has no usable line"),
    ] {
        let said = Run::of(model.path(), text, &[]).refusal();
        assert!(said.contains(words), "{said}");
    }
}

/// The advice of the first refusal is followed in the same folder.
#[test]
fn states_too_large_for_f16_fit_into_bf16() {
    let model = checkpoint("llama-grouped-tied", &WORDS, [None, None]);
    let path = model.path().join("model.safetensors");
    let tensors = Tensor::read_safetensors(&path).unwrap();
    let tensors: Vec<_> = tensors
        .into_iter()
        .map(|(name, tensor)| {
            let factor = if name == "model.embed_tokens.weight" { 1e6 } else { 1.0 };
            (name, tensor * factor)
        })
        .collect();
    Tensor::write_safetensors(&tensors, &path).unwrap();
    let mut run = Run::of(model.path(), b"the quick fox\nfox\n", &["--store-dtype", "f16"]);
    let said = run.refusal();
    assert!(said.contains("does not fit into f16; use --store-dtype bf16"), "{said}");
    *run.arguments.last_mut().unwrap() = "bf16".into();
    succeed("onejump-capture", &run.arguments());
    succeed("onejump-store", &["verify", &run.folder.path().join("out").display().to_string()]);
    let exact = Run::of(model.path(), b"the quick fox\nfox\n", &[]);
    succeed("onejump-capture", &exact.arguments());
    for level in 0..=3 {
        let [stored, exact] = [run.part(), exact.part()].map(|part| read_level(&part, level, 36).unwrap());
        for (stored, exact) in stored.iter().zip(exact) {
            assert!((stored - exact).abs() <= exact.abs() / 256.0, "level {level}: {stored} {exact}");
        }
    }
}

/// A mask of 20,000 × 20,000 alone is 1.6 GB in f32; with blocks of queries the whole process took 0.3 GB.
#[test]
fn a_long_line_with_a_window_needs_little_memory() {
    let model = checkpoint("mistral-window", &WORDS, [None, None]);
    configure(model.path(), json!({"max_position_embeddings": 32768, "sliding_window": 4096}));
    let text = "the quick fox fox ".repeat(5000) + "\n";
    let run = Run::of(model.path(), text.as_bytes(), &["--seed", "6"]);
    let mut child = Command::new(binary("onejump-capture"))
        .args(&run.arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut peak = 0;
    let status = loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        peak = peak.max(kilobytes.unwrap_or(0));
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    assert!(status.success());
    assert!(read_positions(&run.part()).unwrap()[0] > 15_000, "choose another seed");
    assert!((1..1_000_000).contains(&peak), "{peak} kB");
}
