//! `cargo xtask parity`: every architecture against Hugging Face transformers, on small random
//! checkpoints, and what `data/peers.py` makes of the files of peers, and the Python module. Python packages go into a virtual
//! environment in the user's cache.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use onejump_program::Terminal;

use crate::{process, python, setup};

/// The package of tuned lenses. Nothing else that it asks for (data sets, plots, services) is needed to read a lens.
const TUNED_LENS: &str = "tuned-lens==0.2.0";

/// Makes the checkpoints, captures their states, and prints the table of differences.
pub fn parity(terminal: &Terminal) -> Result<()> {
    setup::setup(terminal)?;
    let binaries = process::build_stages()?;
    let python = python::environment("parity", python::PARITY)?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", TUNED_LENS];
    process::run(Command::new(&python).args(pip))?;
    let scripts = process::root()?.join("tests/parity");
    let folder = tempfile::tempdir()?;
    let script = |name: &str| {
        let mut command = Command::new(&python);
        command.arg(scripts.join(name));
        // The table is what people look for: no bars of loaded weights, no remarks on random configurations.
        command.env("TQDM_DISABLE", "1").env("TRANSFORMERS_VERBOSITY", "error");
        command
    };
    let run = |verb: &str| process::run(script("parity.py").arg(verb).arg(folder.path()));
    run("make")?;
    for entry in fs::read_dir(folder.path())? {
        let case = entry?.path();
        capture(&binaries, &case, &case, "hidden")?;
        let gguf = case.join("model.gguf");
        if gguf.is_file() {
            capture(&binaries, &case, &gguf, "hidden-gguf")?;
        }
    }
    run("compare")?;
    process::run(script("peers.py").arg(folder.path()).arg(&binaries))?;
    python_module(&python, &binaries)
}

/// The Python module against what the programs write.
fn python_module(python: &Path, binaries: &Path) -> Result<()> {
    let sources = process::root()?.join("crates/python");
    let mut tests = Command::new(python);
    tests.args(["-m", "unittest", "discover"]).arg(sources.join("tests"));
    tests.env("ONEJUMP_BIN", binaries).env("PYTHONPATH", sources.join("src")).env("TQDM_DISABLE", "1");
    process::run(tests.env("TRANSFORMERS_VERBOSITY", "error"))
}

fn capture(binaries: &Path, case: &Path, model: &Path, out: &str) -> Result<()> {
    let output = Command::new(binaries.join("onejump-capture"))
        .args(["--device", "cpu", "--model"])
        .arg(model)
        .arg("--samples")
        .arg(case.join("samples.jsonl"))
        .arg("--out")
        .arg(case.join(out))
        .output()
        .context("cannot start onejump-capture")?;
    anyhow::ensure!(
        output.status.success(),
        "{}: {}",
        model.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
