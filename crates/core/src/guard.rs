//! Parsers of others that panic at some damaged files: a panic becomes an error.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs a parser on this thread; none if it panics, which is not reported on stderr.
///
/// ```
/// assert_eq!(onejump_core::guard::catch(|| "7".parse::<u32>().unwrap()), Some(7));
/// assert_eq!(onejump_core::guard::catch(|| "x".parse::<u32>().unwrap()), None);
/// ```
pub fn catch<T>(parse: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                report(info);
            }
        }));
    });
    QUIET.set(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(parse));
    QUIET.set(false);
    outcome.ok()
}
