//! What binaries print. `println!` panics where a pipe is closed; these do not.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

/// Prints a line of results to stdout, as `println!` does; a reader that has gone, such as `head`, is no failure.
#[macro_export]
macro_rules! say {
    ($($argument:tt)*) => { $crate::say_line(format_args!($($argument)*)) };
}

/// Prints a line for people to stderr, as `eprintln!` does; a reader that has gone is no failure.
#[macro_export]
macro_rules! remark {
    ($($argument:tt)*) => { $crate::remark_line(format_args!($($argument)*)) };
}

/// What [`say!`](crate::say) calls.
pub fn say_line(line: Arguments) {
    let mut stdout = io::stdout();
    // Without the flush, a failure to write the last line would show only when the program ends, and nowhere.
    if let Err(error) = writeln!(stdout, "{line}").and_then(|()| stdout.flush())
        && error.kind() != ErrorKind::BrokenPipe
    {
        remark_line(format_args!("cannot write to stdout: {error}; the files are not affected"));
    }
}

/// Prints a piece of a text to stdout at once, as it is. False if its reader has gone.
pub fn say_piece(text: &str) -> bool {
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => false,
        Err(error) => {
            remark_line(format_args!("cannot write to stdout: {error}"));
            false
        }
        Ok(()) => true,
    }
}

/// What [`remark!`](crate::remark) calls. A failure is ignored: there is nowhere left to report it.
pub fn remark_line(line: Arguments) {
    let _ = writeln!(io::stderr(), "{line}");
}
