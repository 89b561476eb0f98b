//! `cargo xtask gpu-kit`: one folder that tries Onejump on a machine with a GPU, which needs neither Rust nor a network.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use onejump_program::{Terminal, remark, say};

use crate::{process, python, setup};

/// What the folder has to stay below, so that it can be carried about.
const MOST_BYTES: u64 = 70_000_000;

/// What is run there.
const BINARIES: [&str; 4] = ["onejump-capture", "onejump-train", "examples/raw", "examples/session"];

/// The scripts, which lie in `tests/gpu_kit`.
const SCRIPTS: [&str; 2] = ["run.sh", "kit.py"];

/// Options of `cargo xtask gpu-kit`.
#[derive(clap::Args)]
pub struct Args {
    /// The folder to make
    #[arg(long, value_name = "DIR", default_value = "target/gpu-kit")]
    out: PathBuf,
    /// Then try every step of it here on the CPU, with small sizes (torch and transformers are installed into the
    /// user's cache, 5 GB)
    #[arg(long)]
    cpu: bool,
}

/// Builds the stages and makes the folder.
pub fn gpu_kit(args: &Args, terminal: &Terminal) -> Result<()> {
    setup::setup(terminal)?;
    let release = process::build_stages()?;
    let out = process::root()?.join(&args.out);
    make(&out, &release)?;
    say!("{}: copy it to a machine with a GPU, and there: ./run.sh OUT", out.display());
    if args.cpu { try_on_cpu(&out, &python::environment("parity", python::PARITY)?) } else { Ok(()) }
}

/// Makes the kit and tries it, where the Python that it takes has been installed before: it has gigabytes.
pub fn check() -> Result<()> {
    let Some(python) = python::installed("parity", python::PARITY)? else {
        remark!(
            "gpu-kit: not tried, since there is no Python with torch yet; cargo xtask gpu-kit --cpu brings it"
        );
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let kit = folder.path().join("kit");
    make(&kit, &process::build_stages()?)?;
    try_on_cpu(&kit, &python)
}

fn make(out: &Path, release: &Path) -> Result<()> {
    process::run(process::cargo()?.args(["build", "--release", "--workspace", "--examples"]))?;
    if out.exists() {
        fs::remove_dir_all(out)?;
    }
    let bin = out.join("bin");
    fs::create_dir_all(&bin)?;
    let root = process::root()?.join("tests");
    for binary in BINARIES {
        let source = release.join(binary);
        let target = bin.join(source.file_name().unwrap_or_default());
        process::run(Command::new("strip").arg("-o").arg(&target).arg(&source))?;
        fs::set_permissions(&target, fs::Permissions::from_mode(0o755))?;
    }
    for script in SCRIPTS {
        fs::copy(root.join("gpu_kit").join(script), out.join(script))?;
    }
    copy(&root.join("parity/cases"), &out.join("cases"))?;
    let bytes = size(out)?;
    ensure!(
        bytes < MOST_BYTES,
        "{} has {:.1} MB; it has to stay below {:.0}",
        out.display(),
        bytes as f64 / 1e6,
        MOST_BYTES as f64 / 1e6
    );
    say!("{}: {:.1} MB", out.display(), bytes as f64 / 1e6);
    Ok(())
}

fn try_on_cpu(kit: &Path, python: &Path) -> Result<()> {
    let out = tempfile::tempdir()?;
    process::run(Command::new(kit.join("run.sh")).arg(out.path()).arg("--cpu").env("PYTHON", python))
}

/// Copies a folder of folders; GGUF files are left out, since their states are those of the directories.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (path, target) = (entry?.path(), |name| to.join(name));
        let name = path.file_name().unwrap_or_default().to_owned();
        if path.is_dir() {
            copy(&path, &target(name))?;
        } else if path.extension().is_none_or(|ending| ending != "gguf") {
            fs::copy(&path, target(name))?;
        }
    }
    Ok(())
}

fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.path().is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}
