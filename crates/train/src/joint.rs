//! Maps that are trained on all exit levels together.

use onejump_core::observe::Task;
use onejump_core::shortcut::ShortcutKind;
use onejump_shortcuts::file::Maps;
use onejump_shortcuts::map::Map;
use onejump_tensor::threads;
use rayon::prelude::*;
use tch::Tensor;

use crate::TrainError;
use crate::adam::{Descent, Plan, Start};
use crate::axes::Axes;
use crate::closed_form;
use crate::inputs;
use crate::job::{Job, descended};
use crate::moments::Moments;
use crate::passes::{Passes, Window};
use crate::trained::{Set, TrainedMap, TrainedSet};

/// The joint map of each set, from the moments of all levels together.
pub(crate) fn closed_forms(
    job: &Job,
    sets: &[Set],
    moments: &Moments,
) -> Result<Vec<TrainedSet>, TrainError> {
    let fit = |set: &Set| {
        let fitted = closed_form::fit(set.kind, moments, set.rank, job.config.ridge)?;
        Ok(TrainedSet::one(TrainedMap { map: fitted.map, loss: fitted.loss, curve: None }))
    };
    sets.iter().map(fit).collect()
}

/// The joint map of each set by gradient descent. The descents run beside each other on the same states, a thread
/// each: their steps are too small for more.
pub(crate) fn descents(job: &Job, sets: &[Set], moments: &Moments) -> Result<Vec<TrainedSet>, TrainError> {
    let starts = job.starts(sets)?;
    // A tensor may be sent to another thread, but not shared with it.
    let moments = moments.shallow_clone();
    threads::pool()?.install(move || descend(job, &starts, &moments))
}

fn descend(job: &Job, starts: &[Start], moments: &Moments) -> Result<Vec<TrainedSet>, TrainError> {
    let Some(first) = starts.first() else { return Ok(Vec::new()) };
    let (options, stream) = (job.config.adam, job.hidden.blocks() as u64);
    // The coordinates do not depend on the rank.
    let axes = Axes::of(ShortcutKind::Joint, moments, first)?;
    let targets = axes.targets(&job.targets.tensor()?)?.f_to_device(options.device)?;
    let turn = |states: &mut Tensor| axes.turn_in_place(states);
    let mut passes = Passes::new(job.hidden, job.config, &turn, job.observer);
    let plan = Plan { options, batch_size: passes.batch_size(), batches: passes.batches() };
    let descent = |start| Descent::new(ShortcutKind::Joint, plan, start, stream);
    let mut descents = starts.iter().map(descent).collect::<Result<Vec<_>, _>>()?;
    let total = (descents.len() * options.epochs) as u64;
    let meter = job.observer.begin(Task { name: "train", unit: "epochs", total });
    for _ in 0..options.epochs {
        passes.again(|window| {
            let targets = targets.f_narrow(0, window.first, window.samples)?;
            beside_each_other(&mut descents, window, &targets)
        })?;
        descents.iter_mut().try_for_each(|descent| descent.end_epoch(&axes))?;
        meter.advance(descents.len() as u64);
        job.observer.check()?;
    }
    let finish = |descent: Descent| {
        let found = descent.finish(&axes, moments)?;
        let trained = descended(ShortcutKind::Joint, stream, found)?;
        Ok(TrainedSet { windows: passes.windows(), ..TrainedSet::one(trained) })
    };
    descents.into_iter().map(finish).collect()
}

/// Takes every descent through a window.
fn beside_each_other(descents: &mut [Descent], window: &Window, targets: &Tensor) -> Result<(), TrainError> {
    let share = |descent| (descent, window.states.shallow_clone(), targets.shallow_clone());
    let jobs: Vec<(&mut Descent, _, _)> = descents.iter_mut().map(share).collect();
    jobs.into_par_iter()
        .with_max_len(1)
        .try_for_each(|(descent, states, targets)| descent.window(&states, &targets))
}

/// One A·B behind a BatchNorm per level. The states are read twice, so that the moments of one level
/// at a time are in memory.
pub(crate) fn with_norm_per_level(job: &Job, rank: usize) -> Result<TrainedSet, TrainError> {
    let blocks = job.hidden.blocks();
    let meter = job.observer.begin(Task { name: "train", unit: "levels", total: blocks as u64 });
    let moments = (0..blocks).map(|k| {
        job.observer.check()?;
        let moments = Moments::of(&job.hidden.level(k)?, job.targets);
        meter.advance(1);
        moments
    });
    let maps = closed_form::with_norm_per_level(moments, rank, job.config.ridge)?;
    let targets = job.targets.tensor()?;
    let error = |(k, map): (usize, &Map)| {
        job.observer.check()?;
        closed_form::squared_error(map, &inputs::level(job.hidden, k)?, &targets)
    };
    let losses = maps.iter().enumerate().map(error).collect::<Result<_, _>>()?;
    let maps = Maps::PerLevel(maps);
    Ok(TrainedSet { maps, previous: None, losses, curves: None, held_out: None, windows: 1 })
}
