//! `onejump-generate`: see `--help`.

mod args;
mod tell;

use std::process::ExitCode;

use args::Args;
use onejump_generate::{GenerateError, generate};
use onejump_program::{Terminal, say, say_piece};

fn main() -> ExitCode {
    onejump_program::run(run)
}

fn run(args: Args, terminal: &Terminal) -> Result<(), GenerateError> {
    let json = args.json;
    let config = args.config()?;
    let mut begun = false;
    let outcome = generate(&config, terminal, |piece| {
        begun |= !json;
        json || say_piece(piece)
    });
    if begun {
        say_piece("\n");
    }
    let outcome = outcome?;
    if json {
        say!("{}", serde_json::to_string(&outcome)?);
    }
    tell::outcome(&outcome);
    Ok(())
}
