//! Training, scoring and evaluation on small made-up states against float64 NumPy
//! (`golden/witness.py`, function `tiny`).

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod beyond;
mod one_jump;

use std::fs;
use std::path::Path;

use onejump_core::files::sha256_file;
use onejump_core::layout::part_file;
use onejump_core::manifest::{CaptureInputs, DeviceKind, FORMAT, HiddenManifest, Part};
use onejump_core::results::Metrics;
use onejump_core::shortcut::ShortcutKind;
use onejump_models::checkpoint::Checkpoint;
use onejump_shortcuts::file::ShortcutFile;
use onejump_store::dtype::StoreDtype;
use onejump_store::part::{PartRows, TextRows, write_part};
use onejump_store::tables::{read_per_level, read_scores};
use onejump_tests::{Tensors, fail, golden, succeed};
use serde_json::{Value, json};
use tch::Tensor;

const H: usize = 16;
const K: usize = 4;
const V: usize = 50;
const R: &str = "3";

/// The made-up model (its head alone), states and all trained files in a folder.
struct Run {
    folder: tempfile::TempDir,
    expected: Value,
    tensors: Tensors,
}

impl Run {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let expected = serde_json::from_slice(&fs::read(golden("tiny.json")).unwrap()).unwrap();
        let tensors = Tensors::read(&golden("tiny.safetensors"));
        let run = Self { folder, expected, tensors };
        run.write_model();
        for split in ["train", "test"] {
            run.write_states(split, split, None);
        }
        for kind in ["jtc", "njtc", "n-njtc", "joint"] {
            run.train(kind, kind, &[]);
        }
        run.stage(
            "onejump-score",
            &["--hidden", "train", "--shortcuts", "n-njtc.safetensors"],
            &["--out", "scores.parquet", "--ojfa", "ojfa.safetensors"],
        );
        run
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn train(&self, kind: &str, file: &str, more: &[&str]) {
        let out = self.path(&format!("{file}.safetensors"));
        let mut arguments = vec!["--kind", kind, "--out", &out, "--rank", R];
        arguments.extend(more);
        let hidden = self.path("train");
        arguments.extend(["--hidden", &hidden]);
        succeed("onejump-train", &arguments);
    }

