//! Hugging Face directories with odd configurations and tensors: the states and logits of transformers, or refused in
//! words that help (`cases/make_config.py` makes the golden values).

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::Place;
use onejump_models::head::Head;
use onejump_models::transformer::Transformer;
use onejump_tests::{folder, relative_error, run};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tch::{Kind, Tensor};

/// As in `families.rs`: a few roundings of f32 per block.
const TOLERANCE: f64 = 1e-5;

/// One of the checkpoints of `parity/cases`, changed.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Change {
    /// The checkpoint.
    base: String,
    /// Keys that config.json gets.
    set: Map<String, Value>,
    /// Keys that it loses.
    without: Vec<String>,
    /// Tensors that the file gets, with their shapes.
    add: BTreeMap<String, Vec<i64>>,
    /// Tensors that get another name.
    rename: BTreeMap<String, String>,
    /// What names lose; the head goes with it.
    strip: String,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    #[serde(flatten)]
    change: Change,
    length: i64,
    hidden: Vec<f32>,
    logits: Vec<f32>,
}

impl Change {
    fn of(base: &str, set: Value) -> Self {
        let set = set.as_object().unwrap().clone();
        Self { base: base.into(), set, ..Self::default() }
    }

    fn adding(base: &str, names: &[&str]) -> Self {
        let add = names.iter().map(|name| ((*name).to_owned(), vec![4])).collect();
        Self { base: base.into(), add, ..Self::default() }
    }

    fn make(&self) -> tempfile::TempDir {
        let base = folder().join("parity/cases").join(&self.base);
        let made = tempfile::tempdir().unwrap();
        let mut config: Map<String, Value> =
            serde_json::from_slice(&fs::read(base.join("config.json")).unwrap()).unwrap();
        config.extend(self.set.clone());
        config.retain(|key, _| !self.without.contains(key));
        fs::write(made.path().join("config.json"), serde_json::to_vec(&config).unwrap()).unwrap();
        let tensors = Tensor::read_safetensors(base.join("model.safetensors")).unwrap().into_iter();
        let tensors = tensors.filter(|(name, _)| self.strip.is_empty() || name != "lm_head.weight");
        let mut tensors: BTreeMap<String, Tensor> = tensors
            .map(|(name, tensor)| (self.rename.get(&name).unwrap_or(&name).clone(), tensor))
            .map(|(name, tensor)| (name.strip_prefix(&self.strip).unwrap_or(&name).to_owned(), tensor))
            .collect();
        tensors.extend(self.add.iter().map(|(name, shape)| (name.clone(), values(shape))));
        let tensors: Vec<_> = tensors.iter().collect();
        Tensor::write_safetensors(&tensors, made.path().join("model.safetensors")).unwrap();
        made
    }

    /// What the checkpoint is refused with, when its blocks and its head are loaded; none if they are taken.
    fn refusals(&self) -> [Option<String>; 2] {
        let made = self.make();
        let mut checkpoint = match open(made.path()) {
            Ok(checkpoint) => checkpoint,
            Err(said) => return [Some(said.clone()), Some(said)],
        };
        let blocks = Transformer::load(&mut checkpoint, Place::CPU).err().map(|error| error.to_string());
        // As `evaluate` does: the head alone.
        let mut checkpoint = open(made.path()).unwrap();
        [blocks, Head::load(&mut checkpoint, Place::CPU).err().map(|error| error.to_string())]
    }
}

fn open(path: &Path) -> Result<Checkpoint, String> {
    Checkpoint::open(&path.display().to_string()).map_err(|error| error.to_string())
}

/// The numbers that `make_config.py` adds.
fn values(shape: &[i64]) -> Tensor {
    let count = shape.iter().product::<i64>();
    let flat: Vec<f32> = (0..count).map(|i| ((i * 37 % 11) - 5) as f32 / 10.0).collect();
    Tensor::from_slice(&flat).reshape(shape).to_kind(Kind::Float)
}

