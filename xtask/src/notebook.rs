//! `cargo xtask notebook`: executes the notebook on a run, in a Python environment of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use onejump_core::layout::{RunLayout, Split};
use onejump_core::set_name::SetName;
use onejump_core::shortcut::ShortcutKind;
use onejump_fetch::builtin::SMOLLM2_135M;
use onejump_program::say;

use crate::{process, python};

/// The pinned packages.
const REQUIREMENTS: &str = "data/notebooks/requirements.txt";

/// The notebook, from the root of the checkout.
const NOTEBOOK: &str = "data/notebooks/explore.ipynb";

/// Reads states that are stored in other types, by the libraries that people use.
const STORED_TYPES: &str = "data/notebooks/stored_types.py";

/// What executes the notebook; the package has no module to run.
const EXECUTE: &str = "from nbclient.cli import main; main()";

/// Sentences of each split in the run that the notebook is tested on.
const TEST_SENTENCES: &str = "60";

/// Options of `cargo xtask notebook`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of the run [default: data/runs/smollm2-135m]
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Execute it on a small run that is made for it, as `cargo xtask test` does
    #[arg(long, conflicts_with_all = ["run", "out"])]
    small: bool,
    /// Where the executed notebook is written
    #[arg(long, value_name = "FILE", default_value = "data/runs/explore.ipynb")]
    out: PathBuf,
}

/// Executes the notebook from top to bottom; an exception in a cell is an error.
pub fn notebook(args: &Args) -> Result<()> {
    if args.small {
        return check();
    }
    let own = process::root()?.join("data/runs").join(SMOLLM2_135M.name);
    let run = std::path::absolute(args.run.clone().unwrap_or(own))?;
    ensure!(
        RunLayout::new(&run).per_level().is_file(),
        "{} is no finished run; `cargo xtask reproduce` makes one, --run names another",
        run.display()
    );
    let binaries = process::build_stages()?;
    process::run(&mut execute(&process::root()?.join(NOTEBOOK), &run, &args.out, &binaries)?)?;
    say!("{}", args.out.display());
    Ok(())
}

/// With our programs on its path.
fn execute(notebook: &Path, run: &Path, out: &Path, binaries: &Path) -> Result<Command> {
    let mut command = Command::new(python::environment("notebook", REQUIREMENTS)?);
    command.args(["-c", EXECUTE, "--output"]).arg(std::path::absolute(out)?).arg(notebook);
    let others = env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(binaries.to_owned()).chain(env::split_paths(&others));
    command.env("ONEJUMP_RUN", run).env("PATH", env::join_paths(path)?);
    Ok(command)
}

/// Executes the notebook on small runs that are made for it, one with states in another type, and once more with its
/// assertion turned around: then it must fail. Then reads states in every type.
pub fn check() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("executed.ipynb");
    let binaries = process::build_stages()?;
    let notebook = process::root()?.join(NOTEBOOK);
    let run = |dtype: &str| folder.path().join(format!("run-{dtype}"));
    for dtype in ["f32", "bf16"] {
        small_run(&binaries, &RunLayout::new(run(dtype)), dtype)?;
        process::run(&mut execute(&notebook, &run(dtype), &out, &binaries)?)?;
        let executed = fs::read_to_string(&out)?;
        for kind in ["image/png", "image/svg+xml"] {
            ensure!(executed.contains(kind), "{NOTEBOOK} draws no {kind}");
        }
    }

    let turned = folder.path().join("turned.ipynb");
    let text = fs::read_to_string(&notebook)?;
    fs::write(&turned, text.replacen("\"assert ", "\"assert not ", 1))?;
    let failed = execute(&turned, &run("f32"), &out, &binaries)?.output().context("cannot start Python")?;
    let said = String::from_utf8_lossy(&failed.stderr);
    ensure!(
        !failed.status.success() && said.contains("AssertionError"),
        "{NOTEBOOK} with a false assertion does not fail: {said}"
    );
    say!("{NOTEBOOK}: executed on small runs");
    stored_types(&binaries, folder.path())
}

/// The same states in every type, read by pyarrow, polars, pandas and DuckDB.
fn stored_types(binaries: &Path, folder: &Path) -> Result<()> {
    let mut script = Command::new(python::environment("notebook", REQUIREMENTS)?);
    script.arg(process::root()?.join(STORED_TYPES));
    for dtype in ["f32", "f16", "bf16"] {
        let out = folder.join(dtype);
        let mut capture = Command::new(binaries.join("onejump-capture"));
        capture.args(["--model", SMOLLM2_135M.name, "--device", "cpu", "--limit", "20"]);
        capture.arg("--sentences").arg(process::root()?.join("data/wikipedia/test.txt"));
        process::run(capture.args(["--store-dtype", dtype]).arg("--out").arg(&out))?;
        script.arg(out);
    }
    process::run(&mut script)
}

/// States of a type, an n-njtc, the one jump and their evaluation, on a few sentences of each split.
fn small_run(binaries: &Path, layout: &RunLayout, dtype: &str) -> Result<()> {
    let model = SMOLLM2_135M.name;
    let stage = |name: &str, options: &[(&str, &Path)], more: &[&str]| {
        let mut command = Command::new(binaries.join(name));
        for (option, path) in options {
            command.arg(option).arg(path);
        }
        process::run(command.args(more))
    };
    let [train, test] = [Split::Train, Split::Test].map(|split| layout.hidden(split));
    for (split, out) in [(Split::Train, &train), (Split::Test, &test)] {
        let sentences = process::root()?.join(format!("data/wikipedia/{}.txt", split.name()));
        let options =
            ["--model", model, "--device", "cpu", "--limit", TEST_SENTENCES, "--store-dtype", dtype];
        stage("onejump-capture", &[("--sentences", &sentences), ("--out", out)], &options)?;
    }
    let jumps = SetName::plain(ShortcutKind::NNjtc);
    let (jumps, one, scores) = (layout.shortcuts(&jumps), layout.ojfa(&jumps), layout.scores(&jumps));
    stage("onejump-train", &[("--hidden", &train), ("--out", &jumps)], &["--kind", "n-njtc"])?;
    let files: [(&str, &Path); 4] =
        [("--hidden", &train), ("--shortcuts", &jumps), ("--out", &scores), ("--ojfa", &one)];
    stage("onejump-score", &files, &[])?;
    let files: [(&str, &Path); 4] =
        [("--hidden", &test), ("--shortcuts", &jumps), ("--ojfa", &one), ("--out", &layout.results())];
    stage("onejump-evaluate", &files, &["--model", model])
}
