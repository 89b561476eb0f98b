//! GGUF files that people reported to go wrong in other tools: right, or refused in words that help
//! (`cases/make_gguf.py` makes the golden values).

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::gguf_file::{Content, Value, write};
use onejump_gguf::GgufFile;
use onejump_store::hidden::HiddenStates;
use onejump_tests::{fail, folder, relative_error, run, succeed};
use serde::Deserialize;

/// As in `families.rs`: a few roundings of f32 per block.
const TOLERANCE: f64 = 1e-5;

#[derive(Deserialize)]
struct Golden {
    ids: BTreeMap<String, Vec<Encoded>>,
    scale_linear: Vec<Sample>,
}

#[derive(Deserialize)]
struct Encoded {
    text: String,
    ids: Vec<u32>,
}

#[derive(Deserialize)]
struct Sample {
    input_ids: Vec<i64>,
    position: u32,
    state: Vec<f32>,
}

fn case(name: &str) -> PathBuf {
    folder().join("cases").join(name)
}

fn golden() -> Golden {
    serde_json::from_slice(&fs::read(case("gguf.json")).unwrap()).unwrap()
}

/// A copy of a file with other metadata; a value of none takes the key away.
fn changed(from: &Path, to: &Path, changes: &[(&str, Option<Value>)]) {
    let mut reader = fs::File::open(from).unwrap();
    let content = Content::read(&mut reader).unwrap();
    let mut metadata: BTreeMap<&str, &Value> =
        content.metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    for (key, value) in changes {
        match value {
            Some(value) => metadata.insert(key, value),
            None => metadata.remove(key),
        };
    }
    let names: Vec<&String> = content.tensor_infos.keys().collect();
    let tensors: Vec<_> =
        names.iter().map(|name| content.tensor(&mut reader, name, &Device::Cpu).unwrap()).collect();
    let tensors: Vec<_> = names.iter().map(|name| name.as_str()).zip(&tensors).collect();
    let metadata: Vec<_> = metadata.into_iter().collect();
    write(&mut fs::File::create(to).unwrap(), &metadata, &tensors).unwrap();
}

/// What the file with these changes is refused with; none if it is taken.
fn refusal(from: &str, changes: &[(&str, Option<Value>)]) -> Option<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    changed(&case(from), file.path(), changes);
    GgufFile::open(file.path()).unwrap().config().err().map(|error| error.to_string())
}

fn states(model: &Path) -> Vec<f32> {
    let output = tempfile::tempdir().unwrap();
    let path = |name: &str| output.path().join(name).display().to_string();
    let lines = golden().scale_linear.into_iter().map(|sample| {
        format!("{}\n", serde_json::json!({"input_ids": sample.input_ids, "position": sample.position}))
    });
    fs::write(path("samples.jsonl"), lines.collect::<String>()).unwrap();
    let (model, samples, out) = (model.display().to_string(), path("samples.jsonl"), path("hidden"));
    succeed("onejump-capture", &["--model", &model, "--samples", &samples, "--out", &out, "--device", "cpu"]);
    let hidden = HiddenStates::open(&out).unwrap();
    hidden.level(hidden.blocks()).unwrap()
}

fn refused(model: &Path) -> String {
    let out = tempfile::tempdir().unwrap();
    let out = out.path().join("out").display().to_string();
    let text = case("make_gguf.py").display().to_string();
    fail(
        "onejump-capture",
        &["--model", &model.display().to_string(), "--sentences", &text, "--out", &out, "--device", "cpu"],
    )
}

#[test]
fn token_ids_are_those_of_the_directory() {
    for (name, rows) in golden().ids {
        let tokenizer =
            GgufFile::open(&case(&format!("gguf-{name}/model.gguf"))).unwrap().tokenizer().unwrap();
        assert!(rows.len() > 4);
        for Encoded { text, ids } in rows {
            let ours = tokenizer.encode(text.as_str(), true).unwrap();
            assert_eq!(ours.get_ids(), ids, "{name}: {text:?} became {:?}", ours.get_tokens());
        }
    }
}

