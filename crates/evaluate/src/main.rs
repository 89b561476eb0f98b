//! `onejump-evaluate`: see `--help`.

mod args;

use std::process::ExitCode;

use args::Args;
use onejump_evaluate::{Config, EvaluateError, Part, analyse, evaluate, predict, shard_of};
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
        part: args.join.map_or(Part::Levels(args.shard), |count| Part::Join(count.get())),
        ..Config::new(args.hidden, &args.model, &args.out)
    };
    for &analysis in &args.analyses {
        let rows = analyse(&config, analysis, terminal)?;
        say!("{}: {}, {rows} rows", args.out.display(), analysis.name());
    }
    if !args.analyses.is_empty() {
        return Ok(());
    }
    if args.truth {
        let samples = predict(&config, terminal)?;
        say!("{}: the model's own predictions of {samples} samples", args.out.display());
        return Ok(());
    }
    let shard = shard_of(&config)?;
    let summary = evaluate(&config, terminal)?;
    let (methods, samples, out) = (summary.averages.len(), summary.test_samples, args.out.display());
    match shard {
        Some(shard) => say!("{out}: shard {shard}; --join {} joins them", shard.count),
        None => say!("{out}: {methods} methods at {} exit levels over {samples} samples", summary.blocks),
    }
    Ok(())
}
