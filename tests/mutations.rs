//! Bad input: thousands of damaged files, each of which must be read or refused with an error, never
//! with a panic, a hang, or memory out of proportion to the file.
//!
//! `ONEJUMP_MUTATIONS=20000` makes that many of each file.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod formats;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use onejump_core::files;
use onejump_tests::limits::within;
use onejump_tests::mutate::mutate;
use onejump_tests::{folder, fuzz};

/// Damaged files of each kind, unless `ONEJUMP_MUTATIONS` says otherwise.
const DEFAULT_COUNT: u64 = 150;

/// After this time without progress the file is said to hang.
const HANG: Duration = Duration::from_secs(120);

static DONE: AtomicU64 = AtomicU64::new(0);

#[test]
fn every_damaged_file_is_read_or_refused() {
    let _alone = ALONE.lock();
    let count = std::env::var("ONEJUMP_MUTATIONS").map_or(DEFAULT_COUNT, |count| count.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let formats = formats::all(folder.path());
    assert!(count != DEFAULT_COUNT || count * formats.len() as u64 >= 2000);
    watch();
    let mut failures = Vec::new();
    for format in &formats {
        let original = fs::read(&format.file).unwrap();
        (format.read)(folder.path()).unwrap_or_else(|error| panic!("{}: {error}", format.name));
        let mut refused = 0;
        for index in 0..count {
            let damaged = mutate(&original, 0, index);
            fs::write(&format.file, &damaged).unwrap();
            match within(damaged.len(), || (format.read)(folder.path())) {
                Ok(outcome) => refused += u64::from(outcome.is_err()),
                Err(problem) => {
                    let kept = std::env::temp_dir().join(format!("onejump-mutation-{}-{index}", format.name));
                    fs::write(&kept, &damaged).unwrap();
                    failures.push(format!("{} {index}: {problem}; kept as {}", format.name, kept.display()));
                }
            }
            DONE.fetch_add(1, Ordering::Relaxed);
        }
        fs::write(&format.file, &original).unwrap();
        println!("{:<24} {count} files, {refused} refused", format.name);
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// Memory is measured for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

/// The tables of angles are as long as a sequence, not as the context.
#[test]
fn a_context_of_millions_costs_nothing() {
    let _alone = ALONE.lock();
    let base = tempfile::tempdir().unwrap();
    let formats = formats::all(base.path());
    for name in ["llama-config.json", "phi3-config.json", "llama3-config.json"] {
        let format = formats.iter().find(|format| format.name == name).unwrap();
        let mut config: serde_json::Value = files::read_json(&format.file).unwrap();
        config["max_position_embeddings"] = 16_000_000.into();
        let long = config.to_string();
        fs::write(&format.file, &long).unwrap();
        assert_eq!(within(long.len(), || (format.read)(base.path())), Ok(Ok(())), "{name}");
    }
}

/// Nothing builds the fuzz targets in passing: what they run is run here, and each has its program.
#[test]
fn fuzz_targets_take_their_seeds() {
    let _alone = ALONE.lock();
    let base = tempfile::tempdir().unwrap();
    formats::all(base.path());
    let manifest = fs::read_to_string(folder().join("fuzz/Cargo.toml")).unwrap();
    for target in &fuzz::TARGETS {
        let path = format!("fuzz_targets/{}.rs", target.name);
        assert!(manifest.contains(&format!("path = \"{path}\"")), "{path}");
        let program = fs::read_to_string(folder().join("fuzz").join(&path)).unwrap();
        assert!(program.contains(&format!("onejump_tests::fuzz::run(\"{}\", data)", target.name)), "{path}");
        for seed in seeds(target, base.path()) {
            fuzz::run(target.name, &fs::read(seed).unwrap());
        }
    }
}

/// What fuzzing begins with, from the good files.
#[test]
#[ignore = "writes tests/fuzz/corpus"]
fn write_seeds() {
    let base = tempfile::tempdir().unwrap();
    formats::all(base.path());
    for target in &fuzz::TARGETS {
        let corpus = folder().join("fuzz/corpus").join(target.name);
        fs::create_dir_all(&corpus).unwrap();
        for seed in seeds(target, base.path()) {
            fs::copy(&seed, corpus.join(seed.file_name().unwrap())).unwrap();
        }
    }
}

fn seeds(target: &fuzz::Target, base: &Path) -> Vec<PathBuf> {
    let seeds: Vec<_> = target.seeds.iter().map(|seed| base.join(seed)).collect();
    let golden = target.golden.iter().map(|seed| onejump_tests::golden(seed));
    seeds.into_iter().chain(golden).collect()
}

/// What libraries would stumble over, each said in a line that names the file.
#[test]
fn known_traps_are_refused() {
    let _alone = ALONE.lock();
    let base = tempfile::tempdir().unwrap();
    let formats = formats::all(base.path());
    let refused = |name: &str, from: &[u8], to: &[u8], expected: &str| {
        let format = formats.iter().find(|format| format.name == name).unwrap();
        let original = fs::read(&format.file).unwrap();
        let place = original.windows(from.len()).position(|window| window == from).unwrap();
        let mut damaged = original.clone();
        damaged.splice(place..place + from.len(), to.iter().copied());
        fs::write(&format.file, damaged).unwrap();
        let error = (format.read)(base.path()).unwrap_err();
        fs::write(&format.file, original).unwrap();
        assert!(error.contains(expected), "{error}");
    };
    let alignment = |value: u32| [b"general.alignment\x04\0\0\0".as_slice(), &value.to_le_bytes()].concat();
    refused("model.gguf", &alignment(32), &alignment(0), "model.gguf: its header makes no sense");
    // A shape whose number of values overflows to 0.
    let shape = |rows: u64| [b"output_norm.weight\x01\0\0\0".as_slice(), &rows.to_le_bytes()].concat();
    refused("model.gguf", &shape(32), &shape(1 << 60), "tensor 'output_norm.weight' lies beyond the end");
    refused("model.gguf", &shape(32), &shape(0), "tensor 'output_norm.weight' has no values");
    refused("llama-tokenizer.json", b"\"trim_offsets\":", b"\"trim_offsets\" ", "tokenizer.json");
    let context = |length: u64| format!("\"max_position_embeddings\": {length}").into_bytes();
    refused("llama-config.json", &context(64), &context(99_999_999), "a context of 99999999;");
    refused("shards-model.safetensors.index.json", b"model-1.safe", b"../model-1.safe", "outside its folder");
    refused("hidden-manifest.json", b"part-00000", b"../part-00000", "outside its folder");
    refused("sentences.txt", b"\xc3\xa9", b"\xe9", "line 2: byte 0xe9 is not UTF-8");
}

/// Ends the test where it would wait forever.
fn watch() {
    std::thread::spawn(|| {
        let (mut done, mut since) = (0, Instant::now());
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let now = DONE.load(Ordering::Relaxed);
            if now != done {
                (done, since) = (now, Instant::now());
            } else if since.elapsed() > HANG {
                eprintln!("file {done} in the order of the formats hangs");
                std::process::abort();
            }
        }
    });
}
