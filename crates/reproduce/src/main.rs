//! `onejump-reproduce`: see `--help`.

mod args;

use std::env;
use std::process::{Command, ExitCode};

use args::{Args, Executor};
use onejump_program::{Terminal, child, remark, say};
use onejump_reproduce::{
    Experiment, LAST, Local, Programs, ReproduceError, Slurm, SlurmOptions, check, publish, reproduce,
    reproduce_in_passes, run_unit,
};

fn main() -> ExitCode {
    onejump_program::run(run)
}

fn run(args: Args, terminal: &Terminal) -> Result<(), ReproduceError> {
    args.check()?;
    let (dry_run, status, executor) = (args.dry_run, args.status, args.executor);
    let no_states = args.no_states;
    let (stage, options) = (args.stage.clone(), args.slurm.clone());
    let wanted = args.wanted()?;
    let on_the_terminal = |command: &mut Command| Ok(child::run(command)?);
    let local = || Ok::<_, ReproduceError>(Local { programs: Programs::find()?, run: &on_the_terminal });
    if let Some(experiment) = wanted.experiment {
        if let Some(stage) = &stage {
            let times = run_unit(&experiment, options.shards.get(), stage, local()?, terminal)?;
            say!("{times}");
            if stage != LAST {
                return Ok(());
            }
        } else if executor == Executor::Slurm {
            let more = experiment.beyond || wanted.publish.is_some();
            return on_slurm(&experiment, options, more, dry_run, status);
        } else if dry_run {
            check(&experiment)?;
            say!("{}: the experiment can run", experiment.out.display());
            return Ok(());
        } else if let Some(shards) = no_states {
            let times = reproduce_in_passes(&experiment, shards.get(), local()?, terminal)?;
            say!("\n{times}");
        } else {
            let times = reproduce(&experiment, local()?, terminal)?;
            say!("\n{times}");
        }
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

fn on_slurm(
    experiment: &Experiment,
    options: SlurmOptions,
    more: bool,
    dry_run: bool,
    status: bool,
) -> Result<(), ReproduceError> {
    let ask = |command: &mut Command| Ok(child::output(command)?);
    let slurm = Slurm::new(options, args::for_jobs(env::args_os()), more, Programs::find()?, &ask)?;
    if status {
        say!("{}", slurm.status(experiment)?);
    } else if dry_run {
        say!("{}", slurm.scripts(experiment)?.scripts.join("\n").trim_end());
    } else {
        say!("{}", slurm.submit(experiment)?);
        say!("scripts and logs: {}; --status shows how far they are", slurm.logs(experiment).display());
    }
    Ok(())
}
