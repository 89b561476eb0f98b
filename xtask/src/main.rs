//! The project's own commands: `cargo xtask setup | reproduce | parity | bench | full-size | gpu-kit | interrupt | notebook | wheel | test | tidy`.

mod bench;
mod full_size;
mod gpu_kit;
mod interrupt;
mod libtorch;
mod notebook;
mod parity;
mod process;
mod python;
mod reproduce;
mod setup;
mod test;
mod tidy;
mod tools;
mod wheel;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use onejump_program::Terminal;

/// Onejump's own commands. Each sets up what it needs.
#[derive(Parser)]
#[command(name = "cargo xtask", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Bring libtorch and the default model; does nothing where they are
    Setup(setup::Args),
    /// Run the whole experiment: capture, train, score, evaluate, report
    Reproduce(reproduce::Args),
    /// Compare every architecture with transformers on small random checkpoints
    Parity,
    /// Time every stage beside what a user would run instead
    Bench(bench::Args),
    /// Run capture, training and score at the size of the paper's models, with random weights
    FullSize(full_size::Args),
    /// Make a folder that tries Onejump on a machine with a GPU
    GpuKit(gpu_kit::Args),
    /// Kill the quick reproduction at random moments and compare its files with an undisturbed one's
    Interrupt(interrupt::Args),
    /// Execute data/notebooks/explore.ipynb on a run
    Notebook(notebook::Args),
    /// Make the Python package, with all programs, in dist/
    Wheel(wheel::Args),
    /// Check format, lints, docs, the crates' edges, and run all tests and the notebook
    Test,
    /// Check the crates' edges, circles of modules, what the crates build on, and the top level
    Tidy,
}

fn main() -> ExitCode {
    onejump_program::run(run)
}

fn run(args: Args, terminal: &Terminal) -> Result<()> {
    match args.command {
        Command::Setup(args) => setup::chosen(&args, terminal),
        Command::Reproduce(args) => reproduce::reproduce(&args, terminal),
        Command::Parity => parity::parity(terminal),
        Command::Bench(args) => bench::bench(&args, terminal),
        Command::FullSize(args) => full_size::full_size(&args, terminal),
        Command::GpuKit(args) => gpu_kit::gpu_kit(&args, terminal),
        Command::Interrupt(args) => interrupt::interrupt(&args, terminal),
        Command::Notebook(args) => notebook::notebook(&args),
        Command::Wheel(args) => wheel::wheel(&args, terminal),
        Command::Test => test::test(terminal),
        Command::Tidy => tidy::tidy(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_of_reproduce_is_passed_on() {
        let options = ["--quick", "--rank", "5", "--run", "mine", "--help"];
        let args = Args::try_parse_from(["xtask", "reproduce"].iter().chain(&options)).unwrap();
        let Command::Reproduce(args) = args.command else { panic!("another command") };
        assert_eq!(args.options, options);
    }
    #[test]
    fn setup_brings_the_models_that_are_named() {
        let parse = |model: &str| Args::try_parse_from(["xtask", "setup", "--model", model]);
        assert!(matches!(parse("gemma3-270m").unwrap().command, Command::Setup(_)));
        assert!(parse("gemma").err().unwrap().to_string().contains("smollm2-135m, gemma3-270m"));
    }
}
