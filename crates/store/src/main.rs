//! `onejump-store`: see `--help`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use onejump_program::{Terminal, say};
use onejump_store::StoreError;
use onejump_store::merge::merge;
use onejump_store::verify::verify;

/// Work on folders of hidden states.
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
    /// Join the shards of a capture into the folder of an undivided one. Parts are linked, or copied from another disk;
    /// the shards stay
    Merge {
        /// The folder of the whole
        out: PathBuf,
        /// The shards' folders, from onejump-capture --shard [default: those in OUT]
        shards: Vec<PathBuf>,
    },
}

fn main() -> ExitCode {
    onejump_program::run(run)
}

fn run(args: Args, terminal: &Terminal) -> Result<(), StoreError> {
    match args.command {
        Command::Verify { dir } => {
            let verified = verify(&dir)?;
            say!("{}", verified.to_string().trim_end());
            match verified.problems().count() {
                0 => Ok(()),
                count => Err(StoreError::Problems { dir, count }),
            }
        }
        Command::Merge { out, shards } => {
            say!("{}: {}", out.display(), merge(&out, &shards, terminal)?);
            Ok(())
        }
    }
}
