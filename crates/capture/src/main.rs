//! `onejump-capture`: see `--help`.

mod args;

use std::error::Error;
use std::panic::resume_unwind;
use std::process::{Command, ExitCode};
use std::{env, thread};

use args::{Args, of_gpu};
use onejump_capture::{capture, plan};
use onejump_models::device::{self, Choice};
use onejump_models::tf32;
use onejump_program::child::{self, ChildError};
use onejump_program::restart::restart;
use onejump_program::{Terminal, remark, say};

fn main() -> ExitCode {
    onejump_program::run(run)
}

fn run(args: Args, terminal: &Terminal) -> Result<(), Box<dyn Error>> {
    let all_gpus = args.all_gpus()?;
    let name = if all_gpus { "cuda" } else { args.device.as_str() };
    if name != "cpu" {
        restart(device::missing_library(name).as_deref(), tf32::variable(&args.dtype))?;
        let choice = Choice::of(name)?;
        if all_gpus && !args.dry_run {
            return Ok(on_each_gpu(choice.gpus())?);
        }
        remark!("{choice}");
    }
    let (dry_run, name) = (args.dry_run, name.to_owned());
    let config = onejump_capture::Config { device: name, ..args.config()? };
    if dry_run {
        say!("{}", plan(&config, terminal)?);
    } else {
        say!("{}: {}", config.out.display(), capture(&config, terminal)?);
    }
    Ok(())
}

/// A process a GPU; the first that fails says why, and the others end first.
fn on_each_gpu(gpus: usize) -> Result<(), ChildError> {
    let one = |gpu: usize| {
        let program = env::current_exe().unwrap_or_else(|_| env!("CARGO_PKG_NAME").into());
        child::run(Command::new(program).args(of_gpu(env::args_os().skip(1), gpu, gpus)))
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..gpus).map(|gpu| scope.spawn(move || one(gpu))).collect();
        let mut ended =
            running.into_iter().map(|gpu| gpu.join().unwrap_or_else(|panic| resume_unwind(panic)));
        ended.try_for_each(|outcome| outcome)
    })
}
