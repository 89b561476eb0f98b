//! Running other programs.

use std::io;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use onejump_core::observe::Stopped;
use rustix::process::{Pid, Signal, kill_process};

use crate::signals;

/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(20);

/// A program that did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// It cannot be started, or waited for.
    #[error("cannot run {program}: {source}")]
    Run {
        /// Its name.
        program: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// It failed, and has said why.
    #[error("{command} failed ({status})")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// It failed, and this is what it said.
    #[error("{program} failed ({status}): {said}")]
    Refused {
        /// Its name.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote on stderr.
        said: String,
    },
    /// It, or this program, was asked to stop.
    #[error("{0}")]
    Stopped(#[from] Stopped),
}

/// Runs a program to its end, and returns what it wrote on stdout.
///
/// # Errors
/// [`ChildError`] if it cannot run, fails, or writes what is no text.
pub fn output(command: &mut Command) -> Result<String, ChildError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let cannot = |source| ChildError::Run { program: program.clone(), source };
    let output = command.output().map_err(cannot)?;
    if output.status.success() {
        return String::from_utf8(output.stdout).map_err(|error| cannot(io::Error::other(error)));
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(ChildError::Refused { program: program.clone(), status: output.status, said })
}

/// Runs a program to its end, with its output on the terminal. SIGTERM is passed on to it; SIGINT comes
/// from the terminal, which sends it to both.
///
/// # Errors
/// [`ChildError`] if it cannot run, fails, or is stopped.
pub fn run(command: &mut Command) -> Result<(), ChildError> {
    signals::check()?;
    let program = command.get_program().to_string_lossy().into_owned();
    let cannot = |source| ChildError::Run { program: program.clone(), source };
    let mut child = command.spawn().map_err(cannot)?;
    let mut passed_on = false;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(cannot)? {
            break status;
        }
        let terminated = signals::check().is_err_and(|stopped| stopped.by == signals::TERMINATED);
        if terminated && !passed_on {
            passed_on = true;
            kill_process(Pid::from_child(&child), Signal::TERM).map_err(|error| cannot(error.into()))?;
        }
        std::thread::sleep(POLL);
    };
    if let Some(stopped) = status.code().and_then(signals::of_status) {
        return Err(stopped.into());
    }
    signals::check()?;
    if status.success() {
        return Ok(());
    }
    let arguments = command.get_args().map(|argument| argument.to_string_lossy());
    let words: Vec<_> = [program.as_str().into()].into_iter().chain(arguments).collect();
    Err(ChildError::Failed { command: words.join(" "), status })
}
