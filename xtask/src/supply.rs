//! Part of `cargo xtask tidy`: what we build on. Licences and sources from `cargo metadata`, and no
//! `unsafe` of our own. (Known vulnerabilities need an online list: `cargo audit` has it.)

use std::fs;

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, Package};
use spdx::{Expression, LicenseId, ParseMode};

/// Licences that let everybody use and pass on the built programs, at most with a notice.
const LICENCES: [&str; 11] = [
    "Apache-2.0",
    "MIT",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "bzip2-1.0.6",
];

/// Crates that are taken nevertheless, and why.
const EXCEPTIONS: [(&str, &str); 2] = [
    ("option-ext", "MPL-2.0, which asks for the source of that crate alone, and it is unchanged"),
    ("parse-wiki-text-2", "MIT, in its file LICENSE; its manifest names no licence"),
];

/// Everything that is wrong with what we build on.
pub fn problems(metadata: &Metadata) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for package in &metadata.packages {
        let excepted = EXCEPTIONS.iter().any(|(name, _)| *name == *package.name);
        if !excepted && !is_free(package) {
            let licence = package.license.as_deref().unwrap_or("no licence");
            problems.push(format!(
                "{} has {licence}, which xtask/src/supply.rs does not know as free",
                package.id
            ));
        }
        // Beside this repository, crates come from Cargo's own registry alone.
        if package.source.as_ref().is_some_and(|source| !source.is_crates_io()) {
            problems.push(format!("{} does not come from Cargo's own registry", package.id));
        }
    }
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

fn is_free(package: &Package) -> bool {
    let Some(licence) = &package.license else { return false };
    // Older manifests write / for OR.
    let Ok(expression) = Expression::parse_mode(licence, ParseMode::LAX) else { return false };
    expression.evaluate(|requirement| {
        let id: Option<LicenseId> = requirement.license.id();
        id.is_some_and(|id| LICENCES.contains(&id.name))
    })
}
