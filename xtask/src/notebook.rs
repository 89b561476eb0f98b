//! `cargo xtask notebook`: executes the notebook on a run, in a Python environment of its own.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use onejump_core::cache::SMOLLM2_135M;
use onejump_core::layout::RunLayout;

use crate::{process, python};

/// The pinned packages.
const REQUIREMENTS: &str = "data/notebooks/requirements.txt";

/// The notebook, from the root of the checkout.
const NOTEBOOK: &str = "data/notebooks/explore.ipynb";

/// What executes it; the package has no module to run.
const EXECUTE: &str = "from nbclient.cli import main; main()";

/// Options of `cargo xtask notebook`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of the run [default: data/runs/smollm2-135m]
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Where the executed notebook is written
    #[arg(long, value_name = "FILE", default_value = "data/runs/explore.ipynb")]
    out: PathBuf,
}

/// Executes the notebook from top to bottom; an exception in a cell is an error.
pub fn notebook(args: &Args) -> Result<()> {
    let own = || process::root().join("data/runs").join(SMOLLM2_135M.name);
    let run = std::path::absolute(args.run.clone().unwrap_or_else(own))?;
    ensure!(
        RunLayout::new(&run).per_level().is_file(),
        "{} is no finished run; `cargo xtask reproduce` makes one, --run names another",
        run.display()
    );
    let python = python::environment("notebook", REQUIREMENTS)?;
    process::run(
        Command::new(python)
            .args(["-c", EXECUTE, "--output"])
            .arg(std::path::absolute(&args.out)?)
            .arg(process::root().join(NOTEBOOK))
            .env("ONEJUMP_RUN", run),
    )?;
    println!("{}", args.out.display());
    Ok(())
}
