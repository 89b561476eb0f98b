//! The front door for programs that build on the library: `crates/exit/examples/early_exit.rs`, in the workspace and
//! as a program outside of it. There Cargo checks it; `cargo test --release --workspace --test early_exit -- --ignored`
//! builds it too, in as many minutes as Onejump itself takes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::Place;
use onejump_models::head::Head;
use onejump_models::transformer::Transformer;
use onejump_shortcuts::file::ShortcutFile;
use onejump_tests::{binary, folder, repository, succeed};
use tch::Kind;

const MODEL: &str = "smollm2-135m";
const PROMPT: &str = "The University of Oxford is the oldest university in the English-speaking";

/// The probability that the example asks for.
const SURE: f64 = 0.9;

/// One jump from a few dozen sentences: it is wrong often, and sure of it at some level.
fn train(folder: &Path) -> PathBuf {
    let path = |name: &str| folder.join(name).display().to_string();
    let sentences = repository("data/wikipedia/train.txt").display().to_string();
    let capture = ["--model", MODEL, "--sentences", &sentences, "--limit", "64", "--device", "cpu"];
    succeed("onejump-capture", &[&capture[..], &["--out", &path("hidden")]].concat());
    let (jumps, one, scores) = (path("n-njtc.safetensors"), path("ojfa.safetensors"), path("scores.parquet"));
    succeed("onejump-train", &["--hidden", &path("hidden"), "--kind", "n-njtc", "--out", &jumps]);
    let outputs = ["--out", &scores, "--ojfa", &one];
    succeed("onejump-score", &[&["--hidden", &path("hidden"), "--shortcuts", &jumps], &outputs[..]].concat());
    one.into()
}

/// What the example must print, by the full head at every level and without the fused one.
fn expected(jump: &Path) -> String {
    let mut checkpoint = Checkpoint::open(MODEL).unwrap();
    let tokenizer = checkpoint.tokenizer().unwrap();
    let model = Transformer::load(&mut checkpoint, Place::CPU).unwrap();
    let head = Head::load(&mut checkpoint, Place::CPU).unwrap();
    let jump = ShortcutFile::read(jump).unwrap();
    let encoding = tokenizer.encode(PROMPT, true).unwrap();
    let tokens: Vec<i64> = encoding.get_ids().iter().map(|&id| i64::from(id)).collect();
    let states = model.states_at_last(&[&tokens]).unwrap(); // (K + 1, 1, H)
    for level in 0..=model.blocks() {
        let state = states.get(level as i64);
        let last = level == model.blocks();
        let approximation = if last { state } else { jump.map_at(level).unwrap().apply(&state).unwrap() };
        let probabilities = head.logits(&approximation).unwrap().softmax(1, Kind::Double);
        let probability = probabilities.max().double_value(&[]);
        if probability >= SURE || last {
            let token = probabilities.argmax(1, false).int64_value(&[0]) as u32;
            let token = tokenizer.decode(&[token], false).unwrap();
            let blocks = model.blocks();
            return format!(
                "{token:?} after {level} of {blocks} blocks, with a probability of {probability:.2}\n"
            );
        }
    }
    unreachable!("the last level answers in any case")
}

fn answer(program: &Path, jump: &Path) -> String {
    let output = Command::new(program).args([MODEL, &jump.display().to_string(), PROMPT]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Copies the program to a folder that no workspace is above, and has Cargo check or build it there.
fn outside(cargo: &[&str]) -> PathBuf {
    let folder_outside = tempfile::tempdir().unwrap();
    let source = folder().join("outside");
    let manifest = fs::read_to_string(source.join("Cargo.toml")).unwrap();
    let crates = repository("crates").canonicalize().unwrap().display().to_string();
    assert!(manifest.contains("../../crates"), "{manifest}");
    let path = |name: &str| folder_outside.path().join(name);
    fs::write(path("Cargo.toml"), manifest.replace("../../crates", &crates)).unwrap();
    fs::copy(source.join("build.rs"), path("build.rs")).unwrap();
    // The versions of the workspace; what the program does not need is dropped from the copy.
    fs::copy(repository("Cargo.lock"), path("Cargo.lock")).unwrap();
    // What it depends on is kept between runs.
    let target = binary("").parent().unwrap().join("outside");
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(cargo)
        .arg("--quiet")
        .current_dir(folder_outside.path())
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .status()
        .unwrap();
    assert!(status.success(), "cargo {cargo:?} of the program outside the workspace");
    target.join("release/early_exit")
}

#[test]
fn the_example_answers_as_the_full_head_does() {
    let folder = tempfile::tempdir().unwrap();
    let jump = train(folder.path());
    assert_eq!(answer(&binary("examples/early_exit"), &jump), expected(&jump));
}

/// With the features that it asks for itself; in the workspace all crates share theirs.
#[test]
fn the_example_compiles_outside_the_workspace() {
    outside(&["check"]);
}

#[test]
#[ignore = "compiles all that it depends on, for minutes"]
fn the_example_finds_libtorch_and_answers_outside_the_workspace() {
    let folder = tempfile::tempdir().unwrap();
    let jump = train(folder.path());
    assert_eq!(answer(&outside(&["build", "--release"]), &jump), expected(&jump));
}
