//! What the files of an architecture say, and what of it is refused, on changed copies of the files of the repository's parity
//! tests.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use candle_core::Device;
use candle_core::quantized::gguf_file::{Content, Value, write};
use onejump_gguf::GgufFile;
use serde_json::json;

/// The configuration of a case's file with other metadata, none to take a key away; a tensor may have another name.
fn config(
    case: &str,
    changes: &[(&str, Option<Value>)],
    rename: Option<(&str, &str)>,
) -> Result<serde_json::Value, String> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/parity/cases");
    let mut reader = File::open(cases.join(case).join("model.gguf")).unwrap();
    let content = Content::read(&mut reader).unwrap();
    let mut metadata: BTreeMap<&str, &Value> =
        content.metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    for (key, value) in changes {
        match value {
            Some(value) => metadata.insert(key, value),
            None => metadata.remove(key),
        };
    }
    let tensors: Vec<_> = content
        .tensor_infos
        .keys()
        .map(|name| (name.as_str(), content.tensor(&mut reader, name, &Device::Cpu).unwrap()))
        .map(|(name, tensor)| (rename.filter(|(from, _)| *from == name).map_or(name, |(_, to)| to), tensor))
        .collect();
    let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let metadata: Vec<_> = metadata.into_iter().collect();
    let copy = std::env::temp_dir().join(format!(
        "onejump-gguf-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    write(&mut File::create(&copy).unwrap(), &metadata, &tensors).unwrap();
    let config = GgufFile::open(&copy).unwrap().config().map_err(|error| error.to_string());
    std::fs::remove_file(copy).unwrap();
    config
}

#[test]
fn a_window_makes_an_olmo_3() {
    let (window, pattern) = ("olmo2.attention.sliding_window", "olmo2.attention.sliding_window_pattern");
    let (full, slides) = ("full_attention", "sliding_attention");
    let kinds = |changes: &[_]| config("olmo3-window", changes, None).unwrap()["layer_types"].clone();
    assert_eq!(kinds(&[]), json!([slides, slides, slides, full]));
    assert_eq!(kinds(&[(pattern, None)]), json!([slides, slides, slides, full]));
    assert_eq!(kinds(&[(pattern, Some(Value::U32(2)))]), json!([slides, full, slides, full]));
    let list = Value::Array([true, false, false, true].map(Value::Bool).to_vec());
    assert_eq!(kinds(&[(pattern, Some(list))]), json!([slides, full, full, slides]));
    let short = Value::Array(vec![Value::Bool(true)]);
    let said = config("olmo3-window", &[(pattern, Some(short))], None).unwrap_err();
    assert!(said.contains("is no list of 4 switches, nor a period"), "{said}");
    for off in [None, Some(Value::U32(0))] {
        let plain = config("olmo3-window", &[(window, off)], None).unwrap();
        assert_eq!(plain["model_type"], "olmo2");
        assert_eq!(plain["rope_parameters"]["rope_type"], "linear");
    }
}

/// llama.cpp scales the blocks without a window alone, as transformers does.
#[test]
fn a_scaling_is_for_full_attention() {
    let rotary = |changes: &[_]| config("olmo3-window", changes, None).unwrap()["rope_parameters"].clone();
    let plain = rotary(&[]);
    assert_eq!(plain["full_attention"]["factor"], 4.0);
    assert_eq!(plain["sliding_attention"], json!({"rope_theta": 10000.0}));
    let other = rotary(&[("olmo2.rope.freq_base_swa", Some(Value::F32(300.0)))]);
    assert_eq!(other["sliding_attention"], json!({"rope_theta": 300.0}));
    let yarn = [("olmo2.rope.scaling.type", Some(Value::String("yarn".into())))];
    assert!(config("olmo3-window", &yarn, None).unwrap_err().contains("'yarn' is not supported in GGUF"));
}

#[test]
fn gpt_neox_says_how_its_parts_stand() {
    let key = "gptneox.use_parallel_residual";
    let parallel = |changes: &[_]| config("gpt_neox-parallel", changes, None);
    assert_eq!(parallel(&[]).unwrap()["use_parallel_residual"], true);
    assert_eq!(parallel(&[(key, Some(Value::Bool(false)))]).unwrap()["use_parallel_residual"], false);
    assert!(
        parallel(&[(key, None)]).unwrap_err().contains("lacks the metadata 'gptneox.use_parallel_residual'")
    );
    for (key, value) in [
        ("gptneox.attention.key_length", 12),
        ("gptneox.attention.value_length", 12),
        ("gptneox.attention.head_count_kv", 1),
        ("gptneox.attention.sliding_window", 16),
    ] {
        let said = parallel(&[(key, Some(Value::U32(value)))]).unwrap_err();
        assert!(said.contains(&format!("'{key}' is {value}")), "{said}");
    }
}

#[test]
fn keys_and_tensors_of_other_architectures_are_refused() {
    for (case, key, value) in [
        ("olmo2-norms", "olmo2.use_parallel_residual", Value::Bool(true)),
        ("smollm3-no-rope", "smollm3.attention.sliding_window", Value::U32(16)),
        ("smollm3-no-rope", "smollm3.rope.freq_base_swa", Value::F32(300.0)),
    ] {
        let said = config(case, &[(key, Some(value))], None).unwrap_err();
        assert!(said.contains(&format!("'{key}' is ")) && said.contains("not supported in GGUF"), "{said}");
    }
    for (case, from, to) in [
        ("olmo2-norms", "blk.1.post_ffw_norm.weight", "blk.1.ffn_norm.weight"),
        ("smollm3-no-rope", "blk.1.ffn_norm.weight", "blk.1.post_ffw_norm.weight"),
        ("gpt_neox-parallel", "blk.1.attn_qkv.bias", "blk.1.attn_q.bias"),
    ] {
        let said = config(case, &[], Some((from, to))).unwrap_err();
        assert!(said.contains(&format!("the tensor '{to}' is none of a model of this kind")), "{said}");
    }
}
