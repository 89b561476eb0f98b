//! A run laid out for the hub, with files of shortcuts that only pretend.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use onejump_core::files::{self, read_json, sha256_bytes};
use onejump_core::layout::{RunLayout, Split};
use onejump_core::manifest::{CaptureInputs, FORMAT, HiddenManifest};
use onejump_core::observe::Silent;
use onejump_core::published::Published;
use onejump_core::results::{Average, Method, MethodName, Metrics, Summary};
use onejump_core::shortcut::{ShortcutKind, Solver, parameters};
use onejump_reproduce::{PublishOptions, Remark, ReproduceError, publish};

const H: usize = 576;
const BLOCKS: usize = 30;

/// The sets of the run, with their precision in percent; the last one lies elsewhere.
const SETS: [(&str, ShortcutKind, Solver, Option<usize>, f64); 5] = [
    ("shortcuts/jtc.safetensors", ShortcutKind::Jtc, Solver::ClosedForm, None, 41.4),
    ("shortcuts/n-njtc-adam.safetensors", ShortcutKind::NNjtc, Solver::Adam, Some(5), 16.2),
    ("shortcuts/joint-r57.safetensors", ShortcutKind::Joint, Solver::ClosedForm, Some(57), 24.4),
    ("ojfa-r57.safetensors", ShortcutKind::Ojfa, Solver::ClosedForm, Some(57), 30.6),
    ("shortcuts/tuned-lens-adam.safetensors", ShortcutKind::TunedLens, Solver::Adam, None, 40.5),
];

struct Finished {
    folder: tempfile::TempDir,
}

impl Finished {
    fn new(model: &str) -> Self {
        let finished = Self { folder: tempfile::tempdir().unwrap() };
        let (run, baselines) =
            (finished.run(), [MethodName::Constant, MethodName::Kind(ShortcutKind::Identity)]);
        let mut averages: Vec<Average> =
            baselines.into_iter().map(|name| average(Method::untrained(name), 9.0)).collect();
        for (file, kind, solver, rank, percent) in SETS {
            files::write_bytes(&run.root().join(file), file.as_bytes()).unwrap();
            let jump = (kind == ShortcutKind::Ojfa).then_some(22);
            let parameters = parameters(kind, H, rank.unwrap_or(0), BLOCKS);
            let name = MethodName::Kind(kind);
            averages.push(average(Method { name, solver: Some(solver), rank, jump, parameters }, percent));
        }
        for suffix in ["", "-r57"] {
            let figure = run.figures().join(format!("figure-4{suffix}.svg"));
            files::write_bytes(&figure, format!("<svg>{suffix}</svg>").as_bytes()).unwrap();
        }
        let summary = Summary {
            model: model.into(),
            model_sha256: None,
            architecture: "llama".into(),
            hidden_size: H,
            blocks: BLOCKS,
            vocab_size: 100,
            train_samples: 9000,
            test_samples: 3000,
            test_samples_at_0: 1,
            choices: Vec::new(),
            averages,
        };
        files::write_json(&run.summary(), &summary).unwrap();
        manifest(model).write(&run.hidden(Split::Train)).unwrap();
        let config = format!("model = {model:?}\nsentences = \"wikipedia\"\nseed = 0\nonejump = \"0.1.0\"\n");
        fs::write(run.config(), config).unwrap();
        finished
    }

    fn run(&self) -> RunLayout {
        RunLayout::new(self.folder.path().join("run"))
    }

    fn options(&self) -> PublishOptions {
        PublishOptions { folder: self.folder.path().join("hub"), repository: None, license: None }
    }

    fn publish(&self) -> Result<onejump_reproduce::Publication, ReproduceError> {
        publish(&self.run(), &self.options())
    }

    fn published(&self, file: &str) -> String {
        fs::read_to_string(self.options().folder.join(file)).unwrap()
    }
}

fn average(method: Method, percent: f64) -> Average {
    let metrics = Metrics {
        precision_1: percent / 100.0,
        precision_5: 0.5,
        precision_10: 0.6,
        surprisal: 5.4375,
        mat_surprisal: 6.0,
        cosine: None,
        relative_mse: None,
    };
    Average { method, all: metrics, without_0: None }
}

