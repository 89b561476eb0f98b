//! Running other programs, and where the checkout is.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Error, Result};
use onejump_program::child;

/// The root of the checkout that this program was called in, wherever it was compiled: the workspace that has an
/// `xtask`, from the folder that Cargo names, or from the current one, on upwards.
pub fn root() -> Result<PathBuf> {
    let cargos = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let start = [cargos, env::current_dir().ok()];
    let root = start.iter().flatten().find_map(|folder| workspace(folder));
    root.context("there is no checkout of Onejump here; run this in one, as cargo xtask")
}

fn workspace(start: &Path) -> Option<PathBuf> {
    let is_ours = |folder: &&Path| {
        let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        let manifest: toml::Table = text.parse().unwrap_or_default();
        let members = manifest.get("workspace").and_then(|workspace| workspace.get("members"));
        let members = members.and_then(toml::Value::as_array);
        members.is_some_and(|members| members.iter().any(|member| member.as_str() == Some("xtask")))
    };
    start.ancestors().find(is_ours).map(Path::to_owned)
}

/// What Cargo tells a program that it runs, beside what begins with `CARGO_PKG_`: the last is from `.cargo/config.toml`.
const TOLD: [&str; 6] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "LIBTORCH",
];

/// Cargo, run in the root, as from a shell: a build script that asks for what Cargo told this program would run again, and
/// all that depends on it would be compiled again.
pub fn cargo() -> Result<Command> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let root = root()?;
    let own_libtorch =
        env::var_os("LIBTORCH").is_none_or(|found| Path::new(&found) == root.join(".libtorch"));
    for name in env::vars_os().filter_map(|(name, _)| name.into_string().ok()) {
        let told = TOLD.contains(&name.as_str()) || name.starts_with("CARGO_PKG_");
        if told && (name != "LIBTORCH" || own_libtorch) {
            command.env_remove(name);
        }
    }
    command.current_dir(root);
    Ok(command)
}

/// Runs a program to its end, with its output on the terminal.
pub fn run(command: &mut Command) -> Result<()> {
    Ok(child::run(command)?)
}

/// Runs a program in place of this one: what it says and how it ends is what the caller sees. Returns only where it
/// cannot start.
pub fn become_program(command: &mut Command) -> Result<()> {
    let error = command.exec();
    Err(Error::new(error).context(format!("cannot run {}", command.get_program().display())))
}

/// Builds the stages and returns the folder of their binaries.
pub fn build_stages() -> Result<PathBuf> {
    build(&["--workspace", "--bins"])
}

/// Builds, and returns the folder of the binaries.
pub fn build(what: &[&str]) -> Result<PathBuf> {
    run(cargo()?.args(["build", "--release"]).args(what))?;
    let metadata = cargo_metadata::MetadataCommand::new().current_dir(root()?).no_deps().exec()?;
    Ok(metadata.target_directory.join("release").into())
}
