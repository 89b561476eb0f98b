//! What the end-to-end tests share: running the binaries, and reading golden files.
//!
//! The golden values in `golden/` come from Hugging Face transformers and from float64 NumPy, with the
//! scripts that made them beside them. The tests need no Python.

pub mod browser;
pub mod fuzz;
pub mod hub;
pub mod limits;
pub mod mutate;
pub mod readers;
pub mod synthetic;
pub mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

use safetensors::SafeTensors;

/// The folder of this crate.
pub fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository, from its root.
pub fn repository(path: &str) -> PathBuf {
    folder().join("..").join(path)
}

/// A golden file.
pub fn golden(file: &str) -> PathBuf {
    folder().join("golden").join(file)
}

/// One program at a time: each uses all processors, and two that do so wait for each other.
static RUNNING: Mutex<()> = Mutex::new(());

/// A binary of the workspace; `cargo xtask test` has built them beside the tests.
pub fn binary(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap_or_default();
    tests.ancestors().nth(2).unwrap_or(Path::new(".")).join(name)
}

/// Runs a binary of the workspace.
///
/// # Panics
/// If it cannot be started.
pub fn run(name: &str, arguments: &[&str]) -> Output {
    let path = binary(name);
    let _one = RUNNING.lock();
    match Command::new(&path).args(arguments).output() {
        Ok(output) => output,
        Err(error) => panic!("cannot start {}: {error}; build the binaries first", path.display()),
    }
}

/// Runs a binary that must fail with status 1 and one clear line; returns what it said.
///
/// # Panics
/// If it does otherwise.
pub fn fail(binary: &str, arguments: &[&str]) -> String {
    let output = run(binary, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{binary} {arguments:?}: {said}");
    assert!(said.starts_with("error: ") && said.lines().count() <= 2, "{said}");
    assert!(!said.contains("panicked") && !said.contains("RUST_BACKTRACE"), "{said}");
    said
}

/// Runs a binary that must succeed; returns what it wrote on stdout.
///
/// # Panics
/// If it fails, with what it said.
pub fn succeed(binary: &str, arguments: &[&str]) -> String {
    let output = run(binary, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{binary} {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Every file below a folder, by its path from there.
///
/// # Panics
/// If one cannot be read.
pub fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        let entries = std::fs::read_dir(&path).map(|entries| entries.flatten().map(|entry| entry.path()));
        match entries {
            Ok(entries) => waiting.extend(entries),
            Err(_) => match std::fs::read(&path) {
                Ok(bytes) => {
                    files.insert(path.strip_prefix(folder).unwrap_or(&path).to_owned(), bytes);
                }
                Err(error) => panic!("{}: {error}", path.display()),
            },
        }
    }
    files
}

/// A safetensors file in memory.
pub struct Tensors(Vec<u8>);

impl Tensors {
    /// Reads a file.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn read(path: &Path) -> Self {
        match std::fs::read(path) {
            Ok(bytes) => Self(bytes),
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }

    /// The bytes of a tensor, `N` at a time.
    fn raw<const N: usize>(&self, name: &str) -> Vec<[u8; N]> {
        let tensors = match SafeTensors::deserialize(&self.0) {
            Ok(tensors) => tensors,
            Err(error) => panic!("{error}"),
        };
        match tensors.tensor(name) {
            Ok(tensor) => tensor.data().as_chunks::<N>().0.to_vec(),
            Err(error) => panic!("{name}: {error}"),
        }
    }

    /// A tensor of f32, flat.
    pub fn f32(&self, name: &str) -> Vec<f32> {
        self.raw(name).into_iter().map(f32::from_le_bytes).collect()
    }

    /// A tensor of f64, flat.
    pub fn f64(&self, name: &str) -> Vec<f64> {
        self.raw(name).into_iter().map(f64::from_le_bytes).collect()
    }

    /// A tensor of i32, flat.
    pub fn i32(&self, name: &str) -> Vec<i32> {
        self.raw(name).into_iter().map(i32::from_le_bytes).collect()
    }
}

/// ‖a − b‖ / ‖b‖.
pub fn relative_error(a: &[f32], b: &[f32]) -> f64 {
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let difference = square(&mut a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    difference / square(&mut b.iter().map(|b| f64::from(*b)))
}
