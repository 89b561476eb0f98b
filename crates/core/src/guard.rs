//! Turns a panic into an error: some parsers that we use panic at damaged files.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a parser on this thread; returns none if it panics.
///
/// The panic goes to the program's panic hook first. A program that does not want such panics reported asks
/// [`is_expected`] in its hook; this library installs none.
///
/// ```
/// assert_eq!(onejump_core::guard::catch(|| "7".parse::<u32>().unwrap()), Some(7));
/// assert_eq!(onejump_core::guard::catch(|| "x".parse::<u32>().unwrap()), None);
/// ```
pub fn catch<T>(parse: impl FnOnce() -> T) -> Option<T> {
    let outer = EXPECTED.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(parse));
    EXPECTED.set(outer);
    outcome.ok()
}

/// Whether this thread is inside [`catch`], which would catch a panic.
pub fn is_expected() -> bool {
    EXPECTED.get()
}
