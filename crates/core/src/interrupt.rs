//! SIGINT and SIGTERM: a stage stops between two units of work, says how to go on, and ends with the
//! status that shells give (130 or 143).
//!
//! ```
//! use onejump_core::interrupt::{self, Interrupted};
//!
//! fn work() -> Result<(), Interrupted> {
//!     for part in 0..3 {
//!         interrupt::check()?; // Between two parts: what is written is whole.
//!         println!("part {part}");
//!     }
//!     Ok(())
//! }
//! # work().unwrap();
//! ```

use std::sync::atomic::{AtomicI32, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

/// Shells add this to a signal's number to make an exit status.
const STATUS_BASE: i32 = 128;

/// The first signal that came; 0 before that.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// The user, or the system, asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped by {}; what is finished is kept, and the same command goes on from there", name(self.signal))]
pub struct Interrupted {
    signal: i32,
}

impl Interrupted {
    /// The exit status: 130 after SIGINT, 143 after SIGTERM.
    pub fn status(self) -> u8 {
        u8::try_from(STATUS_BASE + self.signal).unwrap_or(u8::MAX)
    }

    /// The interruption that ended a program with this exit status, if one did.
    pub fn of_status(status: i32) -> Option<Self> {
        let signal = status - STATUS_BASE;
        [SIGINT, SIGTERM].contains(&signal).then_some(Self { signal })
    }
}

/// Catches SIGINT and SIGTERM from now on: the first asks to stop, a second one stops at once.
pub fn listen() {
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else {
        return tracing::warn!("signals cannot be caught: SIGINT and SIGTERM end the program at once");
    };
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if SIGNAL.swap(signal, Ordering::Relaxed) != 0 {
                low_level::exit(STATUS_BASE + signal);
            }
            crate::remark!(
                "{}: stopping when the work at hand is done; once more stops at once",
                name(signal)
            );
        }
    });
}

/// The signal that came, if one did.
///
/// # Errors
/// [`Interrupted`] from the first SIGINT or SIGTERM after [`listen`] on.
pub fn check() -> Result<(), Interrupted> {
    match SIGNAL.load(Ordering::Relaxed) {
        0 => Ok(()),
        signal => Err(Interrupted { signal }),
    }
}

fn name(signal: i32) -> &'static str {
    if signal == SIGINT { "SIGINT" } else { "SIGTERM" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_the_shells() {
        assert_eq!(Interrupted { signal: SIGINT }.status(), 130);
        assert_eq!(Interrupted { signal: SIGTERM }.status(), 143);
        assert_eq!(Interrupted::of_status(143), Some(Interrupted { signal: SIGTERM }));
        assert_eq!([0, 1, 2, 137].map(Interrupted::of_status), [None; 4]);
    }
}
