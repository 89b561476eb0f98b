//! Parsers of others that panic at some damaged files: a panic becomes an error.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a parser on this thread; none if it panics.
///
/// The panic is reported as the program reports panics: a program that wants none reported here asks
/// [`is_expected`] in its hook. This library installs no hook.
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

/// Whether a panic on this thread would be caught by [`catch`].
pub fn is_expected() -> bool {
    EXPECTED.get()
}
