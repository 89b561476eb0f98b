//! `onejump-evaluate`: see `--help`.

mod args;

use std::process::ExitCode;

use args::Args;
use onejump_evaluate::{Config, EvaluateError, analyse, evaluate};
use onejump_fetch::all_shortcuts;
use onejump_program::{Terminal, say};

fn main() -> ExitCode {
    onejump_program::run(run)
}

fn run(args: Args, terminal: &Terminal) -> Result<(), EvaluateError> {
    let config = Config {
        train_hidden: args.train_hidden,
        shortcuts: all_shortcuts(&args.shortcuts, terminal)?,
        ojfa: all_shortcuts(&args.ojfa, terminal)?,
        arbitrary: args.arbitrary,
        train_samples: args.train_samples,
        seed: args.seed,
        ..Config::new(args.hidden, &args.model, &args.out)
    };
    for &analysis in &args.analyses {
        let rows = analyse(&config, analysis, terminal)?;
        say!("{}: {}, {rows} rows", args.out.display(), analysis.name());
    }
    if !args.analyses.is_empty() {
        return Ok(());
    }
    let summary = evaluate(&config, terminal)?;
    say!(
        "{}: {} methods at {} exit levels over {} samples",
        args.out.display(),
        summary.averages.len(),
        summary.blocks,
        summary.test_samples
    );
    Ok(())
}
