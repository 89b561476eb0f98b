//! `onejump-train`: see `--help`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use onejump_core::shortcut::{Kind, Solver};
use onejump_train::adam::Options;
use onejump_train::{Config, TrainError, train};

/// Train shortcuts on stored hidden states, one per exit level (or one for all: joint), and write
/// them as safetensors.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Folder of hidden states, from onejump-capture
    #[arg(long, value_name = "DIR")]
    hidden: PathBuf,
    /// n-njtc, njtc, jtc or joint
    #[arg(long)]
    kind: Kind,
    /// The safetensors file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// closed-form (the exact optimum) or adam (the paper's gradient descent)
    #[arg(long, default_value = "closed-form")]
    solver: Solver,
    /// Rank r of A·B; H/100 by default
    #[arg(long, value_name = "R")]
    rank: Option<usize>,
    /// Closed form: weight of a ridge term, relative to the mean square of the inputs
    #[arg(long, default_value_t = 0.0)]
    ridge: f64,
    /// adam: passes over the samples
    #[arg(long, default_value_t = Options::DEFAULT_EPOCHS)]
    epochs: usize,
    /// adam: samples in a step
    #[arg(long, default_value_t = Options::DEFAULT_BATCH_SIZE)]
    batch_size: usize,
    /// adam: learning rate of the first step; it falls to 0 along half a cosine
    #[arg(long, default_value_t = Options::DEFAULT_LEARNING_RATE)]
    learning_rate: f64,
    /// adam: seed of the initial weights and of the order of the samples
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn main() -> ExitCode {
    onejump_core::telemetry::init();
    onejump_core::cli::exit(run(Args::parse()))
}

fn run(args: Args) -> Result<(), TrainError> {
    let trained = train(&Config {
        solver: args.solver,
        rank: args.rank,
        ridge: args.ridge,
        adam: Options {
            epochs: args.epochs,
            batch_size: args.batch_size,
            learning_rate: args.learning_rate,
            seed: args.seed,
        },
        ..Config::new(args.hidden, args.kind)
    })?;
    trained.write(&args.out)?;
    let losses = &trained.card.training_loss;
    let mean = losses.iter().sum::<f64>() / losses.len() as f64;
    println!("{}: {} ({}), mean training loss {mean:.2}", args.out.display(), args.kind, args.solver);
    Ok(())
}
