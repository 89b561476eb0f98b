//! Threads that work on levels beside each other.

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::ShortcutError;

/// As many threads as processors, on each of which libtorch computes alone: what a thread computes does
/// not depend on how many there are.
///
/// # Errors
/// [`ShortcutError::Threads`] if the system refuses them.
pub fn pool() -> Result<ThreadPool, ShortcutError> {
    ThreadPoolBuilder::new()
        .start_handler(|_| tch::set_num_threads(1))
        .build()
        .map_err(|error| ShortcutError::Threads(error.to_string()))
}