    /// Runs a stage with every value of the flag-value pairs taken as a path in the folder.
    fn stage(&self, binary: &str, inputs: &[&str], outputs: &[&str]) -> String {
        let arguments: Vec<String> = inputs
            .iter()
            .chain(outputs)
            .map(
                |argument| {
                    if argument.starts_with("--") { (*argument).to_owned() } else { self.path(argument) }
                },
            )
            .collect();
        succeed(binary, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// A Hugging Face directory with nothing but the head.
    fn write_model(&self) {
        let folder = self.folder.path().join("model");
        fs::create_dir(&folder).unwrap();
        let config = json!({
            "model_type": "llama", "vocab_size": V, "hidden_size": H, "intermediate_size": 8,
            "num_hidden_layers": K, "num_attention_heads": 2, "max_position_embeddings": 8,
            "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": false,
        });
        fs::write(folder.join("config.json"), config.to_string()).unwrap();
        let tensor = |name: &str, shape: &[i64]| Tensor::from_slice(&self.tensors.f32(name)).reshape(shape);
        let (h, v) = (H as i64, V as i64);
        let named = [
            ("model.norm.weight", tensor("norm.weight", &[h])),
            ("lm_head.weight", tensor("unembedding", &[v, h])),
        ];
        Tensor::write_safetensors(&named, folder.join("model.safetensors")).unwrap();
    }

    /// The states of a split, each a text of its own where nothing is said.
    fn write_states(&self, folder: &str, split: &str, text_ids: Option<Vec<u64>>) {
        let folder = self.folder.path().join(folder);
        let hidden = self.tensors.f32(&format!("{split}.hidden")); // (N, K + 1, H)
        let positions = self.tensors.i32(&format!("{split}.position"));
        let samples = positions.len();
        let level = |k: usize| {
            (0..samples).flat_map(|i| hidden[(i * (K + 1) + k) * H..][..H].to_vec()).collect::<Vec<f32>>()
        };
        let rows = PartRows {
            sample_ids: (0..samples as u64).collect(),
            sentences: vec![None; samples],
            token_ids: positions
                .iter()
                .map(|&position| (0..=position).map(|place| 7 * place % V as i32).collect())
                .collect(),
            positions: positions.iter().map(|&position| position as u32).collect(),
            texts: text_ids.clone().map(|ids| TextRows { chunks: vec![0; ids.len()], text_ids: ids }),
            levels: (0..=K).map(level).enumerate().collect(),
        };
        let path = folder.join(part_file(0));
        write_part(&path, &rows, H, StoreDtype::F32).unwrap();
        let inputs = CaptureInputs {
            model: "tiny".into(),
            architecture: "llama".into(),
            model_sha256: Checkpoint::open(&self.path("model")).unwrap().sha256().unwrap(),
            hidden_size: H,
            blocks: K,
            vocab_size: V,
            sentences: split.into(),
            sentences_sha256: String::new(),
            samples,
            truncated: 0,
            seed: 0,
            position_0: true,
            bos: false,
            dtype: "f32".into(),
            store_dtype: "f32".into(),
            device: Some(DeviceKind::Cpu),
            batch_tokens: Some(512),
            batch_parts: None,
            positions: None,
            chunk_tokens: None,
            pack: false,
            texts: text_ids.map(|ids| ids.chunk_by(|one, next| one == next).count()),
            levels: None,
            onejump: String::new(),
            libtorch: String::new(),
        };
        let (bytes, sha256) = (fs::metadata(&path).unwrap().len(), sha256_file(&path).unwrap());
        let part = Part { file: part_file(0), samples, bytes, sha256 };
        HiddenManifest {
            format: FORMAT,
            shard: None,
            inputs,
            samples_per_part: samples,
            parts: vec![part],
            parts_total: 1,
        }
        .write(&folder)
        .unwrap();
    }

    fn shortcuts(&self, file: &str) -> ShortcutFile {
        ShortcutFile::read(Path::new(&self.path(&format!("{file}.safetensors")))).unwrap()
    }

    /// E‖y‖² of the training set: the scale of rounding in a loss.
    fn target_square(&self) -> f64 {
        let hidden = self.tensors.f32("train.hidden");
        let rows = hidden.len() / ((K + 1) * H);
        let last = |i: usize| &hidden[(i * (K + 1) + K) * H..][..H];
        (0..rows).flat_map(last).map(|y| f64::from(*y).powi(2)).sum::<f64>() / rows as f64
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().map(|value| value.as_f64().unwrap()).collect(),
        value => vec![value.as_f64().unwrap()],
    }
}

/// The maps are stored in f32, so a loss may be off by a few 1e-7 of E‖y‖²: 1e-6 leaves a margin.
#[test]
fn closed_form_is_numpys_optimum() {
    let run = Run::new();
    for kind in ["jtc", "njtc", "n-njtc", "joint"] {
        let ours = run.shortcuts(kind).card.training_loss;
        let theirs = numbers(&run.expected["training_loss"][kind]);
        assert_eq!(ours.len(), theirs.len());
        for (level, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            assert!((ours - theirs).abs() < 1e-6 * run.target_square(), "{kind} {level}: {ours} {theirs}");
        }
    }
}

/// Trained together or one after another, the files are the same to the byte.
#[test]
fn sets_trained_together_are_those_trained_alone() {
    let run = Run::new();
    let hidden = run.path("train");
    for (solver, kinds) in [("closed-form", "jtc,njtc,n-njtc,joint"), ("adam", "n-njtc,joint,jtc")] {
        let together = run.path(solver);
        let arguments = ["--kind", kinds, "--rank", "2,3,2", "--solver", solver, "--out", &together];
        succeed("onejump-train", &[&arguments[..], &["--hidden", &hidden]].concat());
        let mut files: Vec<_> = fs::read_dir(&together).unwrap().map(|file| file.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "safetensors"));
        let ranked = kinds.split(',').count() - 1;
        assert_eq!(files.len(), 1 + 2 * ranked);
        for file in files {
            let card = ShortcutFile::read(&file).unwrap().card;
            let rank = card.rank.unwrap_or(2).to_string();
            let alone = run.path("alone.safetensors");
            let arguments =
                ["--kind", card.kind.name(), "--rank", &rank, "--solver", solver, "--out", &alone];
            succeed("onejump-train", &[&arguments[..], &["--hidden", &hidden]].concat());
            assert!(fs::read(&file).unwrap() == fs::read(&alone).unwrap(), "{}", file.display());
        }
    }
    let alone = run.path("alone.safetensors");
    let said = fail("onejump-train", &["--kind", "jtc,njtc", "--hidden", &hidden, "--out", &alone]);
    assert!(said.contains("is a file; several kinds or ranks need a folder"), "{said}");
}

/// A·B is unique though A and B are not: ĥ = h·m + c. f32 storage of A and B rounds to 6e-8 of their
/// size; 1e-4 of the map's norm leaves room for the states' condition.
#[test]
fn closed_form_maps_are_numpys() {
    let run = Run::new();
    for kind in ["jtc", "njtc", "n-njtc", "joint"] {
        let file = run.shortcuts(kind);
        for level in 0..K {
            let prefix = if kind == "joint" { kind.to_owned() } else { format!("{kind}.level.{level}") };
            let (m, c) = (run.tensors.f64(&format!("{prefix}.m")), run.tensors.f64(&format!("{prefix}.c")));
            // Zero gives c; the rows of the identity give c + m.
            let zero = Tensor::zeros([1, H as i64], (tch::Kind::Float, tch::Device::Cpu));
            let inputs = Tensor::cat(&[zero, Tensor::eye(H as i64, (tch::Kind::Float, tch::Device::Cpu))], 0);
            let mapped = file.map_at(level).unwrap().apply(&inputs).unwrap();
            let mapped = Vec::<f32>::try_from(mapped.reshape([-1])).unwrap();
            let norm = m.iter().chain(&c).map(|x| x * x).sum::<f64>().sqrt();
            for row in 0..=H {
                for column in 0..H {
                    let expected = c[column] + if row > 0 { m[(row - 1) * H + column] } else { 0.0 };
                    let found = f64::from(mapped[row * H + column]);
                    assert!(
                        (found - expected).abs() < 1e-4 * norm,
                        "{prefix} {row},{column}: {found} {expected}"
                    );
                }
            }
        }
    }
}

/// The paper's Eq. 2 has one minimum: no gradient descent goes below it. 1e-6 of E‖y‖² is rounding.
#[test]
fn gradient_descent_is_never_below_the_closed_form() {
    let run = Run::new();
    for kind in ["n-njtc", "njtc", "joint"] {
        let closed = run.shortcuts(kind).card.training_loss;
        for more in [["--epochs", "1"], ["--epochs", "200"]] {
            let mut arguments = vec!["--solver", "adam", "--batch-size", "20"];
            arguments.extend(more);
            run.train(kind, "adam", &arguments);
            let adam = run.shortcuts("adam").card.training_loss;
            for (closed, adam) in closed.iter().zip(&adam) {
                assert!(*adam > closed - 1e-6 * run.target_square(), "{kind} {more:?}: {adam} < {closed}");
            }
            if kind == "n-njtc" && more[1] == "200" {
                // It does get near: within a quarter of the optimum at every level.
                assert!(
                    closed.iter().zip(&adam).all(|(closed, adam)| *adam < 1.25 * closed),
                    "{adam:?} {closed:?}"
                );
            }
        }
    }
}

/// Cosines of f32 products of 16 values: 1e-5 is a hundred roundings.
#[test]
fn scores_and_choice_are_numpys() {
    let run = Run::new();
    for score in read_scores(Path::new(&run.path("scores.parquet"))).unwrap() {
        for (name, ours) in
            [("mean_cosine", score.mean_cosine), ("mean_signed_square", score.mean_signed_square)]
        {
            let theirs = run.expected[name][score.jump][score.level].as_f64().unwrap();
            assert!((ours - theirs).abs() < 1e-5, "{name} {score:?}: {theirs}");
        }
    }
    let choice = run.shortcuts("ojfa").card.choice.unwrap();
    assert_eq!(json!(choice.level), run.expected["choice"]["exit"]);
    assert_eq!(
        json!(choice.best(onejump_core::shortcut::LevelConvention::Eq5)),
        run.expected["choice"]["eq5"].clone()
    );
    for (ours, name) in [(&choice.d_exit, "exit"), (&choice.d_eq5, "eq5")] {
        let theirs = numbers(&run.expected["d"][name]);
        assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-5), "{ours:?} {theirs:?}");
    }
}

