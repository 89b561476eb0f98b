//! `onejump-evaluate`: see `--help`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use onejump_evaluate::{Config, EvaluateError, evaluate};

/// Measure shortcuts against the model's own predictions at every exit level. Of the model only the
/// head is read.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Folder of hidden states that are evaluated on: the test samples
    #[arg(long, value_name = "DIR")]
    hidden: PathBuf,
    /// Folder of the training samples, for the constant baseline [default: train beside --hidden]
    #[arg(long, value_name = "DIR")]
    train_hidden: Option<PathBuf>,
    /// The model that the states come from
    #[arg(long, value_name = "MODEL")]
    model: String,
    /// Files of shortcuts, from onejump-train
    #[arg(long, value_name = "FILE", num_args = 1..)]
    shortcuts: Vec<PathBuf>,
    /// Files of chosen jumps, from onejump-score
    #[arg(long, value_name = "FILE", num_args = 1..)]
    ojfa: Vec<PathBuf>,
    /// Jumps that are also applied at every level [default: at 1/6, 3/6 and 5/6 of the blocks]
    #[arg(long, value_name = "JUMPS", value_delimiter = ',')]
    arbitrary: Option<Vec<usize>>,
    /// Folder for per_level.parquet and summary.json
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

fn main() -> ExitCode {
    onejump_core::telemetry::init();
    onejump_core::cli::exit(run(Args::parse()))
}

fn run(args: Args) -> Result<(), EvaluateError> {
    let summary = evaluate(&Config {
        train_hidden: args.train_hidden,
        shortcuts: args.shortcuts,
        ojfa: args.ojfa,
        arbitrary: args.arbitrary,
        ..Config::new(args.hidden, &args.model, &args.out)
    })?;
    println!(
        "{}: {} methods at {} exit levels over {} samples",
        args.out.display(),
        summary.averages.len(),
        summary.blocks,
        summary.test_samples
    );
    Ok(())
}
