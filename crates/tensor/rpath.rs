//! Build script of every crate that uses libtorch: the binaries find it without `LD_LIBRARY_PATH`,
//! and know its version. (Cargo tells a build script of torch-sys's folder only where torch-sys is a direct
//! dependency: that is why crates list it that never name it.)

#![allow(clippy::print_stdout)] // That is how a build script talks to Cargo.

use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    // It runs again when torch-sys does, not whenever a file changes.
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let mut version = String::from("unknown");
    if let Some(folder) = std::env::var_os("DEP_TCH_LIBTORCH_LIB") {
        let folder = PathBuf::from(folder);
        // `.libtorch` is a link; the binary should not depend on where the checkout lies.
        let folder = folder.canonicalize().unwrap_or(folder);
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.display());
        if let Some(found) = version_of(&folder) {
            version = found;
        }
    }
    println!("cargo:rustc-env=ONEJUMP_LIBTORCH={version}");
}

/// The version of the libtorch whose libraries lie in a folder: from its own file, or from that of a Python package,
/// which says `__version__ = '2.11.0+cu130'`. What stands behind the `+` is how it was built.
fn version_of(libraries: &Path) -> Option<String> {
    if let Ok(text) = fs::read_to_string(libraries.with_file_name("build-version")) {
        return Some(text.trim().to_owned());
    }
    let text = fs::read_to_string(libraries.with_file_name("version.py")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("__version__ = "))?;
    line.trim_matches(['\'', '"', ' ']).split('+').next().map(str::to_owned)
}
