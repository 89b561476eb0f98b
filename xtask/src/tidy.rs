//! `cargo xtask tidy`: the picture of the house stays true.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

use crate::{process, tools};

/// The crates of the house from the ground up; an arrow only points to what is listed with it.
const ARROWS: [(&str, &[&str]); 14] = [
    ("onejump-core", &[]),
    ("onejump-store", &["core"]),
    ("onejump-gguf", &["core"]),
    ("onejump-simd", &[]),
    ("onejump-models", &["core", "gguf", "simd"]),
    ("onejump-shortcuts", &["core"]),
    ("onejump-corpus", &["core"]),
    ("onejump-capture", &["core", "store", "models"]),
    ("onejump-train", &["core", "store", "models", "shortcuts", "simd"]),
    ("onejump-score", &["core", "store", "shortcuts", "simd"]),
    ("onejump-evaluate", &["core", "store", "models", "shortcuts", "simd"]),
    ("onejump-report", &["core", "store"]),
    ("xtask", &["core"]),
    ("onejump-tests", &["core", "store", "gguf", "models", "shortcuts", "capture", "corpus"]),
];

/// Crates that build in seconds: torch must not be among what they need.
const WITHOUT_TORCH: [&str; 7] = [
    "onejump-core",
    "onejump-store",
    "onejump-gguf",
    "onejump-simd",
    "onejump-corpus",
    "onejump-report",
    "xtask",
];

/// What may lie at the top level, beside files whose names begin with a dot.
const TOP_LEVEL: [&str; 9] = [
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

/// Fails on a forbidden edge, on torch where it must not be, on a stranger at the top level, and on
/// what must not be built on.
pub fn tidy() -> Result<()> {
    let metadata = MetadataCommand::new().current_dir(process::root()).exec()?;
    let mut problems = forbidden_edges(&metadata);
    problems.extend(unwanted_torch(&metadata)?);
    problems.extend(strangers()?);
    problems.extend(allowed_unsafe(&metadata)?);
    if !problems.is_empty() {
        bail!("tidy:\n  {}", problems.join("\n  "));
    }
    supply()
}

/// What we build on, by `.deny.toml`. (Known vulnerabilities need an online list: `cargo deny check advisories`.)
fn supply() -> Result<()> {
    let mut command = Command::new(tools::tool(tools::CARGO_DENY)?);
    command.current_dir(process::root()).args(["--locked", "--log-level", "error", "check"]);
    process::run(command.args(["licenses", "bans", "sources"]))
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

fn forbidden_edges(metadata: &Metadata) -> Vec<String> {
    let mut problems = Vec::new();
    for package in metadata.workspace_packages() {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| **name == *package.name) else {
            problems.push(format!("{} is not in the picture of the house (xtask/src/tidy.rs)", package.name));
            continue;
        };
        let ours = package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Build);
        for dependency in ours {
            let Some(name) = dependency.name.strip_prefix("onejump-") else { continue };
            if !allowed.contains(&name) {
                problems.push(format!("{} must not depend on onejump-{name}", package.name));
            }
        }
    }
    problems
}

/// Follows every dependency, also of dependencies.
fn unwanted_torch(metadata: &Metadata) -> Result<Vec<String>> {
    let resolve = metadata.resolve.as_ref().context("cargo metadata has no resolved graph")?;
    let mut problems = Vec::new();
    for package in metadata.workspace_packages() {
        if !WITHOUT_TORCH.contains(&package.name.as_str()) {
            continue;
        }
        let mut seen = BTreeSet::new();
        let mut waiting = vec![package.id.clone()];
        while let Some(id) = waiting.pop() {
            if !seen.insert(id.clone()) {
                continue;
            }
            if metadata[&id].name.as_str() == "torch-sys" {
                problems.push(format!("{} must build without torch", package.name));
                break;
            }
            let node = resolve.nodes.iter().find(|node| node.id == id);
            waiting.extend(node.into_iter().flat_map(|node| node.dependencies.iter().cloned()));
        }
    }
    Ok(problems)
}

/// What git tracks at the top level.
fn strangers() -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-tree", "--name-only", "HEAD"])
        .current_dir(process::root())
        .output()
        .context("cannot start git")?;
    let listing = String::from_utf8_lossy(&output.stdout);
    let unknown = listing.lines().filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(name));
    Ok(unknown.map(|name| format!("'{name}' does not belong at the top level")).collect())
}
