//! Batches out of several parts, as for a GPU, on a processor: the same states, and the same bytes again after an
//! interruption or in shards.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use onejump_core::layout::{MANIFEST, part_file};
use onejump_core::manifest::HiddenManifest;
use onejump_store::hidden::HiddenStates;
use onejump_tests::synthetic::{Sizes, write_model, write_samples};
use onejump_tests::{binary, fail, relative_error, succeed, tree};

/// Many levels, so that a part of 64 MB is full after 7,943 samples of little work each.
const SIZES: Sizes = Sizes { hidden: 64, blocks: 32, vocabulary: 4096 };

/// Three parts: a window of two, and one of the third alone.
const SAMPLES: usize = 18_000;

/// f32 sums of 64 values in another order, through 32 blocks.
const TOLERANCE: f64 = 1e-4;

/// Nothing here takes longer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn arguments(&self, out: &str, more: &[&str]) -> Vec<String> {
        let text = |name: &str| self.path(name).display().to_string();
        let (model, samples, out) = (text("model"), text("samples.jsonl"), text(out));
        let all = ["--model", &model, "--samples", &samples, "--out", &out, "--device", "cpu"];
        all.iter().chain(more).map(|&argument| argument.to_owned()).collect()
    }

    fn capture(&self, out: &str, more: &[&str]) -> String {
        let arguments = self.arguments(out, more);
        succeed("onejump-capture", &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

fn same(one: &Path, other: &Path) {
    let (one, other) = (tree(one), tree(other));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    assert!(one == other, "the bytes differ");
}

#[test]
fn a_window_of_parts_gives_the_same_states_and_the_same_bytes_again() {
    let bench = Bench { folder: tempfile::tempdir().unwrap() };
    write_model(&bench.path("model"), SIZES);
    write_samples(&bench.path("samples.jsonl"), SIZES, SAMPLES);
    let window = ["--batch-parts", "2", "--batch-tokens", "3000"];
    bench.capture("plain", &[]);
    assert!(bench.capture("window", &window).contains("computed 18000 samples"));
    let [plain, states] = ["plain", "window"].map(|name| HiddenStates::open(bench.path(name)).unwrap());
    let manifest = states.manifest();
    assert_eq!((manifest.parts.len(), manifest.inputs.batch_parts), (3, Some(2)));
    assert_eq!(plain.manifest().inputs.batch_parts, None);
    for level in [0, 1, 16, 31, 32] {
        let (ours, expected) = (states.level(level).unwrap(), plain.level(level).unwrap());
        for (row, (ours, expected)) in ours.chunks(64).zip(expected.chunks(64)).enumerate() {
            let error = relative_error(ours, expected);
            assert!(error < TOLERANCE, "level {level}, sample {row}: {error}");
        }
    }

    // A part that was lost is computed again out of the same batches.
    for lost in [0, 2] {
        let path = bench.path("window");
        let text = fs::read_to_string(path.join(MANIFEST)).unwrap();
        let mut manifest: HiddenManifest = serde_json::from_str(&text).unwrap();
        let before = tree(&path);
        manifest.parts.retain(|part| part.file != part_file(lost));
        manifest.write(&path).unwrap();
        fs::remove_file(path.join(part_file(lost))).unwrap();
        let said = bench.capture("window", &window);
        let computed = if lost == 2 { 18_000 - 2 * 7943 } else { 7943 };
        assert!(said.contains(&format!("computed {computed} samples")), "{said}");
        assert!(tree(&path) == before, "part {lost} differs");
    }

    // Killed once a part is there.
    let mut command = Command::new(binary("onejump-capture"));
    command.args(bench.arguments("killed", &window)).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let started = Instant::now();
    while HiddenManifest::read(&bench.path("killed")).map_or(0, |manifest| manifest.parts.len()) == 0 {
        assert!(started.elapsed() < PATIENCE, "nothing happened");
        sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    bench.capture("killed", &window);
    same(&bench.path("killed"), &bench.path("window"));

    // Shards share out windows, not parts.
    assert!(bench.capture("shards", &[&window[..], &["--shard", "1/2"]].concat()).contains("computed 2114"));
    assert!(bench.capture("shards", &[&window[..], &["--shard", "0/2"]].concat()).contains("computed 15886"));
    let out = bench.path("shards").display().to_string();
    assert!(succeed("onejump-store", &["merge", &out]).contains("18000 samples in 3 parts: 3 linked"));
    for shard in ["shard-0-of-2", "shard-1-of-2"] {
        fs::remove_dir_all(bench.path("shards").join(shard)).unwrap();
    }
    same(&bench.path("shards"), &bench.path("window"));
    // What was merged is not captured again.
    assert!(!bench.capture("shards", &[&window[..], &["--shard", "1/2"]].concat()).contains("computed"));

    // Batches of another kind would differ by rounding: they do not share a folder.
    for (out, more) in [("plain", &window[..]), ("window", &["--batch-tokens", "3000"])] {
        let arguments = bench.arguments(out, more);
        let said = fail("onejump-capture", &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(said.contains("holds another capture (batch_"), "{said}");
    }
}

/// In bf16 the states of both ways differ by its rounding, 2^-9 a step, through three blocks; they are copied without
/// another one: each is a number of bf16.
#[test]
fn states_are_those_of_the_type_that_computes() {
    let case = onejump_tests::folder().join("parity/cases/llama-grouped-tied");
    let (model, samples) = (case.display().to_string(), case.join("samples.jsonl").display().to_string());
    let folder = tempfile::tempdir().unwrap();
    let [plain, window] = [("plain", "1"), ("window", "3")].map(|(name, parts)| {
        let out = folder.path().join(name);
        let text = out.display().to_string();
        let arguments = ["--model", &model, "--samples", &samples, "--out", &text, "--device", "cpu"];
        succeed("onejump-capture", &[&arguments[..], &["--dtype", "bf16", "--batch-parts", parts]].concat());
        HiddenStates::open(out).unwrap()
    });
    for level in 0..=plain.blocks() {
        let (ours, expected) = (window.level(level).unwrap(), plain.level(level).unwrap());
        assert!(ours.iter().all(|value| value.to_bits() & 0xffff == 0), "level {level} is not in bf16");
        let error = relative_error(&ours, &expected);
        assert!(error < 2e-2, "level {level}: {error}");
    }
}
