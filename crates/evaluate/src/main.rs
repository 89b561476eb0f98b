//! `onejump-evaluate`: see `--help`.

mod args;

use std::process::ExitCode;

use args::Args;
use clap::Parser;
use onejump_evaluate::{Config, EvaluateError, evaluate};

fn main() -> ExitCode {
    onejump_core::telemetry::init();
    onejump_core::interrupt::listen();
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
