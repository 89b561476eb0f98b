//! `onejump-reproduce`: see `--help`.

mod args;

use std::process::{Command, ExitCode};

use args::Args;
use onejump_program::{Terminal, child, say};
use onejump_reproduce::{Local, Programs, ReproduceError, check, reproduce};

fn main() -> ExitCode {
    onejump_program::run(run)
}

fn run(args: Args, terminal: &Terminal) -> Result<(), ReproduceError> {
    let dry_run = args.dry_run;
    let experiment = args.experiment()?;
    if dry_run {
        check(&experiment)?;
        say!("{}: the experiment can run", experiment.out.display());
        return Ok(());
    }
    let on_the_terminal = |command: &mut Command| Ok(child::run(command)?);
    let local = Local { programs: Programs::find()?, run: &on_the_terminal };
    let times = reproduce(&experiment, local, terminal)?;
    say!("\n{times}");
    say!("report: {}", experiment.layout().report().display());
    Ok(())
}
