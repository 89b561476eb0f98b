//! How a program of Onejump behaves: its arguments, its exit status, what it prints, its progress bars, and what
//! it does when it is asked to stop.
//!
//! | task | where |
//! |---|---|
//! | a program's `main` | [`run`] |
//! | print a line, or a piece of a text | [`say!`], [`remark!`]; [`say_piece`] |
//! | progress bars on stderr, signals that stop | [`Terminal`] |
//! | run another program, and pass signals on | [`child`] |
//! | start this program anew with a library or a variable that it lacks | [`restart`](restart::restart) |
//!
//! ```no_run
//! use clap::Parser;
//! use onejump_core::observe::{Observer, Stopped, Task};
//! use onejump_program::{Terminal, say};
//!
//! #[derive(Parser)]
//! struct Args {
//!     steps: u64,
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     onejump_program::run(count)
//! }
//!
//! fn count(args: Args, terminal: &Terminal) -> Result<(), Stopped> {
//!     let meter = terminal.begin(Task { name: "count", unit: "steps", total: args.steps });
//!     for _ in 0..args.steps {
//!         terminal.check()?;
//!         meter.advance(1);
//!     }
//!     say!("counted to {}", args.steps);
//!     Ok(())
//! }
//! ```
//!
//! Only binaries use this crate: a library takes an [`Observer`] instead.

pub mod child;
mod panics;
mod print;
mod progress;
pub mod restart;
mod signals;
mod status;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use onejump_core::observe::{Meter, Observer, Stopped, Task};

pub use print::{remark_line, say_line, say_piece};
pub use status::exit;

/// A whole program: parses the arguments, catches signals, sends logs to stderr, does the work, and says an error
/// in one line and its causes below.
pub fn run<A: Parser, E: Into<Box<dyn Error>>>(work: impl FnOnce(A, &Terminal) -> Result<(), E>) -> ExitCode {
    let terminal = Terminal::start();
    exit(work(A::parse(), &terminal))
}

/// The terminal that the program runs in: tasks are progress bars on stderr, SIGINT and SIGTERM ask to stop.
#[derive(Debug)]
pub struct Terminal(());

impl Terminal {
    /// Catches signals and sends logs to stderr from now on. Once in a program.
    pub fn start() -> Self {
        progress::log_to_stderr();
        panics::report_unexpected();
        signals::listen();
        Self(())
    }
}

impl Observer for Terminal {
    fn begin(&self, task: Task) -> Box<dyn Meter + '_> {
        Box::new(progress::Progress::new(task))
    }

    fn check(&self) -> Result<(), Stopped> {
        signals::check()
    }
}
