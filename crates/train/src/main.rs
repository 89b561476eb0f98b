//! `onejump-train`: see `--help`.

mod args;

use std::error::Error;
use std::process::ExitCode;

use args::Args;
use onejump_core::numbers::thousands;
use onejump_models::device::{self, Choice};
use onejump_models::tf32;
use onejump_program::restart::restart;
use onejump_program::{Terminal, remark, say};
use onejump_train::{WrittenFile, train_files};

fn main() -> ExitCode {
    onejump_program::run(run)
}

fn run(args: Args, terminal: &Terminal) -> Result<(), Box<dyn Error>> {
    if args.device != "cpu" {
        restart(device::missing_library(&args.device).as_deref(), tf32::variable("f32"))?;
    }
    let choice = Choice::of(&args.device)?;
    if args.device != "cpu" {
        remark!("{choice}");
    }
    for file in train_files(&args.config(choice.device), &args.kind, &args.rank, &args.out, terminal)? {
        tell(&file);
    }
    Ok(())
}

/// Says what is in a file.
fn tell(WrittenFile { path, card }: &WrittenFile) {
    let mean = card.training_loss.iter().sum::<f64>() / card.training_loss.len() as f64;
    say!("{}: {} ({}), mean training loss {mean:.2}", path.display(), card.kind, card.solver);
    let parameters = thousands(card.parameters());
    match card.rank {
        Some(rank) => say!("  rank {rank}, {parameters} parameters"),
        None => say!("  {parameters} parameters"),
    }
}
