//! SIGINT and SIGTERM: a stage stops between two units of work, says how to go on, and ends with the
//! status that shells give (130 or 143).

use std::sync::atomic::{AtomicI32, Ordering};

use onejump_core::observe::Stopped;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

/// Shells add this to a signal's number to make an exit status.
const STATUS_BASE: i32 = 128;

/// What is caught, with the names that people know.
const CAUGHT: [(i32, &str); 2] = [(SIGINT, "SIGINT"), (SIGTERM, TERMINATED)];

/// The name of the signal that asks a single process to end; a terminal sends SIGINT to a whole group.
pub(crate) const TERMINATED: &str = "SIGTERM";

/// The first signal that came; 0 before that.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Catches SIGINT and SIGTERM from now on: the first asks to stop, a second one stops at once.
pub(crate) fn listen() {
    let Ok(mut signals) = Signals::new(CAUGHT.map(|(signal, _)| signal)) else {
        return tracing::warn!("signals cannot be caught: SIGINT and SIGTERM end the program at once");
    };
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if SIGNAL.swap(signal, Ordering::Relaxed) != 0 {
                low_level::exit(STATUS_BASE + signal);
            }
            let name = named(signal).map_or("a signal", |stopped| stopped.by);
            crate::remark!("{name}: stopping when the work at hand is done; once more stops at once");
        }
    });
}

/// Whether no signal has come yet.
///
/// # Errors
/// [`Stopped`] from the first SIGINT or SIGTERM after [`listen`] on.
pub(crate) fn check() -> Result<(), Stopped> {
    named(SIGNAL.load(Ordering::Relaxed)).map_or(Ok(()), Err)
}

/// The exit status of a program that was stopped: 130 after SIGINT, 143 after SIGTERM.
pub(crate) fn status(stopped: &Stopped) -> u8 {
    let signal = CAUGHT.iter().find(|(_, name)| *name == stopped.by).map_or(SIGINT, |(signal, _)| *signal);
    u8::try_from(STATUS_BASE + signal).unwrap_or(u8::MAX)
}

/// The signal that stopped a program which ended with this exit status, if one did.
pub(crate) fn of_status(status: i32) -> Option<Stopped> {
    named(status - STATUS_BASE)
}

fn named(signal: i32) -> Option<Stopped> {
    CAUGHT.iter().find(|(caught, _)| *caught == signal).map(|(_, name)| Stopped { by: name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_the_shells() {
        for (code, by) in [(130, "SIGINT"), (143, "SIGTERM")] {
            assert_eq!(of_status(code.into()), Some(Stopped { by }));
            assert_eq!(status(&Stopped { by }), code);
        }
        assert_eq!(of_status(1), None);
    }
}
