//! `cargo xtask bench`: every stage beside what a user would run instead, and the machine's limits.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use onejump_fetch::builtin::{BUILTIN_MODELS, BuiltinModel, SMOLLM2_135M};
use onejump_program::Terminal;

use crate::{process, python, setup};

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder for bench.md, bench.parquet and bench.svg
    #[arg(long, value_name = "DIR", default_value = "data/runs/bench")]
    out: PathBuf,
    /// Rounds of each stage; medians are reported
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// A built-in model; what is not --only generate is about smollm2-135m
    #[arg(long, value_name = "NAME", default_value = SMOLLM2_135M.name, requires = "only",
          value_parser = PossibleValuesParser::new(BUILTIN_MODELS.map(|model| model.name)))]
    model: String,
    /// Threads for both sides [default: all processors]
    #[arg(long)]
    threads: Option<usize>,
    /// How many prompts of each kind go on in the stage generate, of the 30 that there are
    #[arg(long, default_value_t = 8)]
    texts: usize,
    /// Some of: capture,train,score,evaluate,store,memory,scaling,generate
    #[arg(long, value_name = "STAGES")]
    only: Option<String>,
    /// A tenth of the sentences: to see that it works, not to report
    #[arg(long)]
    quick: bool,
}

/// Builds the stages, installs the peers' packages, and runs the scripts in `tests/bench`.
pub fn bench(args: &Args, terminal: &Terminal) -> Result<()> {
    setup::setup(terminal)?;
    let model = BuiltinModel::by_name(&args.model).unwrap_or(SMOLLM2_135M).fetch(terminal)?;
    let release = process::build_stages()?;
    process::run(process::cargo()?.args(["build", "--release", "--workspace", "--example", "throughput"]))?;
    let python = python::environment("bench", "tests/bench/requirements.txt")?;
    let mut command = Command::new(python);
    command.arg(process::root()?.join("tests/bench/bench.py"));
    command.arg("--release").arg(release).arg("--model").arg(model);
    command.arg("--out").arg(&args.out).arg("--rounds").arg(args.rounds.to_string());
    command.arg("--texts").arg(args.texts.to_string());
    if let Some(threads) = args.threads {
        command.arg("--threads").arg(threads.to_string());
    }
    if let Some(only) = &args.only {
        command.arg("--only").arg(only);
    }
    if args.quick {
        command.arg("--quick");
    }
    process::run(&mut command)
}
