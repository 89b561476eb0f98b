//! Threads that work beside each other, each with libtorch to itself.

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// As many threads as processors, on each of which libtorch computes alone: what a thread computes does
/// not depend on how many there are.
///
/// # Errors
/// [`ThreadPoolBuildError`] if the system refuses them.
pub fn pool() -> Result<ThreadPool, ThreadPoolBuildError> {
    pool_of(0)
}

/// The same with a given number of threads; 0 is one for each processor.
///
/// # Errors
/// [`ThreadPoolBuildError`] if the system refuses them.
pub fn pool_of(threads: usize) -> Result<ThreadPool, ThreadPoolBuildError> {
    ThreadPoolBuilder::new().num_threads(threads).start_handler(|_| tch::set_num_threads(1)).build()
}
