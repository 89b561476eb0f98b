//! Build script of every crate that uses libtorch: the binaries find it without `LD_LIBRARY_PATH`,
//! and know its version. (Cargo tells a build script of torch-sys's folder only where torch-sys is a direct
//! dependency: that is why crates list it that never name it.)

#![allow(clippy::print_stdout)] // That is how a build script talks to Cargo.

use std::path::PathBuf;

fn main() {
    // It runs again when torch-sys does, not whenever a file changes.
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let mut version = String::from("unknown");
    if let Some(folder) = std::env::var_os("DEP_TCH_LIBTORCH_LIB") {
        let folder = PathBuf::from(folder);
        // `.libtorch` is a link; the binary should not depend on where the checkout lies.
        let folder = folder.canonicalize().unwrap_or(folder);
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.display());
        let file = folder.with_file_name("build-version");
        if let Ok(text) = std::fs::read_to_string(file) {
            version = text.trim().to_owned();
        }
    }
    println!("cargo:rustc-env=ONEJUMP_LIBTORCH={version}");
}
