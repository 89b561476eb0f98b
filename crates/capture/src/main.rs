//! `onejump-capture`: see `--help`.

mod args;
mod gpus;

use std::error::Error;
use std::process::ExitCode;

use args::{Args, Format};
use onejump_capture::{capture, plan};
use onejump_models::device::{self, Choice};
use onejump_models::tf32;
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
        if all_gpus && args.dry_run.is_none() {
            return gpus::on_each(choice.gpus(), &args.out, terminal);
        }
        remark!("{choice}");
    }
    let (dry_run, name) = (args.dry_run, name.to_owned());
    let config = onejump_capture::Config { device: name, ..args.config()? };
    match dry_run {
        None => say!("{}: {}", config.folder().display(), capture(&config, terminal)?),
        Some(Format::Text) => say!("{}", plan(&config, terminal)?),
        Some(Format::Json) => say!("{}", serde_json::to_string(&plan(&config, terminal)?)?),
    }
    Ok(())
}
