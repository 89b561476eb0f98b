//! `onejump-train`: see `--help`.

mod args;

use std::process::ExitCode;

use args::Args;
use onejump_core::numbers::thousands;
use onejump_program::{Terminal, say};
use onejump_train::{TrainError, WrittenFile, train_files};

fn main() -> ExitCode {
    onejump_program::run(run)
}

fn run(args: Args, terminal: &Terminal) -> Result<(), TrainError> {
    for file in train_files(&args.config(), &args.kind, &args.rank, &args.out, terminal)? {
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
