//! `onejump-report`: parses, reads, writes, says where.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use onejump_program::{Terminal, say};
use onejump_report::run::Run;
use onejump_report::{ReportError, report, terminal};

/// Makes the paper's figures and tables for a run, and judges the paper's claims on it.
///
/// In:  RUN/results/summary.json and RUN/results/per_level.parquet from onejump-evaluate; RUN/run.toml
///      and RUN/results/drafting.json, from onejump-generate tune, if there are any.
/// Out: RUN/report.html, which opens from disk; for a paper RUN/figures/*.svg, RUN/tables.tex and
///      RUN/tables.md; a short table on stdout.
#[derive(Parser)]
#[command(name = "onejump-report", version, verbatim_doc_comment)]
struct Arguments {
    /// The folder of the run, for instance data/runs/NAME.
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
}

fn main() -> ExitCode {
    onejump_program::run(make)
}

fn make(arguments: Arguments, _: &Terminal) -> Result<(), ReportError> {
    let run = Run::read(&arguments.run)?;
    let written = report(&run, &arguments.run)?;
    say!("{}", terminal::overview(&run).trim_end());
    for path in written {
        say!("wrote {}", path.display());
    }
    Ok(())
}
