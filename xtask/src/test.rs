//! `cargo xtask test`: everything that must hold before a change lands.

use anyhow::Result;

use onejump_program::Terminal;

use crate::process::{cargo, run};
use crate::{gpu_kit, notebook, setup, tidy, wheel};

/// Format, edges, lints, documentation, all tests, the notebook, the kit for a GPU, the Python package; quick checks first.
/// One profile for all, so that dependencies build once.
pub fn test(terminal: &Terminal) -> Result<()> {
    run(cargo()?.args(["fmt", "--all", "--check"]))?;
    run(cargo()?.args(["fmt", "--check", "--manifest-path", "tests/fuzz/Cargo.toml"]))?;
    tidy::tidy()?;
    setup::setup(terminal)?;
    run(cargo()?.args(["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    run(cargo()?
        .args(["doc", "--release", "--workspace", "--no-deps", "--quiet"])
        .env("RUSTDOCFLAGS", "-D warnings"))?;
    run(cargo()?.args(["build", "--release", "--workspace", "--bins"]))?;
    run(cargo()?.args(["test", "--release", "--workspace"]))?;
    notebook::check()?;
    gpu_kit::check()?;
    wheel::check()
}
