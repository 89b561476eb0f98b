//! Virtual environments of Python with pinned packages, in the user's cache.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use onejump_core::{cache, files};
use onejump_program::remark;

use crate::process;

/// The Python of the environment of this name, made anew where its packages are not those that the
/// requirements (a file of the checkout) pin.
pub fn environment(name: &str, requirements: &str) -> Result<PathBuf> {
    let requirements = process::root()?.join(requirements);
    let wanted = files::sha256_file(&requirements)?;
    let folder = cache::directory().join(format!("{name}-python"));
    let (stamp, python) = (folder.join("onejump-requirements"), folder.join("bin/python"));
    if fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(python);
    }
    remark!("{name}: installing Python packages into {}", folder.display());
    process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    process::run(Command::new(&python).args(pip).arg(&requirements))?;
    files::write_bytes(&stamp, wanted.as_bytes())?;
    Ok(python)
}
