//! `cargo xtask tidy`: the picture of the house stays true.

mod arrows;
mod circles;
mod sources;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand};
use onejump_program::remark;

use crate::{process, tools};

/// What may lie at the top level, beside files whose names begin with a dot.
const TOP_LEVEL: [&str; 10] = [
    "CITATION.cff",
    "Cargo.toml",
    "Cargo.lock",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "crates",
    "data",
    "tests",
    "xtask",
];

/// How a program of ours behaves: for binaries alone.
const PROGRAM: &str = "onejump_program";

/// Crates that may use it everywhere: itself, and the one that is a binary alone.
const PROGRAMS: [&str; 2] = ["onejump-program", "xtask"];

/// The files of other crates that may use it.
const BINARY_FILES: [&str; 7] =
    ["main.rs", "args.rs", "commands.rs", "computing.rs", "decoding.rs", "gpus.rs", "tell.rs"];

/// Fails on a dependency that the picture does not have, on torch where it must not be, on modules that use each
/// other, on libraries that behave like programs, on unsafe code, on files at the top level that do not belong there,
/// and on what must not be built on.
pub fn tidy() -> Result<()> {
    let metadata = MetadataCommand::new().current_dir(process::root()?).exec()?;
    let mut problems = arrows::forbidden(&metadata);
    problems.extend(arrows::unwanted_torch(&metadata)?);
    problems.extend(inside_crates(&metadata)?);
    problems.extend(allowed_unsafe(&metadata)?);
    problems.extend(unknown_at_top()?);
    if !problems.is_empty() {
        problems.iter().for_each(|problem| remark!("{problem}"));
        bail!("tidy found {} problems", problems.len());
    }
    supply()
}

/// What we build on, by `.deny.toml`. (Known vulnerabilities need an online list: `cargo deny check advisories`.)
fn supply() -> Result<()> {
    let mut command = Command::new(tools::tool(tools::CARGO_DENY)?);
    command.current_dir(process::root()?).args(["--locked", "--log-level", "error", "check"]);
    process::run(command.args(["licenses", "bans", "sources"]))
}

/// Circles of modules, and libraries that use what is for binaries.
fn inside_crates(metadata: &Metadata) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for package in metadata.workspace_packages() {
        let src = package.manifest_path.with_file_name("src");
        let (paths, sources): (Vec<_>, Vec<_>) = sources::read(src.as_std_path())?.into_iter().unzip();
        problems.extend(circles::circles(&package.name, &sources));
        if PROGRAMS.contains(&package.name.as_str()) {
            continue;
        }
        for (path, source) in paths.iter().zip(&sources) {
            let of_binary = BINARY_FILES.map(Path::new).iter().any(|file| path.ends_with(file));
            if source.words.contains(PROGRAM) && !of_binary {
                problems.push(format!(
                    "{} uses {PROGRAM}, which is for binaries; a library takes an observer",
                    path.display()
                ));
            }
        }
    }
    Ok(problems)
}

/// Crates that could have `unsafe` of their own.
fn allowed_unsafe(metadata: &Metadata) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for package in metadata.workspace_packages() {
        let text = fs::read_to_string(&package.manifest_path)?;
        let manifest: toml::Table = text.parse().with_context(|| package.manifest_path.to_string())?;
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        if lints.and_then(toml::Value::as_bool) != Some(true) {
            problems
                .push(format!("{} lacks [lints] workspace = true, which forbids unsafe code", package.name));
        }
    }
    let text = fs::read_to_string(metadata.workspace_root.join("Cargo.toml"))?;
    if !text.lines().any(|line| line == "unsafe_code = \"forbid\"") {
        problems.push("Cargo.toml does not forbid unsafe code".to_owned());
    }
    Ok(problems)
}

/// What git tracks at the top level, and should not be there.
fn unknown_at_top() -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-tree", "--name-only", "HEAD"])
        .current_dir(process::root()?)
        .output()
        .context("cannot start git")?;
    let listing = String::from_utf8_lossy(&output.stdout);
    let unknown = listing.lines().filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(name));
    Ok(unknown.map(|name| format!("'{name}' does not belong at the top level")).collect())
}
