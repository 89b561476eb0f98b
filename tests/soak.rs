//! A long capture of short samples: memory stays flat, time grows with the work, every part is whole.
//!
//! `cargo test --release --workspace --test soak -- --ignored --nocapture`

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use onejump_tests::synthetic::{Sizes, write_model, write_samples};
use onejump_tests::{binary, succeed};

const SIZES: Sizes = Sizes { hidden: 64, blocks: 16, vocabulary: 4096 };

#[test]
#[ignore = "takes minutes"]
fn memory_is_flat_and_time_is_linear() {
    let folder = tempfile::tempdir().unwrap();
    write_model(&folder.path().join("model"), SIZES);
    println!("{:>8} {:>8} {:>10} {:>8}", "samples", "seconds", "samples/s", "MB");
    let mut measured = Vec::new();
    for samples in [50_000, 100_000, 200_000] {
        let (seconds, megabytes) = capture(folder.path(), samples);
        println!("{samples:>8} {seconds:>8.1} {:>10.0} {megabytes:>8}", samples as f64 / seconds);
        measured.push((seconds, megabytes));
    }
    let [_, (time, memory), (twice_time, twice_memory)] = measured[..] else { panic!() };
    // The samples themselves are in memory: about 150 bytes each.
    assert!(twice_memory < memory + memory / 10 + 20, "{memory} MB, then {twice_memory} MB");
    // A busy machine measures time badly.
    assert!(twice_time < 3.0 * time, "{time} s, then {twice_time} s");
}

/// Seconds and the largest resident set, in MB.
fn capture(folder: &Path, samples: usize) -> (f64, usize) {
    let path = |name: &str| folder.join(name).display().to_string();
    write_samples(&folder.join("samples.jsonl"), SIZES, samples);
    let out = path("hidden");
    let arguments =
        ["--model", &path("model"), "--samples", &path("samples.jsonl"), "--out", &out, "--device", "cpu"];
    let started = Instant::now();
    let mut command = Command::new(binary("onejump-capture"));
    let mut child = command.args(arguments).stdout(Stdio::null()).spawn().unwrap();
    let mut megabytes = 0;
    let status = loop {
        let text = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok());
        megabytes = megabytes.max(kilobytes.unwrap_or(0) >> 10);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let seconds = started.elapsed().as_secs_f64();
    assert!(status.success());
    succeed("onejump-store", &["verify", &out]);
    fs::remove_dir_all(&out).unwrap();
    (seconds, megabytes)
}
