//! `onejump-train`: see `--help`.

mod args;

use std::process::ExitCode;

use args::Args;
use clap::Parser;
use onejump_core::cli::thousands;
use onejump_core::lock;
use onejump_store::hidden::Selection;
use onejump_train::adam::Options;
use onejump_train::{Config, TrainError, train};

fn main() -> ExitCode {
    onejump_core::telemetry::init();
    onejump_core::interrupt::listen();
    onejump_core::cli::exit(run(Args::parse()))
}

fn run(args: Args) -> Result<(), TrainError> {
    let _lock = lock::file(&args.out)?;
    let mut config = Config {
        rank: args.rank,
        ridge: args.ridge,
        target: args.target,
        selection: Selection { first: args.first, without_position_0: args.without_position_0 },
        label: args.label,
        model: args.model,
        ..Config::new(args.hidden, args.kind)
    };
    config.solver = args.solver.unwrap_or(config.solver);
    config.adam = Options {
        epochs: args.epochs.unwrap_or(config.adam.epochs),
        batch_size: args.batch_size.unwrap_or(config.adam.batch_size),
        learning_rate: args.learning_rate.unwrap_or(config.adam.learning_rate),
        seed: args.seed,
    };
    let trained = train(&config)?;
    trained.write(&args.out)?;
    let losses = &trained.card.training_loss;
    let mean = losses.iter().sum::<f64>() / losses.len() as f64;
    println!("{}: {} ({}), mean training loss {mean:.2}", args.out.display(), args.kind, config.solver);
    let parameters = thousands(trained.card.parameters());
    match trained.card.rank {
        Some(rank) => println!("  rank {rank}, {parameters} parameters"),
        None => println!("  {parameters} parameters"),
    }
    Ok(())
}
