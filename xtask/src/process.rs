//! Running other programs, and where the checkout is.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use onejump_program::child;

/// The root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Cargo, run in the root.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a program to its end, with its output on the terminal.
pub fn run(command: &mut Command) -> Result<()> {
    Ok(child::run(command)?)
}

/// Builds the stages and returns the folder of their binaries.
pub fn build_stages() -> Result<PathBuf> {
    run(cargo().args(["build", "--release", "--workspace", "--bins"]))?;
    let metadata = cargo_metadata::MetadataCommand::new().current_dir(root()).no_deps().exec()?;
    Ok(metadata.target_directory.join("release").into())
}
