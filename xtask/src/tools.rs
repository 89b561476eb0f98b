//! Pinned programs from Cargo's registry, built once into the user's cache.

use std::path::PathBuf;

use anyhow::Result;
use onejump_core::cache;
use onejump_program::remark;

use crate::process;

/// Checks what we build on: licences, sources, crates in several versions.
pub const CARGO_DENY: (&str, &str) = ("cargo-deny", "0.20.2");

/// The path of a program of this name and version.
pub fn tool((name, version): (&str, &str)) -> Result<PathBuf> {
    let folder = cache::directory().join(format!("{name}-{version}"));
    let program = folder.join("bin").join(name);
    if !program.is_file() {
        remark!("{name} {version}: building it into {}", folder.display());
        // A quick build; the program's own speed hardly matters.
        let install = ["install", name, "--version", version, "--locked", "--debug", "--quiet", "--root"];
        process::run(process::cargo()?.args(install).arg(&folder).env("CARGO_PROFILE_DEV_DEBUG", "0"))?;
    }
    Ok(program)
}
