//! `onejump-capture`: see `--help`.

mod args;

use std::process::ExitCode;

use args::Args;
use onejump_capture::{CaptureError, capture, plan};
use onejump_program::{Terminal, say};

fn main() -> ExitCode {
    onejump_program::run(run)
}

fn run(args: Args, terminal: &Terminal) -> Result<(), CaptureError> {
    let dry_run = args.dry_run;
    let config = args.config()?;
    if dry_run {
        say!("{}", plan(&config, terminal)?);
    } else {
        say!("{}: {}", config.out.display(), capture(&config, terminal)?);
    }
    Ok(())
}
