//! What the families refuse by name, on changed copies of the checkpoints of the repository's parity tests. That they compute
//! what transformers does is tested there.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};

use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::Place;
use onejump_models::head::Head;
use onejump_models::transformer::{Outline, Transformer};
use serde_json::{Value, json};

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/parity/cases").join(name)
}

fn open(path: &Path) -> Checkpoint {
    Checkpoint::open(&path.display().to_string()).unwrap()
}

/// What loading a case says with other keys in its config.json; null takes a key away.
fn refusal(name: &str, changes: Value) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(case(name).join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    let text = fs::read_to_string(case(name).join("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    for (key, value) in changes.as_object().unwrap() {
        let keys = config.as_object_mut().unwrap();
        match value {
            Value::Null => keys.remove(key),
            value => keys.insert(key.clone(), value.clone()),
        };
    }
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    Transformer::load(&mut open(folder.path()), Place::CPU).err().map(|error| error.to_string())
}

#[test]
fn what_a_family_does_not_support_is_named() {
    let neox = "gpt_neox-parallel";
    let yarn = json!({"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0});
    let both = |full: Value| json!({"full_attention": full, "sliding_attention": {"rope_theta": 10000.0}});
    for (name, changes, words) in [
        (neox, json!({"hidden_act": "relu"}), "hidden_act 'relu' is not supported; known: gelu"),
        (neox, json!({"num_attention_heads": 5}), "36 values do not divide into 5 heads"),
        (neox, json!({"rope_parameters": {"partial_rotary_factor": 0.5}}), "possible are even numbers"),
        (neox, json!({"rope_parameters": yarn}), "rotary scaling 'yarn' is not supported"),
        ("llama-grouped-tied", json!({"rope_parameters": yarn}), "rotary scaling 'yarn' is not supported"),
        ("olmo2-norms", json!({"rope_parameters": yarn}), "rotary scaling 'yarn' is not supported"),
        ("olmo2-norms", json!({"hidden_act": "gelu"}), "hidden_act 'gelu' is not supported"),
        ("olmo3-bases", json!({"rope_parameters": yarn}), "must have 'full_attention'"),
        ("olmo3-bases", json!({"rope_parameters": null, "rope_theta": 10000.0}), "put it into both"),
        ("olmo3-bases", json!({"layer_types": ["full_attention"]}), "layer_types has 1 entries for 4 blocks"),
        ("olmo3-bases", json!({"layer_types": ["a", "a", "a", "a"]}), "has 'a', which is not supported"),
        (
            "olmo3-yarn",
            json!({"rope_parameters": both(json!({"rope_type": "yarn", "factor": 4.0, "mscale": 1.0, "rope_theta": 1e4}))}),
            "with mscale, mscale_all_dim or truncate is not supported",
        ),
        (
            "olmo3-yarn",
            json!({"rope_parameters": both(json!({"rope_type": "yarn", "rope_theta": 1e4}))}),
            "rotary scaling 'yarn' lacks a usable 'factor'",
        ),
        (
            "olmo3-yarn",
            json!({"rope_parameters": null, "rope_scaling": {"type": "yarn", "factor": 4.0}}),
            "has a 'type' but no 'rope_type'",
        ),
        (
            "smollm3-window",
            json!({"layer_types": ["full_attention"]}),
            "layer_types has 1 entries for 4 blocks",
        ),
        ("smollm3-window", json!({"no_rope_layers": [1, 0]}), "no_rope_layers has fewer entries"),
        (
            "smollm3-no-rope",
            json!({"no_rope_layers": null, "no_rope_layer_interval": 0}),
            "no_rope_layer_interval is 0",
        ),
        ("gemma2-caps", json!({"use_bidirectional_attention": true}), "use_bidirectional_attention = true"),
        ("gemma2-caps", json!({"hidden_activation": "silu"}), "hidden_activation 'silu' is not supported"),
        ("gemma2-caps", json!({"attn_logit_softcapping": -1.0}), "must be above 0"),
        ("gemma2-caps", json!({"layer_types": ["a", "a", "a", "a"]}), "has 'a', which is not supported"),
        // transformers reads it in Gemma 2 alone.
        ("gemma3-bases", json!({"attn_logit_softcapping": 50.0}), "attn_logit_softcapping = 50.0"),
        ("gemma3-bases", json!({"rope_parameters": yarn}), "must have 'full_attention'"),
        ("gemma3-old-file", json!({"sliding_window_pattern": 0}), "must be above 0"),
        ("gemma3-old-file", json!({"query_pre_attn_scalar": 0}), "must be above 0"),
        ("llama-grouped-tied", json!({"query_pre_attn_scalar": 256}), "query_pre_attn_scalar = 256"),
    ] {
        let said = refusal(name, changes.clone()).unwrap_or_else(|| panic!("{name} is taken with {changes}"));
        assert!(said.contains(words), "{name}: {said}");
    }
}

/// The layouts of files from before transformers 5: a scaling beside the parameters is that of full attention.
#[test]
fn old_words_are_taken() {
    let yarn = json!({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "attention_factor": 1.2});
    for (name, changes) in [
        ("gpt_neox-parallel", json!({"rope_parameters": null, "use_parallel_residual": null})),
        (
            "olmo3-yarn",
            json!({"rope_parameters": null, "rope_scaling": yarn, "rope_theta": 500_000, "layer_types": null}),
        ),
        ("smollm3-no-rope", json!({"no_rope_layers": null, "layer_types": null, "rope_parameters": null})),
        // The hub's gemma-2-2b: transformers reads hidden_activation, and what is missing is its default.
        (
            "gemma2-caps",
            json!({"layer_types": null, "hidden_act": "gelu", "cache_implementation": "hybrid",
                   "final_logit_softcapping": null, "rope_parameters": null}),
        ),
    ] {
        assert_eq!(refusal(name, changes), None, "{name}");
    }
}

#[test]
fn an_own_head_counts_as_a_matrix_of_the_vocabulary() {
    for (name, matrices) in
        [("gpt_neox-parallel", 2), ("gpt_neox-tanh-no-biases", 1), ("olmo2-norms", 2), ("smollm3-no-rope", 1)]
    {
        let mut checkpoint = open(&case(name));
        assert_eq!(Outline::of(&checkpoint).unwrap().vocabulary_matrices, matrices, "{name}");
        assert_eq!(Head::load(&mut checkpoint, Place::CPU).unwrap().vocab_size(), 96, "{name}");
    }
}