#[test]
fn states_and_logits_are_transformers() {
    let cases: Vec<Case> =
        serde_json::from_slice(&fs::read(folder().join("cases/config.json")).unwrap()).unwrap();
    assert!(cases.len() >= 40);
    for Case { name, change, length, hidden, logits } in cases {
        let made = change.make();
        let mut checkpoint = open(made.path()).unwrap();
        let model =
            Transformer::load(&mut checkpoint, Place::CPU).unwrap_or_else(|error| panic!("{name}: {error}"));
        let ids: Vec<i64> = (0..length).map(|i| (7 * i * i + 3 * i + 5) % 96).collect();
        let states = model.states_at_last(&[&ids]).unwrap().squeeze_dim(1); // (K + 1, H)
        let width = model.hidden_size();
        for (level, theirs) in hidden.chunks(width).enumerate() {
            let ours = Vec::<f32>::try_from(states.get(level as i64)).unwrap();
            let error = relative_error(&ours, theirs);
            assert!(error < TOLERANCE, "{name}, level {level}: {error}");
        }
        let head = Head::load(&mut checkpoint, Place::CPU).unwrap_or_else(|error| panic!("{name}: {error}"));
        let ours = head.logits(&states.get(-1).unsqueeze(0)).unwrap().reshape([-1]);
        let error = relative_error(&Vec::<f32>::try_from(ours).unwrap(), &logits);
        assert!(error < TOLERANCE, "{name}, logits: {error}");
    }
}

