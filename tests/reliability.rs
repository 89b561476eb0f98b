//! Two writers, signals, `kill -9`, and runs that repeat themselves byte for byte.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use onejump_core::layout::part_file;
use onejump_core::lock;
use onejump_core::manifest::{DeviceKind, HiddenManifest};
use onejump_core::seed::{self, Purpose};
use onejump_tests::synthetic::{Sizes, write_model, write_samples};
use onejump_tests::{binary, fail, folder, repository, succeed, tree};
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};

/// Many levels, so that a part of 64 MB is full after 7,943 samples of little work each.
const SIZES: Sizes = Sizes { hidden: 64, blocks: 32, vocabulary: 4096 };

/// Three parts.
const SAMPLES: usize = 18_000;

/// Nothing here takes longer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A Wikipedia of two sentences.
const DUMP: &str = "<mediawiki><page><title>Town</title><ns>0</ns><revision><text>The people of the town ate bread on \
    the first day. It was the best food of all.</text></revision></page></mediawiki>";

/// A model and samples for a capture of three parts.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_model(&folder.path().join("model"), SIZES);
        write_samples(&folder.path().join("samples.jsonl"), SIZES, SAMPLES);
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// The arguments of a capture into `out`.
    fn capture(&self, out: &str) -> Vec<String> {
        let (model, samples, out) = (self.text("model"), self.text("samples.jsonl"), self.text(out));
        ["--model", &model, "--samples", &samples, "--out", &out, "--device", "cpu"].map(str::to_owned).into()
    }

    fn spawn(&self, stage: &str, arguments: &[String]) -> Child {
        let mut command = Command::new(binary(stage));
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn finish(&self, out: &str) {
        let arguments = self.capture(out);
        succeed("onejump-capture", &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[track_caller]
fn wait_for(what: impl Fn() -> bool) {
    let started = Instant::now();
    while !what() {
        assert!(started.elapsed() < PATIENCE, "nothing happened");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Sends a signal; returns the exit status and what was said.
fn stop(child: Child, signal: Signal) -> (Option<i32>, String) {
    kill_process(Pid::from_child(&child), signal).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_second_writer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let text = |name: &str| path(name).display().to_string();
    let case = onejump_tests::folder().join("parity/cases/llama-grouped-tied");
    let (model, samples) = (case.display().to_string(), case.join("samples.jsonl").display().to_string());
    let (hidden, jumps, results) = (text("hidden/train"), text("n-njtc.safetensors"), text("results"));
    let (scores, ojfa, dump, corpus) =
        (text("scores.parquet"), text("ojfa.safetensors"), text("dump.xml"), text("corpus"));
    fs::write(&dump, DUMP).unwrap();
    let capture = ["--model", &model, "--samples", &samples, "--out", &hidden, "--device", "cpu"];
    let train = ["--hidden", &hidden, "--kind", "n-njtc", "--out", &jumps];
    let evaluate = ["--hidden", &hidden, "--model", &model, "--shortcuts", &jumps, "--out", &results];
    let score = ["--hidden", &hidden, "--shortcuts", &jumps, "--out", &scores, "--ojfa", &ojfa];
    let draw = ["--dump", &dump, "--out", &corpus, "--train", "1", "--test", "1"];
    let refused = |stage: &str, arguments: &[&str], lock| {
        let said = fail(stage, arguments);
        let expected = format!("is being written by process {}", std::process::id());
        assert!(said.contains(&expected), "{said}");
        drop::<lock::Lock>(lock);
        succeed(stage, arguments);
    };
    refused("onejump-capture", &capture, lock::folder(&path("hidden/train")).unwrap());
    refused("onejump-train", &train, lock::file(Path::new(&jumps)).unwrap());
    refused("onejump-score", &score, lock::file(Path::new(&scores)).unwrap());
    refused("onejump-score", &score, lock::file(Path::new(&ojfa)).unwrap());
    refused("onejump-corpus", &draw, lock::folder(Path::new(&corpus)).unwrap());
    refused("onejump-evaluate", &evaluate, lock::folder(Path::new(&results)).unwrap());
    let left = tree(folder.path()).into_keys().filter(|name| name.display().to_string().contains(".lock"));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<PathBuf>::new());
}

/// A manifest that says `cuda` stands for a folder that a machine with a GPU wrote.
#[test]
fn captures_on_different_devices_or_with_other_batch_sizes_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("hidden");
    let case = onejump_tests::folder().join("parity/cases/llama-grouped-tied");
    let (model, samples) = (case.display().to_string(), case.join("samples.jsonl").display().to_string());
    let text = out.display().to_string();
    let capture = ["--model", &model, "--samples", &samples, "--out", &text, "--device", "cpu"];
    succeed("onejump-capture", &capture);
    let said = fail("onejump-capture", &[&capture[..], &["--batch-tokens", "64"]].concat());
    assert!(said.contains("another capture (batch_tokens 512 there, 64 here)"), "{said}");
    let written = HiddenManifest::read(&out).unwrap();
    let mut edited = written.clone();
    edited.inputs.device = Some(DeviceKind::Cuda);
    edited.write(&out).unwrap();
    let said = fail("onejump-capture", &capture);
    assert!(said.contains("another capture (device \"cuda\" there, \"cpu\" here)"), "{said}");
    // An earlier version recorded neither: its whole folders stay usable, and a part is never added to them.
    (edited.inputs.device, edited.inputs.batch_tokens) = (None, None);
    edited.write(&out).unwrap();
    succeed("onejump-capture", &capture);
    let jumps = folder.path().join("njtc.safetensors").display().to_string();
    succeed("onejump-train", &["--hidden", &text, "--kind", "njtc", "--out", &jumps]);
    fs::remove_file(out.join(part_file(0))).unwrap();
    let said = fail("onejump-capture", &capture);
    assert!(said.contains("did not record its device"), "{said}");
    written.write(&out).unwrap();
    succeed("onejump-capture", &capture);
}

#[test]
fn signals_stop_a_stage_between_two_parts() {
    let bench = Bench::new();
    bench.finish("whole");
    let child = bench.spawn("onejump-capture", &bench.capture("stopped"));
    wait_for(|| bench.path("stopped").join(part_file(0)).is_file());
    let (status, said) = stop(child, Signal::INT);
    assert_eq!(status, Some(130), "{said}");
    let last = said.lines().last().unwrap();
    assert!(last.contains("stopped by SIGINT") && last.contains("the same command goes on"), "{said}");
    let manifest = HiddenManifest::read(&bench.path("stopped")).unwrap();
    assert!((1..3).contains(&manifest.parts.len()), "{}", manifest.parts.len());
    bench.finish("stopped");
    assert!(tree(&bench.path("whole")) == tree(&bench.path("stopped")), "the folders differ");

    let (hidden, out) = (bench.text("whole"), bench.text("x.safetensors"));
    let arguments =
        ["--hidden", &hidden, "--kind", "njtc", "--solver", "adam", "--epochs", "100000", "--out", &out];
    let child = bench.spawn("onejump-train", &arguments.map(str::to_owned));
    wait_for(|| bench.path(".x.safetensors.onejump.lock").is_file());
    let (status, said) = stop(child, Signal::TERM);
    assert_eq!(status, Some(143), "{said}");
    assert!(said.contains("stopped by SIGTERM"), "{said}");
    assert!(!bench.path("x.safetensors").exists() && !bench.path(".x.safetensors.onejump.lock").exists());
}

/// Ctrl-C reaches the reproduction and its stage, as does a signal to the whole group; `kill` reaches the
/// reproduction alone, which passes it on. Either way both end.
#[test]
fn signals_stop_a_reproduction_with_its_stage() {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let sentences = tempfile::tempdir().unwrap();
        for (file, count) in [("train.txt", 150), ("test.txt", 10)] {
            let text = fs::read_to_string(repository("data/wikipedia").join(file)).unwrap();
            let lines: Vec<_> = text.lines().take(count).collect();
            fs::write(sentences.path().join(file), lines.join("\n")).unwrap();
        }
        let run = sentences.path().join("run");
        let mut command = Command::new(binary("onejump-reproduce"));
        command.args(["--model", "smollm2-135m", "--device", "cpu", "--sentences"]).arg(sentences.path());
        command.arg("--out").arg(&run);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let child = command.spawn().unwrap();
        let group = Pid::from_child(&child);
        wait_for(|| run.join("hidden/train/.onejump.lock").is_file());
        match signal {
            Signal::INT => kill_process_group(group, signal).unwrap(),
            _ => kill_process(group, signal).unwrap(),
        }
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.trim_end().ends_with("the same command goes on from there"), "{said}");
        assert!(test_kill_process_group(group).is_err(), "a stage goes on alone");
        assert!(tree(&run).keys().all(|file| !file.display().to_string().contains(".lock")));
    }
}

/// `cargo xtask interrupt` does this many times, to all stages.
#[test]
fn a_killed_capture_goes_on_and_ends_with_the_same_bytes() {
    let bench = Bench::new();
    let started = Instant::now();
    bench.finish("whole");
    let time = started.elapsed().as_millis() as u64;
    let mut random = seed::stream(0, Purpose::Order, 0);
    let mut kept = std::collections::BTreeMap::new();
    for _ in 0..4 {
        let mut child = bench.spawn("onejump-capture", &bench.capture("killed"));
        std::thread::sleep(Duration::from_millis(seed::below(&mut random, time)));
        child.kill().unwrap();
        child.wait().unwrap();
        // What the manifest lists is never computed again.
        for part in HiddenManifest::read(&bench.path("killed")).map_or(Vec::new(), |manifest| manifest.parts)
        {
            let inode = fs::metadata(bench.path("killed").join(&part.file)).unwrap().ino();
            assert_eq!(*kept.entry(part.file).or_insert(inode), inode);
        }
    }
    bench.finish("killed");
    assert!(tree(&bench.path("whole")) == tree(&bench.path("killed")), "the folders differ");
    for (file, inode) in kept {
        assert_eq!(fs::metadata(bench.path("killed").join(file)).unwrap().ino(), inode);
    }
    assert!(succeed("onejump-store", &["verify", &bench.text("killed")]).contains("ok"));
}

/// All stages on a small model; everything that they write is the same again.
#[test]
fn equal_inputs_give_equal_bytes() {
    let base = tempfile::tempdir().unwrap();
    let run = |name: &str, threads: &[(&str, &str)]| {
        let text = |file: &str| base.path().join(name).join(file).display().to_string();
        let case = folder().join("parity/cases/llama-grouped-tied");
        let (model, samples) = (case.display().to_string(), case.join("samples.jsonl").display().to_string());
        let stage = |stage: &str, arguments: &[&str]| {
            let output = Command::new(binary(stage)).args(arguments).envs(threads.iter().copied()).output();
            let output = output.unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        let (train, test) = (text("hidden/train"), text("hidden/test"));
        for out in [&train, &test] {
            stage(
                "onejump-capture",
                &["--model", &model, "--samples", &samples, "--out", out, "--device", "cpu"],
            );
        }
        let mut shortcuts = Vec::new();
        for (kind, solver) in
            [("jtc", "closed-form"), ("n-njtc", "closed-form"), ("joint", "closed-form"), ("n-njtc", "adam")]
        {
            let out = text(&format!("shortcuts/{kind}-{solver}.safetensors"));
            stage("onejump-train", &["--hidden", &train, "--kind", kind, "--solver", solver, "--out", &out]);
            shortcuts.push(out);
        }
        let (jumps, scores, ojfa) = (&shortcuts[1], text("scores.parquet"), text("ojfa.safetensors"));
        stage(
            "onejump-score",
            &["--hidden", &train, "--shortcuts", jumps, "--out", &scores, "--ojfa", &ojfa],
        );
        let results = text("results");
        let mut arguments =
            vec!["--hidden", &test, "--model", &model, "--ojfa", &ojfa, "--out", &results, "--shortcuts"];
        arguments.extend(shortcuts.iter().map(String::as_str));
        stage("onejump-evaluate", &arguments);
        stage("onejump-report", &["--run", &text("")]);
        tree(&base.path().join(name))
    };
    let first = run("first", &[]);
    let second = run("second", &[]);
    assert!(first.len() > 15, "{:?}", first.keys());
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    for (file, bytes) in &first {
        assert!(second[file] == *bytes, "{} differs", file.display());
    }
    // A batch is computed by one thread, whichever, so the states do not depend on how many there are.
    let one = run("one", &[("OMP_NUM_THREADS", "1"), ("RAYON_NUM_THREADS", "1")]);
    for (file, bytes) in one.iter().filter(|(file, _)| file.starts_with("hidden")) {
        assert!(first[file] == *bytes, "{} differs", file.display());
    }
}