/// The old key, the new one without a type, and the new one with it.
#[test]
fn linear_scaling_is_read_from_every_key() {
    let old = case("gguf-scale-linear/old-key.gguf");
    let expected: Vec<f32> = golden().scale_linear.into_iter().flat_map(|sample| sample.state).collect();
    let folder = tempfile::tempdir().unwrap();
    let (none, four) = (None, || Some(Value::F32(4.0)));
    let linear = Some(Value::String("linear".into()));
    let [old_key, new_key, kind] =
        ["llama.rope.scale_linear", "llama.rope.scaling.factor", "llama.rope.scaling.type"];
    let variants = [
        vec![],
        vec![(old_key, none.clone()), (new_key, four())],
        vec![(old_key, none), (new_key, four()), (kind, linear)],
    ];
    for (number, changes) in variants.iter().enumerate() {
        // A blob of Ollama's has no ending.
        let path = folder.path().join(format!("sha256-{number}"));
        changed(&old, &path, changes);
        let error = relative_error(&states(&path), &expected);
        assert!(error < TOLERANCE, "{changes:?}: {error}");
    }
    let two = refusal("gguf-scale-linear/old-key.gguf", &[(new_key, Some(Value::F32(2.0)))]).unwrap();
    assert!(two.contains("contradict"), "{two}");
    let off = [(kind, Some(Value::String("none".into())))];
    let path = folder.path().join("none");
    changed(&old, &path, &off);
    assert!(relative_error(&states(&path), &expected) > 1e-3);
}

#[test]
fn keys_that_change_the_computation_are_refused_by_name() {
    let odd = [
        ("attention.causal", Value::Bool(false)),
        ("attention.scale", Value::F32(0.5)),
        ("attention.clamp_kqv", Value::F32(8.0)),
        ("attention.sliding_window", Value::U32(16)),
        ("attention.value_length", Value::U32(6)),
        ("attn_logit_softcapping", Value::F32(50.0)),
        ("embedding_scale", Value::F32(12.0)),
        ("residual_scale", Value::F32(0.22)),
        ("logit_scale", Value::F32(8.0)),
        ("rope.dimension_count", Value::U32(6)),
        ("rope.scaling.attn_factor", Value::F32(1.2)),
        ("rope.scaling.yarn_ext_factor", Value::F32(1.0)),
        ("rope.dimension_sections", Value::Array(vec![Value::U32(2)])),
        ("use_parallel_residual", Value::Bool(true)),
    ];
    for (name, value) in odd {
        let key = format!("llama.{name}");
        let said = refusal("gguf-scale-linear/old-key.gguf", &[(&key, Some(value))]).expect(name);
        assert!(said.contains(&format!("'{key}' is ")) && said.contains("not supported in GGUF"), "{said}");
    }
    let yarn = [("llama.rope.scaling.type", Some(Value::String("yarn".into())))];
    assert!(refusal("gguf-scale-linear/old-key.gguf", &yarn).unwrap().contains("'yarn' is not supported"));
    let heads = Some(Value::Array(vec![Value::U32(4), Value::U32(2), Value::U32(4)]));
    let said = refusal("gguf-scale-linear/old-key.gguf", &[("llama.attention.head_count", heads)]).unwrap();
    assert!(said.contains("differs from block to block"), "{said}");
    let fewer = [("llama.block_count", Some(Value::U32(2)))];
    let said = refusal("gguf-scale-linear/old-key.gguf", &fewer).unwrap();
    assert!(said.contains("the tensor 'blk.2."), "{said}");
}

#[test]
fn keys_that_leave_it_as_it_is_are_taken() {
    let plain = [
        ("llama.attention.causal", Value::Bool(true)),
        ("llama.attention.scale", Value::F32((12f32).sqrt().recip())),
        ("llama.attention.clamp_kqv", Value::F32(0.0)),
        ("llama.attention.value_length", Value::U32(12)),
        ("llama.attention.head_count", Value::Array(vec![Value::U32(4); 3])),
        ("llama.expert_count", Value::U32(0)),
        ("llama.logit_scale", Value::F32(1.0)),
        ("llama.vocab_size", Value::U32(320)),
        ("general.name", Value::String("tiny".into())),
        ("tokenizer.chat_template.tool_use", Value::String("{}".into())),
    ];
    let changes: Vec<_> = plain.into_iter().map(|(key, value)| (key, Some(value))).collect();
    assert_eq!(refusal("gguf-scale-linear/old-key.gguf", &changes), None);
}

