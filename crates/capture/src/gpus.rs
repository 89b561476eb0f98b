//! A process and a shard for each GPU, and the shards joined in the end.

use std::error::Error;
use std::panic::resume_unwind;
use std::path::Path;
use std::process::Command;
use std::{env, fs, thread};

use onejump_core::files::FileError;
use onejump_core::observe::Observer;
use onejump_core::shard::Shard;
use onejump_program::child::{self, ChildError};
use onejump_program::say;
use onejump_store::merge::merge;

use crate::args::of_gpu;

/// Captures on all GPUs into `out`.
pub fn on_each(gpus: usize, out: &Path, observer: &dyn Observer) -> Result<(), Box<dyn Error>> {
    run(gpus)?;
    if gpus > 1 {
        join(gpus, out, observer)?;
    }
    Ok(())
}

/// Runs a process a GPU; the first that fails says why, and the others end first.
fn run(gpus: usize) -> Result<(), ChildError> {
    let one = |gpu: usize| {
        let program = env::current_exe().unwrap_or_else(|_| env!("CARGO_PKG_NAME").into());
        child::run(Command::new(program).args(of_gpu(env::args_os().skip(1), gpu, gpus)))
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..gpus).map(|gpu| scope.spawn(move || one(gpu))).collect();
        let mut ended =
            running.into_iter().map(|gpu| gpu.join().unwrap_or_else(|panic| resume_unwind(panic)));
        ended.try_for_each(|outcome| outcome)
    })
}

/// Joins the shards, and removes them: nobody asked for them.
fn join(gpus: usize, out: &Path, observer: &dyn Observer) -> Result<(), Box<dyn Error>> {
    let shards = (0..gpus).map(|index| out.join(Shard { index, count: gpus }.folder()));
    let shards: Vec<_> = shards.filter(|shard| shard.is_dir()).collect();
    say!("{}: {}", out.display(), merge(out, &shards, observer)?);
    for shard in shards {
        fs::remove_dir_all(&shard).map_err(FileError::writing(&shard))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use onejump_core::observe::Silent;
    use onejump_store::StoreError;

    use super::*;

    #[test]
    fn shards_of_an_unfinished_capture_stay() {
        let out = tempfile::tempdir().unwrap();
        let shard = out.path().join("shard-1-of-2");
        fs::create_dir(&shard).unwrap();
        let error = join(2, out.path(), &Silent).unwrap_err();
        assert!(error.downcast_ref::<StoreError>().is_some() && shard.is_dir(), "{error}");
    }
}
