//! Work on every exit level, several at a time.

use onejump_core::observe::Observer;
use onejump_store::hidden::HiddenStates;
use onejump_tensor::threads;
use rayon::prelude::*;

use crate::TrainError;

/// Up to this hidden size one thread has enough to do with a level: several levels' H×H matrices in f64
/// are small beside the states, and eigenvectors of small matrices gain nothing from more threads.
const PARALLEL_HIDDEN: usize = 1024;

/// How levels share the processors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Sharing {
    /// A level a thread: the result does not depend on how many there are.
    LevelPerThread,
    /// All threads on one level.
    LevelAfterLevel,
}

impl Sharing {
    /// Of the closed form, whose matrices are H×H.
    pub fn of_matrices(hidden_size: usize) -> Self {
        if hidden_size <= PARALLEL_HIDDEN { Self::LevelPerThread } else { Self::LevelAfterLevel }
    }
}

/// Runs `task` on every exit level and its states (N, H); `take` gets the results in the order of the levels. No more
/// results than threads wait for it.
pub(crate) fn for_each<T: Send>(
    hidden: &HiddenStates,
    sharing: Sharing,
    observer: &dyn Observer,
    task: impl Fn(usize, &[f32]) -> Result<T, TrainError> + Sync,
    mut take: impl FnMut(T) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    let run = |k: usize| {
        observer.check()?;
        task(k, &hidden.level(k)?)
    };
    let levels: Vec<usize> = (0..hidden.blocks()).collect();
    if sharing == Sharing::LevelAfterLevel {
        for &k in &levels {
            take(run(k)?)?;
        }
        return Ok(());
    }
    let pool = threads::pool()?;
    for group in levels.chunks(pool.current_num_threads()) {
        let done: Vec<T> =
            pool.install(|| group.par_iter().with_max_len(1).map(|&k| run(k)).collect::<Result<_, _>>())?;
        done.into_iter().try_for_each(&mut take)?;
    }
    Ok(())
}
