//! Panics are reported on stderr, except those that `onejump_core::guard` turns into errors.

use std::panic;

use onejump_core::guard;

/// From now on, panics that are expected are not reported.
pub(crate) fn report_unexpected() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !guard::is_expected() {
            report(info);
        }
    }));
}
