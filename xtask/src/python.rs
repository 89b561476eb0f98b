//! Virtual environments of Python with pinned packages, in the user's cache.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use onejump_core::{cache, files};
use onejump_program::remark;

use crate::process;

/// What says which packages an environment has: the hash of its requirements.
const STAMP: &str = "onejump-requirements";

/// The pinned versions that the golden values of the tests were made with: torch and transformers.
pub const PARITY: &str = "tests/golden/requirements.txt";

/// The Python of an environment of this name, if it was made before and its packages are those that the requirements
/// pin.
pub fn installed(name: &str, requirements: &str) -> Result<Option<PathBuf>> {
    let wanted = files::sha256_file(&process::root()?.join(requirements))?;
    let folder = cache::directory().join(format!("{name}-python"));
    let there = fs::read_to_string(folder.join(STAMP)).is_ok_and(|there| there == wanted);
    Ok(there.then(|| folder.join("bin/python")))
}

/// The Python of the environment of this name, made anew where its packages are not those that the
/// requirements (a file of the checkout) pin.
pub fn environment(name: &str, requirements: &str) -> Result<PathBuf> {
    if let Some(python) = installed(name, requirements)? {
        return Ok(python);
    }
    let requirements = process::root()?.join(requirements);
    let wanted = files::sha256_file(&requirements)?;
    let folder = cache::directory().join(format!("{name}-python"));
    let (stamp, python) = (folder.join(STAMP), folder.join("bin/python"));
    remark!("{name}: installing Python packages into {}", folder.display());
    process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    process::run(Command::new(&python).args(pip).arg(&requirements))?;
    files::write_bytes(&stamp, wanted.as_bytes())?;
    Ok(python)
}
