//! How every binary ends: 0 done, 1 a failure said on stderr, 2 wrong usage (clap's own), 130 or 143
//! stopped by SIGINT or SIGTERM.

use std::error::Error;
use std::process::ExitCode;

use onejump_core::observe::Stopped;

use crate::print::remark_line;
use crate::signals;

/// Maps an outcome to the exit status, saying an error in one line plus a line per cause.
pub fn exit<E: Into<Box<dyn Error>>>(outcome: Result<(), E>) -> ExitCode {
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    let error = error.into();
    if let Some(stopped) = stopped(error.as_ref()) {
        remark_line(format_args!("{stopped}"));
        return ExitCode::from(signals::status(&stopped));
    }
    remark_line(format_args!("{}", describe(error.as_ref())));
    ExitCode::FAILURE
}

/// The request to stop behind an error, if there is one.
fn stopped(error: &(dyn Error + 'static)) -> Option<Stopped> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(stopped) = error.downcast_ref() {
            return Some(*stopped);
        }
        cause = error.source();
    }
    None
}

/// An error and its causes. A cause that its parent's message already contains is not repeated.
fn describe(error: &dyn Error) -> String {
    if let Some(amount) = refused_memory(&error.to_string()) {
        return format!(
            "error: out of memory: {amount} more could not be had; free some, or use a smaller batch, rank or model; \
             what is finished is kept, and the same command goes on from there"
        );
    }
    let mut text = format!("error: {}", one_line(&error.to_string()));
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !said.contains(&message) {
            text.push_str(&format!("\n  caused by: {}", one_line(&message)));
            said = message;
        }
        cause = error.source();
    }
    text
}

/// How much memory libtorch could not get, where that is what its message says.
fn refused_memory(message: &str) -> Option<&str> {
    let (_, amount) = message.split_once("ried to allocate ")?;
    // "3538944 bytes. Error code 12" or "20.00 MiB. GPU 0 has": a number and its unit.
    let (number, rest) = amount.split_once(' ')?;
    let unit = rest.find(|character: char| !character.is_alphabetic()).unwrap_or(rest.len());
    Some(&amount[..number.len() + 1 + unit])
}

/// The first line that says something: libraries append backtraces to their messages.
fn one_line(message: &str) -> &str {
    message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("unknown failure")
}

#[cfg(test)]
mod tests {
    use super::*;
    use onejump_core::files::FileError;

    #[test]
    fn a_cause_is_said_once() {
        let error = FileError::Read { path: "x.txt".into(), source: std::io::Error::other("gone") };
        assert_eq!(describe(&error), "error: cannot read x.txt: gone");
    }

    #[test]
    fn memory_that_libtorch_cannot_get_is_said_for_people() {
        for (said, amount) in [
            (
                "libtorch: Internal torch error: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: \
                 can't allocate memory: you tried to allocate 3538944 bytes. Error code 12 (Cannot allocate memory)",
                "3538944 bytes",
            ),
            ("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of", "20.00 MiB"),
        ] {
            let text = describe(&std::io::Error::other(said));
            assert!(
                text.starts_with(&format!("error: out of memory: {amount} more could not be had")),
                "{text}"
            );
        }
    }
}
