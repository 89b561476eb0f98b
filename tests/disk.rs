//! Full, read-only and vanished folders: one clear line, and going on afterwards works. On a small
//! file system in memory, which root alone can mount; elsewhere the test says that it did nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use onejump_core::layout::part_file;
use onejump_core::manifest::HiddenManifest;
use onejump_tests::synthetic::{Sizes, write_model, write_samples};
use onejump_tests::{binary, fail, succeed};

/// Parts of 64 MB before compression, about 60 after: random states do not compress.
const SIZES: Sizes = Sizes { hidden: 64, blocks: 32, vocabulary: 4096 };

/// Two parts.
const SAMPLES: usize = 12_000;

/// A file system in memory with room for one part.
struct Disk {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Disk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        fs::create_dir(&path).unwrap();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=80m", "tmpfs"]).arg(&path).output();
        if !mount.is_ok_and(|output| output.status.success()) {
            eprintln!("nothing tested: a file system in memory cannot be mounted here");
            return None;
        }
        Some(Self { _folder: folder, path })
    }

    fn remount(&self, option: &str) {
        let options = format!("remount,{option}");
        let status = Command::new("mount").args(["-o", &options]).arg(&self.path).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.path).status();
    }
}

fn write_inputs(folder: &Path) {
    write_model(&folder.join("model"), SIZES);
    write_samples(&folder.join("samples.jsonl"), SIZES, SAMPLES);
}

fn arguments(inputs: &Path, out: &Path) -> Vec<String> {
    let text = |path: PathBuf| path.display().to_string();
    let (model, samples, out) =
        (text(inputs.join("model")), text(inputs.join("samples.jsonl")), text(out.into()));
    ["--model", &model, "--samples", &samples, "--out", &out, "--device", "cpu"].map(str::to_owned).into()
}

fn strs(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

#[test]
fn a_full_or_read_only_disk_is_one_clear_line_and_no_loss() {
    let Some(disk) = Disk::mount() else { return };
    let inputs = tempfile::tempdir().unwrap();
    write_inputs(inputs.path());
    let out = disk.path.join("hidden");
    let capture = arguments(inputs.path(), &out);

    let said = fail("onejump-capture", &strs(&capture));
    assert!(said.contains("part-00001.parquet") && said.contains("No space left"), "{said}");
    let manifest = HiddenManifest::read(&out).unwrap();
    assert_eq!(manifest.parts.len(), 1);
    let verified = onejump_store::verify::verify(&out).unwrap();
    assert_eq!(verified.parts[0].problems, Vec::<String>::new());

    disk.remount("size=300m");
    disk.remount("ro");
    let said = fail("onejump-capture", &strs(&capture));
    assert!(said.contains("hidden") && said.contains("Read-only"), "{said}");
    disk.remount("rw");
    let modified = || fs::metadata(out.join(part_file(0))).unwrap().modified().unwrap();
    let before = modified();
    succeed("onejump-capture", &strs(&capture));
    assert_eq!(before, modified());
    succeed("onejump-store", &["verify", &out.display().to_string()]);

    disk.remount("ro");
    let (hidden, file) = (out.display().to_string(), disk.path.join("x.safetensors").display().to_string());
    let said = fail("onejump-train", &["--hidden", &hidden, "--kind", "njtc", "--out", &file]);
    assert!(said.contains("x.safetensors") && said.contains("Read-only"), "{said}");
    disk.remount("rw");
}

#[test]
fn a_folder_that_vanishes_is_said_and_can_be_made_again() {
    let base = tempfile::tempdir().unwrap();
    write_inputs(base.path());
    let out = base.path().join("hidden");
    let capture = arguments(base.path(), &out);
    let mut command = Command::new(binary("onejump-capture"));
    let child = command.args(&capture).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while !out.join(part_file(0)).is_file() {
        assert!(started.elapsed() < Duration::from_secs(120));
        std::thread::sleep(Duration::from_millis(2));
    }
    fs::rename(&out, base.path().join("gone")).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("error: ") && said.contains("hidden") && said.lines().count() <= 2, "{said}");
    succeed("onejump-capture", &strs(&capture));
    succeed("onejump-store", &["verify", &out.display().to_string()]);
}
