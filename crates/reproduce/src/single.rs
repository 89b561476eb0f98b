//! One stage of an experiment by itself, or one unit of a stage that is shared out: what a job on a cluster runs.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use onejump_core::files::FileError;
use onejump_core::layout::Split;
use onejump_core::lock::{self, Lock};
use onejump_core::manifest::HiddenManifest;
use onejump_core::observe::Observer;

use crate::error::ReproduceError;
use crate::experiment::Experiment;
use crate::local::Local;
use crate::order::{STAMPS, captures, reproduce};
use crate::run::Run;
use crate::run_toml::RunConfig;
use crate::stage::Stage;
use crate::stages::{Stages, Times};

/// The name of what comes last: whatever has not run yet, and the report.
pub const LAST: &str = "report";

/// How often a lock is asked for that somebody else has.
const POLL: Duration = Duration::from_millis(200);

/// Runs the unit of this name, as `shards` share out the captures, unless it has run. Whoever else runs it already, such
/// as a process that its cluster has given up, is waited for.
///
/// # Errors
/// [`ReproduceError`] if there is no such unit, what it needs is not there, it fails, or the run's folder holds another
/// experiment.
pub fn run_unit(
    experiment: &Experiment,
    shards: usize,
    name: &str,
    local: Local,
    observer: &dyn Observer,
) -> Result<Times, ReproduceError> {
    let layout = experiment.layout();
    let stamps = layout.root().join(STAMPS);
    let _unit = wait(&stamps.join(name), observer)?;
    if name == LAST {
        return reproduce(experiment, local, observer);
    }
    RunConfig::of(experiment).keep(&layout)?;
    let mut stages = captures(experiment, shards).to_vec();
    let is_unit = |stage: &Stage| stage.work().iter().any(|unit| unit.name == name);
    if !stages.iter().any(is_unit) {
        let inputs = HiddenManifest::read(&layout.hidden(Split::Train))?.inputs;
        let (hidden_size, samples) = (inputs.hidden_size, inputs.samples);
        stages.extend(
            Run { experiment, layout: &layout, hidden_size, samples, sums: None }.after_capture(shards),
        );
    }
    let Some(stage) = stages.iter().find(|stage| is_unit(stage)) else {
        let known = stages.iter().flat_map(Stage::work).map(|unit| unit.name.clone()).collect();
        return Err(ReproduceError::NoUnit { name: name.to_owned(), known });
    };
    let mut ran = Stages::new(local, stamps, observer);
    // The stage may have run whole; its units then leave no stamps, and nothing of theirs is needed.
    if !ran.is_done(stage)? {
        for unit in stage.work().iter().filter(|unit| unit.name == name) {
            ran.run(unit)?;
        }
        // Whoever ends last sees that all have ended.
        if is_shared(stage) && all_done(&ran, stage)? {
            ran.stamp_shared(stage)?;
        }
    }
    if ran.is_done(stage)? {
        remove_shards(stage)?;
    }
    Ok(ran.times)
}

/// Whether a stage has units beside itself.
fn is_shared(stage: &Stage) -> bool {
    stage.work().iter().any(|unit| unit.name != stage.name)
}

/// Whether all units of a stage have run.
pub(crate) fn all_done(stages: &Stages, stage: &Stage) -> Result<bool, ReproduceError> {
    for unit in stage.work() {
        if !stages.is_done(unit)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes the folders of shards that were joined: the whole has all that they had.
fn remove_shards(stage: &Stage) -> Result<(), FileError> {
    for unit in stage.work() {
        let Some(shard) = unit.share else { continue };
        let folders = unit.outputs.iter().filter_map(|output| output.parent());
        for folder in folders.filter(|folder| folder.ends_with(shard.folder()) && folder.is_dir()) {
            fs::remove_dir_all(folder).map_err(FileError::writing(folder))?;
        }
    }
    Ok(())
}

/// Takes the lock of a file, however long somebody else has it.
fn wait(path: &Path, observer: &dyn Observer) -> Result<Lock, ReproduceError> {
    loop {
        observer.check()?;
        match lock::file(path) {
            Err(FileError::Busy { .. }) => thread::sleep(POLL),
            other => return Ok(other?),
        }
    }
}