/// NumPy draws with generators of its own, 100,000 times: our 1,000 draws have a deviation of 0.016 at most, and 0.07 is
/// four of them; the ends of an interval wander by a tenth of its width, and 0.15 leaves a margin.
#[test]
fn how_sure_the_choice_is_is_numpys() {
    let run = Run::new();
    let mut shares = Vec::new();
    for (folder, expected) in ["alone", "texts"].into_iter().zip(run.expected["redrawn"].as_array().unwrap())
    {
        let text_ids = numbers(&expected["texts"]).into_iter().map(|id| id as u64).collect();
        run.write_states(folder, "train", (folder == "texts").then_some(text_ids));
        let said = run.stage(
            "onejump-score",
            &["--hidden", folder, "--shortcuts", "n-njtc.safetensors"],
            &["--out", "again.parquet", "--ojfa", "again.safetensors"],
        );
        let choice = run.shortcuts("again").card.choice.unwrap();
        let sureness = choice.sureness.unwrap();
        assert_eq!(sureness.draws, 1000);
        let theirs = ["shares", "d_low", "d_high"].map(|name| numbers(&expected[name]));
        for jump in 0..K {
            let (ours, share) = (sureness.shares[jump], theirs[0][jump]);
            assert!((ours - share).abs() < 0.07, "{folder}, jump {jump}: {ours} {share}");
            let width = theirs[2][jump] - theirs[1][jump];
            for (ours, theirs) in [(&sureness.d_low, &theirs[1]), (&sureness.d_high, &theirs[2])] {
                assert!((ours[jump] - theirs[jump]).abs() < 0.15 * width, "{folder}, jump {jump}");
            }
        }
        let share = sureness.shares[choice.level];
        let line = format!("jump {} is chosen in {:.1} % of 1,000 draws", choice.level, share * 100.0);
        assert!(said.contains(&line), "{said}");
        shares.push(sureness.shares);
    }
    assert!(shares[0] != shares[1]);
}

