//! `onejump-generate`: see `--help`.

mod args;
mod commands;
mod computing;
mod decoding;
mod tell;

use std::error::Error;
use std::process::ExitCode;

use args::Args;
use commands::Command;
use onejump_generate::{converse, generate};
use onejump_program::{Terminal, remark, say, say_piece};

fn main() -> ExitCode {
    onejump_program::run(run)
}

fn run(args: Args, terminal: &Terminal) -> Result<(), Box<dyn Error>> {
    let computing = args.command.as_ref().map_or(&args.decoding.computing, Command::computing);
    computing.restart()?;
    if let Some(command) = args.command {
        return Ok(command.run(terminal)?);
    }
    let (json, trace, conversation) = (args.json, args.trace.clone(), args.is_conversation());
    let config = args.config(terminal)?;
    if conversation {
        converse(&config, terminal, tell::ask, say_piece, tell::turn)?;
        return Ok(());
    }
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
    if let Some(path) = trace {
        outcome.write_trace(&path)?;
        remark!("trace:      {}", path.display());
    }
    Ok(())
}
