//! Which crate may depend on which.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata};

/// The crates of the house from the ground up; a crate may depend on those that are listed with it.
const ARROWS: [(&str, &[&str]); 22] = [
    ("onejump-guide", &[]),
    ("onejump-core", &[]),
    ("onejump-program", &["core"]),
    ("onejump-simd", &["core"]),
    ("onejump-tensor", &[]),
    ("onejump-store", &["core", "program"]),
    ("onejump-gguf", &["core"]),
    ("onejump-fetch", &["core"]),
    ("onejump-models", &["core", "fetch", "gguf", "simd", "tensor"]),
    ("onejump-shortcuts", &["core", "tensor"]),
    ("onejump-exit", &["core", "models", "shortcuts", "simd", "tensor"]),
    ("onejump-corpus", &["core", "program"]),
    ("onejump-capture", &["core", "fetch", "store", "models", "simd", "tensor", "program"]),
    ("onejump-train", &["core", "store", "models", "shortcuts", "simd", "tensor", "program"]),
    ("onejump-score", &["core", "fetch", "store", "shortcuts", "simd", "tensor", "program"]),
    (
        "onejump-evaluate",
        &["core", "fetch", "store", "models", "shortcuts", "exit", "simd", "tensor", "program"],
    ),
    ("onejump-generate", &["core", "fetch", "store", "models", "shortcuts", "exit", "program"]),
    ("onejump-lens", &["core", "fetch", "store", "models", "shortcuts", "exit", "tensor", "program"]),
    ("onejump-report", &["core", "store", "program"]),
    ("onejump-reproduce", &["core", "fetch", "program"]),
    ("xtask", &["core", "program", "fetch"]),
    ("onejump-tests", &[ALL]),
];

/// Stands for every crate.
const ALL: &str = "*";

/// Crates that build in seconds: torch must not be among what they need.
const WITHOUT_TORCH: [&str; 11] = [
    "onejump-guide",
    "onejump-core",
    "onejump-program",
    "onejump-simd",
    "onejump-store",
    "onejump-gguf",
    "onejump-fetch",
    "onejump-corpus",
    "onejump-report",
    "onejump-reproduce",
    "xtask",
];

/// Crates of others that one crate of ours has to itself.
const ALONE: [(&str, &str); 1] = [("pulp", "onejump-simd")];

/// Dependencies that the picture does not have.
pub fn forbidden(metadata: &Metadata) -> Vec<String> {
    let mut problems = Vec::new();
    for package in metadata.workspace_packages() {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| **name == *package.name) else {
            problems.push(format!(
                "{} may depend on nothing yet: list it in xtask/src/tidy/arrows.rs",
                package.name
            ));
            continue;
        };
        let ours = package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Build);
        for dependency in ours {
            let owner = ALONE.iter().find(|(name, _)| *name == dependency.name).map(|(_, owner)| *owner);
            let allowed = match dependency.name.strip_prefix("onejump-") {
                Some(name) => allowed.iter().any(|&crates| crates == name || crates == ALL),
                None => owner.is_none_or(|owner| owner == package.name.as_str()),
            };
            if !allowed {
                problems.push(format!("{} must not depend on {}", package.name, dependency.name));
            }
        }
    }
    problems
}

/// Crates that would need torch; follows every dependency, also of dependencies.
pub fn unwanted_torch(metadata: &Metadata) -> Result<Vec<String>> {
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