/// Precisions are exact: no two logits of the golden states are closer than 5e-3. The rest is f32
/// arithmetic on values of order 1 to 10: 1e-4.
#[test]
fn metrics_are_numpys() {
    let run = Run::new();
    run.stage(
        "onejump-evaluate",
        &[
            "--hidden",
            "test",
            "--model",
            "model",
            "--ojfa",
            "ojfa.safetensors",
            "--shortcuts",
            "jtc.safetensors",
            "njtc.safetensors",
            "n-njtc.safetensors",
            "joint.safetensors",
        ],
        &["--out", "results"],
    );
    let rows = read_per_level(Path::new(&run.path("results/per_level.parquet"))).unwrap();
    let expected = run.expected["per_level"].as_array().unwrap();
    assert!(expected.len() >= 7 * K, "{}", expected.len());
    for theirs in expected {
        // The choice under the other convention is, to the evaluation, one more jump.
        let name = match theirs["method"].as_str().unwrap() {
            "ojfa-eq5" => format!("jump-{}", theirs["jump"]),
            name => name.to_owned(),
        };
        let found = rows
            .iter()
            .find(|row| row.method.name.to_string() == name && json!(row.level) == theirs["level"]);
        let ours = found.unwrap_or_else(|| panic!("no row for {theirs}"));
        compare(&ours.all, theirs, "");
        compare(&ours.without_0.unwrap(), theirs, "_without_0");
    }
}

fn compare(ours: &Metrics, theirs: &Value, suffix: &str) {
    for (name, ours) in onejump_core::results::METRICS.iter().zip(ours.values()) {
        let theirs_value = theirs[format!("{name}{suffix}")].as_f64();
        let tolerance = if name.starts_with("precision") { 1e-12 } else { 1e-4 };
        let close = match (ours, theirs_value) {
            (Some(a), Some(b)) => (a - b).abs() <= tolerance * b.abs().max(1.0),
            (None, None) => true,
            _ => false,
        };
        assert!(close, "{name}{suffix}: {ours:?}, expected {theirs_value:?} in {theirs}");
    }
}
