//! `onejump-lens`: see `--help`.

mod args;

use std::process::ExitCode;

use args::{Args, paint};
use onejump_fetch::all_shortcuts;
use onejump_lens::{Format, LensError, grid, look, rendered, write};
use onejump_program::{Terminal, say, say_piece};

fn main() -> ExitCode {
    onejump_program::run(run)
}

fn run(args: Args, terminal: &Terminal) -> Result<(), LensError> {
    let (format, out) = (args.format()?, args.out.clone());
    let shortcuts = all_shortcuts(&args.shortcuts, terminal)?;
    let lens = look(&args.config(shortcuts, format), terminal)?;
    match out {
        Some(path) => {
            write(&lens, format, &path)?;
            say!(
                "{}: {} × {} × {} cells, positions × levels × methods",
                path.display(),
                lens.columns.len(),
                lens.levels.len(),
                lens.methods.len()
            );
        }
        None if format == Format::Text => drop(say_piece(&grid(&lens, &paint()))),
        None => drop(say_piece(&rendered(&lens, format)?)),
    }
    Ok(())
}
