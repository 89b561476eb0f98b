//! `cargo xtask setup`: libtorch and the default model, from Python packages, into the user's cache.
//!
//! libtorch's shared libraries are those of the `torch` package, which needs two of NVIDIA's small
//! run-time libraries even on a CPU.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::builder::PossibleValuesParser;
use onejump_core::cache;
use onejump_core::observe::Observer;
use onejump_fetch::builtin::{BUILTIN_MODELS, BuiltinModel, SMOLLM2_135M};
use onejump_fetch::packages::{self, Packages};
use onejump_program::remark;

use crate::process;

/// The version that tch 0.24 is written for.
const LIBTORCH: &str = "2.11.0";

/// Python packages with libtorch in them.
const PACKAGES: Packages = Packages {
    names: &["torch==2.11.0", "nvidia-cuda-runtime==13.0.96", "nvidia-cuda-cupti==13.0.85"],
    bytes: 540_000_000,
};

/// The shared libraries that are needed, by file name.
const LIBRARIES: [&str; 7] = [
    "libtorch_cpu.so",
    "libc10.so",
    "libgomp.so.1",
    "libtorch.so",
    "libtorch_global_deps.so",
    "libcudart.so.13",
    "libcupti.so.13",
];

/// Options of `cargo xtask setup`.
#[derive(clap::Args)]
pub struct Args {
    /// Another built-in model to bring; may be repeated
    #[arg(long = "model", value_name = "NAME", value_parser = PossibleValuesParser::new(BUILTIN_MODELS.map(|model| model.name)))]
    models: Vec<String>,
}

/// Brings libtorch, the default model, and those that are asked for.
pub fn with_models(args: &Args, observer: &dyn Observer) -> Result<()> {
    setup(observer)?;
    for model in args.models.iter().filter_map(|name| BuiltinModel::by_name(name)) {
        model.fetch(observer)?;
    }
    Ok(())
}

/// Brings libtorch and the default model, and links `.libtorch` to the libtorch in use.
pub fn setup(observer: &dyn Observer) -> Result<()> {
    let libtorch = match own_libtorch()? {
        Some(folder) => folder,
        None => cached_libtorch(observer)?,
    };
    link(&libtorch)?;
    SMOLLM2_135M.fetch(observer)?;
    Ok(())
}

/// What the user's environment points at: it is left alone.
fn own_libtorch() -> Result<Option<PathBuf>> {
    if std::env::var_os("LIBTORCH_USE_PYTORCH").is_some() {
        let script = "import os, torch; print(os.path.dirname(torch.__file__))";
        let output = Command::new("python3").args(["-c", script]).output().context("cannot start python3")?;
        ensure!(
            output.status.success(),
            "LIBTORCH_USE_PYTORCH is set, but python3 cannot import torch; install torch=={LIBTORCH} or unset it"
        );
        return Ok(Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())));
    }
    let Some(folder) = std::env::var_os("LIBTORCH").map(PathBuf::from) else { return Ok(None) };
    // Cargo sets LIBTORCH to `.libtorch` for what it runs, this program included.
    if folder == process::root()?.join(".libtorch") || folder.as_os_str().is_empty() {
        return Ok(None);
    }
    ensure!(
        folder.join("lib").is_dir(),
        "LIBTORCH is {}, which has no lib folder; point it at a libtorch {LIBTORCH} or unset it",
        folder.display()
    );
    Ok(Some(folder))
}

fn cached_libtorch(observer: &dyn Observer) -> Result<PathBuf> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "libtorch can be brought for Linux on x86-64 alone; set LIBTORCH to a libtorch {LIBTORCH}"
    );
    let folder = cache::directory().join(format!("libtorch-{LIBTORCH}"));
    if packages::is_whole(&folder) {
        return Ok(folder);
    }
    let started = Instant::now();
    remark!("setup: libtorch {LIBTORCH} (540 MB to download) to {}", folder.display());
    packages::make_whole(&folder, |folder| unpack_libtorch(folder, observer))?;
    remark!("setup: libtorch is there, after {:.0} s", started.elapsed().as_secs_f64());
    Ok(folder)
}

fn unpack_libtorch(folder: &Path, observer: &dyn Observer) -> Result<()> {
    let target = |member: &str| {
        if let Some(header) = member.strip_prefix("torch/include/") {
            return Some(Path::new("include").join(header));
        }
        let file = member.rsplit('/').next()?;
        let library = member.contains("/lib/") && LIBRARIES.contains(&file);
        library.then(|| Path::new("lib").join(file))
    };
    PACKAGES.unpack(folder, target, observer)?;
    if let Some(missing) = LIBRARIES.iter().find(|file| !folder.join("lib").join(file).is_file()) {
        bail!("the downloaded packages have no {missing}; the versions do not fit together");
    }
    Ok(fs::write(folder.join("build-version"), LIBTORCH)?)
}

/// `.libtorch` in the root, which `.cargo/config.toml` names.
fn link(libtorch: &Path) -> Result<()> {
    let link = process::root()?.join(".libtorch");
    if fs::read_link(&link).is_ok_and(|target| target == libtorch) {
        return Ok(());
    }
    if link.is_symlink() {
        fs::remove_file(&link)?;
    }
    symlink(libtorch, &link).with_context(|| format!("cannot link {}", link.display()))
}