fn manifest(model: &str) -> HiddenManifest {
    let inputs = CaptureInputs {
        model: model.into(),
        architecture: "llama".into(),
        model_sha256: "abc".into(),
        hidden_size: H,
        blocks: BLOCKS,
        vocab_size: 100,
        sentences: "train.txt".into(),
        sentences_sha256: String::new(),
        samples: 0,
        truncated: 0,
        seed: 0,
        position_0: true,
        bos: false,
        dtype: "f32".into(),
        device: None,
        batch_tokens: None,
        batch_parts: None,
        positions: None,
        chunk_tokens: None,
        pack: false,
        texts: None,
        levels: None,
        store_dtype: "f32".into(),
        onejump: String::new(),
        libtorch: String::new(),
    };
    HiddenManifest {
        format: FORMAT,
        shard: None,
        inputs,
        samples_per_part: 1,
        parts: Vec::new(),
        parts_total: 0,
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
}

#[test]
fn a_run_becomes_a_folder_that_says_what_it_is() {
    let finished = Finished::new("smollm2-135m");
    let published = finished.publish().unwrap();
    assert_eq!((published.files, &*published.default), (4, "ojfa-r57.safetensors"));
    assert_eq!(published.remarks, []);
    let files = ["joint-r57", "jtc", "n-njtc-adam-r5", "ojfa-r57"].map(|name| format!("{name}.safetensors"));
    let expected = [&["README.md", "config.json", "figure.svg"].map(str::to_owned)[..], &files].concat();
    assert_eq!(names(&finished.options().folder), expected);
    // Beside it nothing stays that was not there.
    assert_eq!(names(finished.folder.path()), ["hub", "run"]);

    let config: Published = read_json(&finished.options().folder.join("config.json")).unwrap();
    assert_eq!(config.default, "ojfa-r57.safetensors");
    assert_eq!(config.base_model.as_deref(), Some("HuggingFaceTB/SmolLM2-135M-Instruct"));
    assert_eq!((config.hidden_size, config.blocks, &*config.model_sha256), (H, BLOCKS, "abc"));
    let one = config.files.iter().find(|file| file.file == config.default).unwrap();
    assert_eq!((one.jump, one.rank, one.parameters), (Some(22), Some(57), 67_968));
    assert_eq!(one.sha256, sha256_bytes(b"ojfa-r57.safetensors"));

    let card = finished.published("README.md");
    let front = card.strip_prefix("---\n").unwrap().split_once("\n---\n").unwrap().0;
    for line in [
        "library_name: onejump",
        "base_model: \"HuggingFaceTB/SmolLM2-135M-Instruct\"",
        "license: apache-2.0",
        "- early-exit",
        "- logit-lens",
        "- name: \"Shortcuts for SmolLM2-135M-Instruct\"",
        "      name: \"ojfa-r57.safetensors: precision, mean over the exit levels\"",
        "      value: 5.4375",
    ] {
        assert!(front.lines().any(|found| found == line), "{line}\n{front}");
    }
    for text in [
        "| ojfa | 57 | closed-form | 67,968 | 30.6 % | 50.0 % | 5.44 | `ojfa-r57.safetensors` |",
        "| tuned-lens |  | adam | 9,970,560 | 40.5 % | 50.0 % | 5.44 |  |",
        "one map for all exit levels (ojfa, rank 57), trained at level 22, 67,968 parameters",
        "](figure.svg)",
        "--jump OWNER/NAME",
        "on 3,000 test sentences of `wikipedia`",
    ] {
        assert!(card.contains(text), "{text}\n{card}");
    }
    // Figure 4 of the default's rank.
    assert_eq!(finished.published("figure.svg"), "<svg>-r57</svg>");
    let found = onejump_fetch::shortcuts(&finished.options().folder, &Silent).unwrap();
    assert_eq!(fs::read(found).unwrap(), b"ojfa-r57.safetensors");
}

#[test]
fn what_was_published_before_is_replaced_and_other_files_stay() {
    let finished = Finished::new("smollm2-135m");
    finished.publish().unwrap();
    let folder = finished.options().folder;
    files::write_bytes(&folder.join(".git/HEAD"), b"ref").unwrap();
    // What a killed process leaves goes.
    fs::create_dir(folder.join(".hub.unfinished-abc")).unwrap();
    fs::remove_file(finished.run().root().join("shortcuts/jtc.safetensors")).unwrap();
    let options = PublishOptions {
        repository: Some("me/jumps".into()),
        license: Some("mit".into()),
        ..finished.options()
    };
    assert_eq!(publish(&finished.run(), &options).unwrap().files, 3);
    assert!(!folder.join("jtc.safetensors").exists() && folder.join(".git/HEAD").is_file());
    let others = ["README.md", "config.json", "figure.svg"].map(str::to_owned);
    let left =
        names(&folder).into_iter().filter(|name| !name.ends_with(".safetensors") && !others.contains(name));
    assert_eq!(left.collect::<Vec<_>>(), [".git"]);
    let card = finished.published("README.md");
    assert!(
        card.contains("\nlicense: mit\n") && card.contains("--jump me/jumps\n") && !card.contains("OWNER"),
        "{card}"
    );
}

#[test]
fn a_model_of_this_machine_is_named_without_its_path() {
    let finished = Finished::new("/home/me/tiny");
    let published = finished.publish().unwrap();
    assert!(
        matches!(&published.remarks[..], [Remark::NoBaseModel { .. }, Remark::NoLicense]),
        "{published:?}"
    );
    let card = finished.published("README.md");
    assert!(!card.contains("base_model") && !card.contains("/home/me"), "{card}");
    assert!(card.contains("\nlicense: other\nlicense_name: of-the-model\n"), "{card}");
    assert!(!finished.published("config.json").contains("/home/me"));
}

#[test]
fn what_cannot_be_published_is_refused() {
    let finished = Finished::new("smollm2-135m");
    let said = |folder: PathBuf| {
        publish(&finished.run(), &PublishOptions { folder, ..finished.options() }).unwrap_err()
    };
    assert!(said(finished.run().root().to_owned()).to_string().contains("is a run's folder"));
    let other = finished.folder.path().join("model");
    files::write_bytes(&other.join("config.json"), b"{\"model_type\": \"llama\"}").unwrap();
    assert!(said(other.clone()).to_string().contains("config.json of something else"));
    assert_eq!(names(&other), ["config.json"]);
    fs::remove_file(finished.run().summary()).unwrap();
    assert!(finished.publish().unwrap_err().to_string().contains("is no finished run"));
    assert!(!finished.options().folder.exists());
}
