//! `cargo xtask reproduce`: sets up, builds, and runs `onejump-reproduce`, on the model and the sentences that ship.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use anyhow::Result;
use onejump_fetch::builtin::SMOLLM2_135M;

use onejump_program::Terminal;

use crate::{process, setup};

/// The binary, and its package.
const PROGRAM: &str = "onejump-reproduce";

/// Options of `cargo xtask reproduce`.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Args {
    /// Options of onejump-reproduce, among them --help
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    pub options: Vec<OsString>,
}

/// Runs the experiment; stages whose inputs did not change are not run again.
pub fn reproduce(args: &Args, terminal: &Terminal) -> Result<()> {
    // This binary needs no torch: help is given, and a wrong option refused, before anything is brought.
    let program = process::build(&["--package", PROGRAM])?.join(PROGRAM);
    let data = process::root()?.join("data");
    let command = |more: &[&str]| {
        let mut command = Command::new(&program);
        command.args(["--model", SMOLLM2_135M.name]);
        command.arg("--sentences").arg(data.join("wikipedia")).arg("--runs").arg(data.join("runs"));
        command.args(&args.options).args(more);
        command
    };
    if args.options.iter().any(|option| option == "--help" || option == "-h") {
        return process::become_program(&mut command(&[]));
    }
    // A cluster's jobs are made with the stages' binaries, which are not there yet.
    let cluster = |option: &OsString| {
        ["--executor", "--stage"].iter().any(|one| option.as_encoded_bytes().starts_with(one.as_bytes()))
    };
    if !args.options.iter().any(cluster) {
        process::run(command(&["--dry-run"]).stdout(Stdio::null()))?;
    }
    setup::setup(terminal)?;
    process::build_stages()?;
    process::become_program(&mut command(&[]))
}