/// (checkpoint, config.json's change, words of the refusal): the same for the blocks and for the head.
#[test]
fn configurations_are_refused_by_name() {
    let yarn =
        json!({"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}});
    let mut far = yarn.clone();
    far["rope_parameters"] = json!({"rope_type": "default", "rope_theta": 1e6});
    let both = |kind: &str| json!({"rope_parameters": {"rope_type": "linear", "type": kind, "factor": 2.0}});
    let rotary = |parameters: Value| json!({"rope_parameters": parameters});
    let llama = "llama-grouped-tied";
    let mut table = vec![
        (llama, yarn.clone(), "rotary scaling 'yarn' is not supported"),
        // The base differs too, but the scaling is what has to be said.
        ("qwen3-norms", far, "rotary scaling 'yarn' is not supported"),
        ("phi3-longrope", yarn, "rotary scaling 'yarn' is not supported"),
        (llama, json!({"rope_scaling": {"type": "dynamic", "factor": 2.0}}), "'dynamic' is not supported"),
        (llama, both("dynamic"), "the rope_type 'linear', but the type 'dynamic'"),
        (llama, json!({"rope_scaling": {"factor": 4.0}}), "a factor, but no rope_type"),
        (llama, rotary(json!({"full_attention": {"rope_type": "default"}})), "differs by the kind of block"),
        ("qwen2-window", rotary(json!({"sliding_attention": {"rope_theta": 1.0}})), "('sliding_attention')"),
        (
            "qwen3-norms",
            json!({"rope_parameters": {"rope_theta": 5e5}, "rope_scaling": {"type": "linear", "factor": 2.0}}),
            "put all of it into rope_parameters",
        ),
        (llama, json!({"sliding_window": 16}), "sliding_window = 16"),
        ("gpt2", json!({"sliding_window": 16}), "sliding_window = 16"),
        (llama, json!({"layer_types": ["full_attention", "chunked_attention"]}), "layer_types"),
        (llama, json!({"hidden_act": "gelu"}), "hidden_act 'gelu'"),
        (llama, json!({"logits_scaling": 8.0}), "logits_scaling = 8.0"),
        (llama, json!({"residual_multiplier": 0.22}), "residual_multiplier = 0.22"),
        (llama, json!({"per_layer_config": {"1": {"num_attention_heads": 2}}}), "per_layer_config"),
        ("qwen3-norms", json!({"num_experts": 8}), "num_experts = 8"),
        (llama, json!({"scale_attn_weights": false}), "scale_attn_weights = false"),
        ("gpt2", json!({"add_cross_attention": true}), "add_cross_attention = true"),
        ("gpt2", json!({"num_attention_heads": 2}), "the same as n_head"),
        (llama, json!({"quantization_config": {"quant_method": "gptq", "bits": 4}}), "is quantised (gptq)"),
        (llama, json!({"quantization": {"group_size": 64, "bits": 4}}), "is quantised (MLX)"),
    ];
    for base in [llama, "mistral-window", "phi3-window", "qwen2-biases", "qwen3-norms", "gpt2"] {
        table.push((base, json!({"is_causal": false}), "is_causal = false"));
        table.push((base, json!({"attn_logit_softcapping": 30.0}), "attn_logit_softcapping"));
    }
    for (base, set, words) in table {
        for said in Change::of(base, set.clone()).refusals() {
            let said = said.unwrap_or_else(|| panic!("{base} is taken with {set}"));
            assert!(said.contains(words), "{said}");
        }
    }
    let blocks_alone = [
        (
            llama,
            json!({"partial_rotary_factor": 0.5, "rope_parameters": {"rope_type": "linear", "factor": 2.0}}),
            "partial_rotary_factor 0.5 with the rope_type 'linear'",
        ),
        ("mistral-window", json!({"layer_types": vec!["full_attention"; 3]}), "contradicts sliding_window"),
        ("qwen2-window", json!({"layer_types": ["full_attention"]}), "1 entries for 3 blocks"),
        ("qwen2-window", json!({"layer_types": vec!["chunked_attention"; 3]}), "'chunked_attention'"),
        ("qwen2-window", json!({"use_sliding_window": false}), "no sliding_window"),
    ];
    for (base, set, words) in blocks_alone {
        let said = Change::of(base, set).refusals()[0].clone().unwrap();
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn tensors_that_nobody_reads_are_refused() {
    let llama = "llama-grouped-tied";
    for (base, tensor) in [
        (llama, "model.layers.0.self_attn.q_proj.bias"),
        (llama, "model.layers.1.mlp.gate_proj.bias"),
        (llama, "model.layers.2.self_attn.q_norm.weight"),
        (llama, "layers.0.self_attn.q_proj.weight"),
        (llama, "model.embed_norm.weight"),
        (llama, "model.embed_tokens.bias"),
        (llama, "transformer.wpe.weight"),
        ("mistral-window", "model.layers.0.self_attn.o_proj.bias"),
        ("phi3-window", "model.layers.0.self_attn.qkv_proj.bias"),
        ("qwen2-biases", "model.layers.0.self_attn.o_proj.bias"),
        ("qwen3-norms", "model.layers.0.self_attn.k_proj.bias"),
        ("gpt2", "transformer.h.1.crossattention.c_attn.weight"),
        ("gpt2-bare", "h.1.mlp.gate.weight"),
    ] {
        let [blocks, head] = Change::adding(base, &[tensor]).refusals();
        let blocks = blocks.unwrap_or_else(|| panic!("{base} is taken with {tensor}"));
        assert!(blocks.contains(tensor) && blocks.contains("would not be the model's"), "{blocks}");
        assert_eq!(head, None, "{tensor}");
    }
    for (base, tensor) in [
        (llama, "score.weight"),
        (llama, "model.norm.bias"),
        (llama, "lm_head.bias"),
        ("qwen2-biases", "v_head.summary.weight"),
        ("gpt2", "score.weight"),
        ("gpt2-bare", "classifier.weight"),
    ] {
        let [blocks, head] = Change::adding(base, &[tensor]).refusals();
        assert_eq!(blocks, None, "{tensor}");
        assert!(head.unwrap().contains(&format!("not used: {tensor}; the head is not that")), "{tensor}");
    }
    let fewer = Change::of(llama, json!({"num_hidden_layers": 2})).refusals()[0].clone().unwrap();
    assert!(
        fewer.contains("model.layers.2.") && fewer.contains("and 6 more; the configuration has fewer"),
        "{fewer}"
    );
    let packed = Change::adding(llama, &["model.layers.0.mlp.up_proj.weight_packed"]).refusals()[0].clone();
    assert!(packed.unwrap().contains("is quantised (compressed-tensors)"));
}

/// A reward model: its states can be had, its head not; the embedding is never taken for it.
#[test]
fn a_model_without_its_head_gives_states_alone() {
    for (base, embedding) in [
        ("llama-linear-rope", "model.embed_tokens.weight"),
        ("mistral-window", "model.embed_tokens.weight"),
        ("phi3-window", "model.embed_tokens.weight"),
        ("qwen2-window", "model.embed_tokens.weight"),
        ("gpt2", "transformer.wte.weight"),
    ] {
        let set = json!({"tie_word_embeddings": false, "architectures": ["LlamaForSequenceClassification"]});
        let mut change = Change::of(base, set);
        change.rename.insert("lm_head.weight".into(), "score.weight".into());
        let [blocks, head] = change.refusals();
        assert_eq!(blocks, None, "{base}");
        let head = head.unwrap();
        assert!(
            head.contains("no tensor 'lm_head.weight'") && head.contains("SequenceClassification"),
            "{head}"
        );
        // Untied, the head is not the embedding either.
        change.rename = [(embedding.into(), "lm_head.weight".into())].into();
        change.without = vec!["architectures".into()];
        let [blocks, _] = change.refusals();
        assert!(blocks.unwrap().contains(embedding), "{base}");
    }
}

fn capture(model: &Path) -> String {
    let out = tempfile::tempdir().unwrap();
    let path = |name: &str| out.path().join(name).display().to_string();
    fs::write(path("samples.jsonl"), r#"{"input_ids": [1, 2, 3], "position": 2}"#).unwrap();
    let (model, samples, hidden) = (model.display().to_string(), path("samples.jsonl"), path("hidden"));
    let output = run(
        "onejump-capture",
        &["--model", &model, "--samples", &samples, "--out", &hidden, "--device", "cpu"],
    );
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_is_not_known_or_ignored_is_said_once() {
    let said = |set: Value| capture(Change::of("llama-grouped-tied", set).make().path());
    let unknown = said(json!({"next_year": 3, "rope_parameters": {"rope_type": "default", "turns": 2}}));
    assert!(
        unknown.contains("not known here: next_year;") && unknown.contains("rope_parameters.turns"),
        "{unknown}"
    );
    assert_eq!(unknown.matches("WARN").count(), 2, "{unknown}");
    let ignored = said(json!({"partial_rotary_factor": 0.5}));
    assert!(
        ignored.contains("partial_rotary_factor = 0.5") && ignored.matches("WARN").count() == 1,
        "{ignored}"
    );
    // What the hub's configurations of these families have: SmolLM2, Llama 3.2, Phi-3, Qwen2.5, GPT-2.
    for (base, set) in [
        (
            "llama-grouped-tied",
            json!({"is_llama_config": true, "rope_interleaved": false, "torch_dtype": "bfloat16"}),
        ),
        ("llama-grouped-tied", json!({"pretraining_tp": 1, "_name_or_path": "x", "rope_scaling": null})),
        ("phi3-window", json!({"auto_map": {"AutoConfig": "a.B"}, "attention_bias": false})),
        ("qwen2-biases", json!({"use_mrope": false, "max_window_layers": 21, "use_sliding_window": false})),
        ("gpt2", json!({"n_ctx": 64, "task_specific_params": {"a": 1}, "summary_type": "cls_index"})),
    ] {
        let said = capture(Change::of(base, set).make().path());
        assert!(!said.contains("WARN") && !said.contains("error"), "{said}");
    }
}

#[test]
fn checkpoints_of_the_repository_have_known_keys_alone() {
    let cases = fs::read_dir(folder().join("parity/cases")).unwrap();
    let cases: Vec<PathBuf> = cases.map(|case| case.unwrap().path()).collect();
    for model in
        cases.iter().flat_map(|case| [case.clone(), case.join("model.gguf")]).filter(|path| path.exists())
    {
        let said = capture(&model);
        assert!(!said.contains("WARN") && !said.contains("error"), "{}: {said}", model.display());
    }
}

/// Quantised checkpoints with files of their own beside config.json, and pickles in several files.
#[test]
fn files_beside_the_configuration_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
    let said = || open(folder.path()).err().unwrap();
    write("config.json", r#"{"model_type": "llama"}"#);
    write("pytorch_model-00001-of-00002.bin", "");
    assert!(said().contains("pytorch_model*.bin") && said().contains("safe_serialization"), "{}", said());
    write("quant_config.json", "{}");
    assert!(said().contains("is quantised (awq)"), "{}", said());
}