#[test]
fn what_is_assumed_or_not_known_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("text.txt"), "A short one.\n").unwrap();
    let said = |model: &str, out: &str| {
        let text = path("text.txt");
        let output = run(
            "onejump-capture",
            &["--model", model, "--sentences", &text, "--out", &path(out), "--device", "cpu"],
        );
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let no_pre = said(&case("gguf-no-pre/model.gguf").display().to_string(), "a");
    assert!(no_pre.contains("lacks tokenizer.ggml.pre") && no_pre.contains("Llama 3's split"), "{no_pre}");
    let base = case("gguf-scale-linear/old-key.gguf");
    changed(&base, path("b.gguf").as_ref(), &[("llama.next_year", Some(Value::F32(1.0)))]);
    let unknown = said(&path("b.gguf"), "b");
    assert!(unknown.contains("llama.next_year"), "{unknown}");
    let quiet = said(&base.display().to_string(), "c");
    assert!(!quiet.contains("WARN"), "{quiet}");
}

#[test]
fn a_file_in_parts_is_read_whole() {
    let [one, two] = [1, 2].map(|part| case(&format!("gguf-split/model-0000{part}-of-00002.gguf")));
    let from_one = states(&one);
    assert_eq!(from_one, states(&two));
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::copy(&one, path("m-00001-of-00002.gguf")).unwrap();
    assert!(refused(&path("m-00001-of-00002.gguf")).contains("m-00002-of-00002.gguf is not beside it"));
    fs::copy(&one, path("m-00002-of-00002.gguf")).unwrap();
    assert!(refused(&path("m-00001-of-00002.gguf")).contains("should be part 2 of 2"));
    fs::copy(&two, path("renamed.gguf")).unwrap();
    assert!(refused(&path("renamed.gguf")).contains("--merge"));
}

#[test]
fn what_is_no_model_is_told() {
    for (file, words) in [
        ("lora.gguf", "is an adapter (LoRA)"),
        ("vocab-only.gguf", "has a vocabulary alone"),
        (
            "iq4_nl.gguf",
            "tensor 'blk.0.ffn_down.weight' is of the type IQ4_NL (number 20), which is not supported; take a file in F32",
        ),
        ("big-endian.gguf", "is a big-endian GGUF file"),
    ] {
        let said = refused(&case("gguf-misc").join(file));
        assert!(said.contains(words), "{said}");
    }
    let base = "gguf-scale-linear/old-key.gguf";
    for (key, value, words) in [
        ("llama.expert_count", Value::U32(8), "is a mixture of experts"),
        ("general.architecture", Value::String("clip".into()), "is an image projector"),
        ("general.type", Value::String("mmproj".into()), "projector (mmproj)"),
        ("general.architecture", Value::String("mamba".into()), "architecture 'mamba' is not supported"),
    ] {
        let said = refusal(base, &[(key, Some(value))]).unwrap();
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn files_that_are_something_else_are_told_by_their_first_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab\nsize 131\n";
    let odd: [(&[u8], &str); 7] = [
        (pointer, "git lfs pull"),
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>Not found</html>", "is a web page"),
        (b"\xff\xfe{\0\"\0a\0", "is UTF-16 text"),
        (b"PK\x03\x04archive/data.pkl", "is a zip archive"),
        (b"\x80\x02}q\0", "is a Python pickle"),
        (b"tjgg\x03\0\0\0", "before August 2023"),
    ];
    fs::create_dir(path("model")).unwrap();
    for (bytes, words) in odd {
        for name in ["model.gguf", "model/config.json", "model/model.safetensors"] {
            fs::write(path("model/config.json"), r#"{"model_type": "llama"}"#).unwrap();
            // The weights are opened first.
            fs::write(path("model/model.safetensors"), b"\x02\0\0\0\0\0\0\0{}").unwrap();
            fs::write(path(name), bytes).unwrap();
            let said = refused(&if name == "model.gguf" { path(name) } else { path("model") });
            assert!(said.contains(words) && said.contains(name), "{name}: {said}");
        }
    }
    fs::rename(path("model.gguf"), path("file")).unwrap();
    fs::create_dir(path("ggufs")).unwrap();
    fs::write(path("ggufs/tiny.Q4.gguf"), "GGUF").unwrap();
    let said = refused(&path("ggufs"));
    assert!(said.contains("tiny.Q4.gguf"), "{said}");
}
