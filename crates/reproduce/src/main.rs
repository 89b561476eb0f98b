//! `onejump-reproduce`: see `--help`.

mod args;

use std::process::{Command, ExitCode};

use args::Args;
use onejump_program::{Terminal, child, remark, say};
use onejump_reproduce::{Local, Programs, ReproduceError, check, publish, reproduce};

fn main() -> ExitCode {
    onejump_program::run(run)
}

fn run(args: Args, terminal: &Terminal) -> Result<(), ReproduceError> {
    let dry_run = args.dry_run;
    let wanted = args.wanted()?;
    if let Some(experiment) = wanted.experiment {
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
    }
    if let Some(options) = wanted.publish {
        let published = publish(&wanted.run, &options)?;
        published.remarks.iter().for_each(|remark| remark!("{remark}"));
        let folder = options.folder.display();
        say!("{folder}: {} files of shortcuts, {} by default", published.files, published.default);
        say!("upload it with: hf upload {} {folder}", options.repository.as_deref().unwrap_or("OWNER/NAME"));
    }
    Ok(())
}
