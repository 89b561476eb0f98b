//! `--device` without a GPU: what is said, and that a library of CUDA beside libtorch is loaded. That the real one
//! works is checked by `cuda/hooks.py`, by hand: it has gigabytes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use onejump_tests::{binary, folder};
use tempfile::TempDir;

const CPU: &str = "libtorch_cpu.so";
const CUDA: &str = "libtorch_cuda.so";

/// The folder of the libtorch that these tests, and the binaries, were built with.
fn libtorch() -> PathBuf {
    // Something of libtorch has to be called, or the linker leaves it out.
    assert!(tch::get_num_threads() > 0);
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let path = maps.lines().find(|line| line.ends_with(CPU)).unwrap();
    Path::new(&path[path.find('/').unwrap()..]).parent().unwrap().to_owned()
}

/// A folder with the libraries of the libtorch in use, and this in place of one of CUDA. Those of NVIDIA, which lie
/// elsewhere in a Python's packages, are here too.
fn with_cuda_library(content: Option<&[u8]>) -> TempDir {
    let (ours, here) = (tempfile::tempdir().unwrap(), libtorch());
    let nvidia = fs::read_dir(here.join("../../nvidia")).into_iter().flatten();
    let folders = nvidia.map(|entry| entry.unwrap().path().join("lib")).filter(|folder| folder.is_dir());
    for entry in folders.chain([here]).flat_map(|folder| fs::read_dir(folder).unwrap()) {
        let path = entry.unwrap().path();
        let target = ours.path().join(path.file_name().unwrap());
        if path.ends_with(CPU) {
            // No symbolic link, which the system would look behind.
            fs::hard_link(&path, &target).or_else(|_| fs::copy(&path, &target).map(drop)).unwrap();
        } else if !path.ends_with(CUDA) {
            symlink(path, target).unwrap();
        }
    }
    if let Some(content) = content {
        fs::write(ours.path().join(CUDA), content).unwrap();
    }
    ours
}

fn capture(libtorch: &Path, device: &str, samples: &Path, out: &Path) -> Command {
    let mut command = Command::new(binary("onejump-capture"));
    command.arg("--model").arg(folder().join("parity/cases/gpt2")).arg("--samples").arg(samples);
    command.arg("--out").arg(out).args(["--device", device]);
    command.env("LD_LIBRARY_PATH", libtorch).env_remove("LD_PRELOAD");
    command
}

/// Exit status, stdout and stderr of a capture of the small GPT-2.
fn run(libtorch: &Path, device: &str) -> (i32, String, String) {
    let out = tempfile::tempdir().unwrap();
    let samples = folder().join("parity/cases/gpt2/samples.jsonl");
    let output = capture(libtorch, device, &samples, &out.path().join("hidden")).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// What the small library in libtorch's folder has: enough to be loaded in place of one of CUDA.
fn harmless_library() -> Vec<u8> {
    fs::read(libtorch().join("libtorch_global_deps.so")).unwrap()
}

#[test]
fn a_libtorch_without_cuda_is_said_to_be_one() {
    let ours = with_cuda_library(None);
    let lib = ours.path().canonicalize().unwrap();
    for device in ["cuda", "cuda:1"] {
        let (status, _, said) = run(ours.path(), device);
        assert_eq!(status, 1, "{said}");
        let begin = format!("error: device '{device}': the libtorch in {} has no CUDA; ", lib.display());
        assert!(said.starts_with(&begin) && said.contains("cargo xtask setup --cuda"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let (status, _, said) = run(ours.path(), "auto");
    assert_eq!(status, 0, "{said}");
    assert_eq!(said, format!("device: the CPU; the libtorch in {} has no CUDA\n", lib.display()));
    let (status, _, said) = run(ours.path(), "cpu");
    assert_eq!((status, said.as_str()), (0, ""));
    let out = tempfile::tempdir().unwrap().path().join("x");
    let of = |name: &str, arguments: &[&str]| {
        let mut command = Command::new(binary(name));
        command.args(arguments).arg("--out").arg(&out).env("LD_LIBRARY_PATH", ours.path());
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    let train = ["--hidden", "x", "--kind", "n-njtc", "--device", "cuda"];
    assert!(of("onejump-train", &train).contains("device 'cuda': the libtorch in "));
    let all = ["--model", "m", "--samples", "s", "--device", "cuda:all"];
    assert!(of("onejump-capture", &all).contains("device 'cuda': the libtorch in "));
    let (case, lines) = (folder().join("parity/cases/gpt2"), "samples.jsonl");
    let (model, samples) = (case.display().to_string(), case.join(lines).display().to_string());
    let tf32 = ["--model", &model, "--samples", &samples, "--device", "auto", "--dtype", "tf32"];
    assert!(of("onejump-capture", &tf32).contains("tf32 is a type of GPUs alone"));
    let (status, _, said) = run(ours.path(), "gpu");
    assert_eq!((status, said.as_str()), (1, "error: 'gpu' is no device; known: cpu, cuda, cuda:N, auto\n"));
}

#[test]
fn a_cuda_library_beside_libtorch_is_loaded_where_a_gpu_may_be_used() {
    let ours = with_cuda_library(Some(&harmless_library()));
    let library = ours.path().canonicalize().unwrap().join(CUDA);
    let base = tempfile::tempdir().unwrap();
    let samples = base.path().join("samples.jsonl");
    // The program waits for its samples, after it has chosen its device.
    let made = Command::new("mkfifo").arg(&samples).status().unwrap();
    assert!(made.success());
    let mut command = capture(ours.path(), "auto", &samples, &base.path().join("out"));
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
    let maps = fs::read_to_string(format!("/proc/{}/maps", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said.starts_with("device: the CPU; "), "{said}");
    assert!(maps.lines().any(|line| line.ends_with(&library.display().to_string())), "{maps}");
    // The arguments are the same after the second start, and on a processor there is none.
    let (status, there, said) = run(ours.path(), "auto");
    assert!(status == 0 && there.contains("computed 10 samples"), "{said}");
    let (status, _, said) = run(ours.path(), "cpu");
    assert_eq!((status, said.as_str()), (0, ""));
}

/// Decoding too; it waits for its prompt, after it has chosen its device.
#[test]
fn a_cuda_library_is_loaded_for_decoding() {
    let ours = with_cuda_library(Some(&harmless_library()));
    let library = ours.path().canonicalize().unwrap().join(CUDA);
    let mut command = Command::new(binary("onejump-generate"));
    command.arg("-m").arg(folder().join("parity/cases/gpt2")).args(["--device", "auto"]);
    command.env("LD_LIBRARY_PATH", ours.path()).env_remove("LD_PRELOAD");
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
    let maps = fs::read_to_string(format!("/proc/{}/maps", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said.starts_with("device: "), "{said}");
    assert!(maps.contains(&library.display().to_string()), "{said}{maps}");
}

#[test]
fn a_cuda_library_that_cannot_be_loaded_ends_in_one_clear_error() {
    let ours = with_cuda_library(Some(b"no library"));
    for device in ["cuda", "auto"] {
        let (status, _, said) = run(ours.path(), device);
        assert_eq!(status, 1, "{said}");
        let ours = said.lines().last().unwrap();
        assert!(ours.starts_with("error: ") && ours.contains("libtorch_cuda.so cannot be loaded"), "{said}");
        assert!(said.contains("ld.so"), "{said}");
    }
}
