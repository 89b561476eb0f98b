//! `onejump-store`: see `--help`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use onejump_core::say;
use onejump_core::{cli, telemetry};
use onejump_store::StoreError;
use onejump_store::verify::verify;

/// Looks after folders of hidden states.
#[derive(Parser)]
#[command(name = "onejump-store", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check a folder against its manifest: hashes, schema, rows, samples, finite states; every problem
    /// is named
    Verify {
        /// Folder of hidden states, from onejump-capture
        dir: PathBuf,
    },
}

fn main() -> ExitCode {
    telemetry::init();
    let Command::Verify { dir } = Args::parse().command;
    cli::exit(run(dir))
}

fn run(dir: PathBuf) -> Result<(), StoreError> {
    let verified = verify(&dir)?;
    say!("{}", verified.to_string().trim_end());
    match verified.problems().count() {
        0 => Ok(()),
        1 => Err(StoreError::Content { path: dir, reason: "1 problem".into() }),
        count => Err(StoreError::Content { path: dir, reason: format!("{count} problems") }),
    }
}
