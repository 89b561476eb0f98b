//! Bad input: thousands of damaged files, each of which must be read or refused with an error, never
//! with a panic, a hang, or memory out of proportion to the file.
//!
//! `ONEJUMP_MUTATIONS=20000` makes that many of each file.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod formats;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use formats::Format;
use onejump_tests::mutate::mutate;
use peak_alloc::PeakAlloc;

#[global_allocator]
static RUST_MEMORY: PeakAlloc = PeakAlloc;

/// Damaged files of each kind, unless `ONEJUMP_MUTATIONS` says otherwise.
const DEFAULT_COUNT: u64 = 150;

/// A file may cost this much, beside a multiple of its size.
const MEMORY_BASE: usize = 96 << 20;

/// Decompressing, and states beside their bytes.
const MEMORY_PER_BYTE: usize = 64;

/// No small file takes longer, on a busy machine.
const TIME: Duration = Duration::from_secs(20);

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
            match read(format, folder.path(), damaged.len()) {
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

/// What libraries would stumble over, each said in a line that names the file.
/// Memory is measured for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

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
    refused("llama-tokenizer.json", b"\"trim_offsets\":", b"\"trim_offsets\" ", "tokenizer.json");
    let context = |length: u64| format!("\"max_position_embeddings\": {length}").into_bytes();
    refused("llama-config.json", &context(64), &context(99_999_999), "a context of 99999999;");
    refused("shards-model.safetensors.index.json", b"model-1.safe", b"../model-1.safe", "outside its folder");
    refused("hidden-manifest.json", b"part-00000", b"../part-00000", "outside its folder");
    refused("sentences.txt", b"\xc3\xa9", b"\xe9", "line 2: is not UTF-8");
}

/// What reading gives; an error if it panics, or takes too much memory or time, or says it badly.
fn read(format: &Format, folder: &std::path::Path, size: usize) -> Result<Result<(), String>, String> {
    let resident = resident_peak();
    let before = RUST_MEMORY.current_usage();
    RUST_MEMORY.reset_peak_usage();
    let started = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| (format.read)(folder))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        format!("panic: {}", text.unwrap_or_default())
    })?;
    let limit = MEMORY_BASE + MEMORY_PER_BYTE * size;
    let rust = RUST_MEMORY.peak_usage().saturating_sub(before);
    let all = resident_peak().saturating_sub(resident);
    if rust.max(all) > limit {
        return Err(format!("{} MB of memory for {size} bytes: {outcome:?}", rust.max(all) >> 20));
    }
    if started.elapsed() > TIME {
        return Err(format!("{:.0} s", started.elapsed().as_secs_f64()));
    }
    if let Err(error) = &outcome
        && error.trim().is_empty()
    {
        return Err("an error without a word".into());
    }
    Ok(outcome)
}

/// Bytes of the largest resident set since the last call, of all libraries together.
fn resident_peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().unwrap_or(0);
    // 5 resets the mark to what is resident now.
    let _ = fs::write("/proc/self/clear_refs", "5");
    kilobytes << 10
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
