//! Bad input ends in one clear line and exit status 1; wrong usage in exit status 2.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::{PipeWriter, pipe};
use std::process::Command;

use onejump_tests::{binary, fail, folder, run};

#[test]
fn a_wrong_model_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("text.txt"), "One sentence.\n").unwrap();
    let capture = |model: &str| {
        fail(
            "onejump-capture",
            &["--model", model, "--sentences", &path("text.txt"), "--out", &path("out"), "--device", "cpu"],
        )
    };
    assert!(capture("no-such-model").contains("no-such-model"));
    fs::write(path("broken.gguf"), "GGUF nonsense").unwrap();
    assert!(capture(&path("broken.gguf")).contains("broken.gguf"));
    fs::create_dir(path("empty")).unwrap();
    assert!(capture(&path("empty")).contains("config.json"));
    fs::write(path("empty/config.json"), r#"{"model_type": "mamba"}"#).unwrap();
    assert!(capture(&path("empty")).contains("model.safetensors"));
    fs::write(path("empty/pytorch_model.bin"), "").unwrap();
    assert!(capture(&path("empty")).contains("safe_serialization"));
}

#[test]
fn wrong_input_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let capture = |flag: &str, file: &str, more: &[&str]| {
        let (file, out) = (path(file), path("out"));
        let mut arguments = vec!["--model", "smollm2-135m", flag, &file, "--out", &out, "--device", "cpu"];
        arguments.extend(more);
        fail("onejump-capture", &arguments)
    };
    assert!(capture("--sentences", "missing.txt", &[]).contains("missing.txt"));
    fs::write(path("latin1.txt"), b"Fine.\nCaf\xe9.\n").unwrap();
    assert!(capture("--sentences", "latin1.txt", &[]).contains("line 2"));
    fs::write(path("empty.txt"), "\n\n").unwrap();
    assert!(capture("--sentences", "empty.txt", &[]).contains("no usable line"));
    fs::write(path("bad.jsonl"), r#"{"input_ids": [1, 99999], "position": 0}"#).unwrap();
    assert!(capture("--samples", "bad.jsonl", &[]).contains("99999"));
    let hidden = path("nowhere");
    let train = ["--hidden", &hidden, "--kind", "n-njtc", "--out", &path("x.safetensors")];
    assert!(fail("onejump-train", &train).contains("nowhere"));
}

/// `onejump-… | head -1`, and `2>&1 | head -1`: the work goes on, and ends as it would have.
#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let closed = || -> PipeWriter { pipe().unwrap().1 };
    let out = tempfile::tempdir().unwrap();
    let model = folder().join("parity/cases/gpt2");
    for (samples, status) in [("samples.jsonl", 0), ("missing.jsonl", 1)] {
        let mut capture = Command::new(binary("onejump-capture"));
        capture.arg("--model").arg(&model).arg("--samples").arg(model.join(samples));
        capture.arg("--out").arg(out.path().join("hidden")).args(["--device", "cpu"]);
        capture.stdout(closed()).stderr(closed());
        assert_eq!(capture.status().unwrap().code(), Some(status), "{samples}");
    }
    assert!(out.path().join("hidden/manifest.json").exists());
}

#[test]
fn wrong_usage_has_status_2() {
    for (binary, arguments) in [
        ("onejump-capture", vec!["--model", "m", "--out", "x"]),
        ("onejump-capture", vec!["--model", "m", "--sentences", "a", "--out", "x", "--shard", "2/2"]),
        ("onejump-train", vec!["--hidden", "x", "--kind", "magic", "--out", "y"]),
        ("onejump-score", vec![]),
    ] {
        assert_eq!(run(binary, &arguments).status.code(), Some(2), "{binary} {arguments:?}");
    }
}
