//! `onejump-capture`: see `--help`.

mod args;

use std::error::Error;
use std::process::ExitCode;

use args::Args;
use onejump_capture::{capture, plan};
use onejump_models::device::{self, Choice};
use onejump_program::preload::preload;
use onejump_program::{Terminal, remark, say};

fn main() -> ExitCode {
    onejump_program::run(run)
}

fn run(args: Args, terminal: &Terminal) -> Result<(), Box<dyn Error>> {
    if let Some(library) = device::missing_library(&args.device) {
        preload(&library)?;
    }
    if args.device != "cpu" {
        remark!("{}", Choice::of(&args.device)?);
    }
    let dry_run = args.dry_run;
    let config = args.config()?;
    if dry_run {
        say!("{}", plan(&config, terminal)?);
    } else {
        say!("{}: {}", config.out.display(), capture(&config, terminal)?);
    }
    Ok(())
}
