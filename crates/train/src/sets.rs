//! Kinds and ranks that are trained together: each level is read, and its moments are summed up, once for all.

use onejump_core::observe::Task;
use onejump_core::shortcut::{ShortcutKind, Solver};

use crate::TrainError;
use crate::adam::{self, TrainingPairs};
use crate::closed_form;
use crate::few_samples;
use crate::job::{Job, descended};
use crate::joint;
use crate::levels::{self, Sharing};
use crate::moments::Moments;
use crate::trained::{Set, TrainedMap, TrainedSet};

/// Kinds that need the levels one by one, or the moments of all of them.
pub(crate) const TOGETHER: [ShortcutKind; 4] =
    [ShortcutKind::Jtc, ShortcutKind::Njtc, ShortcutKind::NNjtc, ShortcutKind::Joint];

/// What one reading of all levels gives.
struct LevelByLevel {
    /// The maps of each set, by level.
    by_set: Vec<Vec<TrainedMap>>,
    /// The moments of all levels together, if they are needed.
    moments: Option<Moments>,
}

/// An exit level: its number, its states (N, H), and their moments.
struct Level<'a> {
    number: usize,
    inputs: &'a [f32],
    moments: &'a Moments,
}

/// Trains sets whose kinds are among [`TOGETHER`], in their order.
pub(crate) fn train(job: &Job, sets: &[Set]) -> Result<Vec<TrainedSet>, TrainError> {
    let (joint, per_level): (Vec<Set>, Vec<Set>) =
        sets.iter().partition(|set| set.kind == ShortcutKind::Joint);
    let together = !joint.is_empty();
    let solver = job.config.solver;
    let read = match solver {
        Solver::ClosedForm => closed_forms(job, &per_level, together)?,
        Solver::Adam => descents(job, &per_level, together)?,
    };
    let joint = match (&read.moments, solver) {
        (None, _) => Vec::new(),
        (Some(moments), Solver::ClosedForm) => joint::closed_forms(job, &joint, moments)?,
        (Some(moments), Solver::Adam) => joint::descents(job, &joint, moments)?,
    };
    let mut levels = read.by_set.into_iter().map(TrainedSet::per_level);
    let mut joint = joint.into_iter();
    let next = |set: &Set| if set.kind == ShortcutKind::Joint { joint.next() } else { levels.next() };
    Ok(sets.iter().filter_map(next).collect())
}

fn closed_forms(job: &Job, sets: &[Set], together: bool) -> Result<LevelByLevel, TrainError> {
    let ridge = job.config.ridge;
    // With fewer samples than H the moments are singular; the samples' own inner products, N×N, hold the same.
    let few = job.hidden.samples() < job.hidden.hidden_size();
    let fit = |set: usize, level: &Level| {
        let Set { kind, rank } = sets[set];
        let (map, loss) = if few {
            let (inputs, targets) = (job.tensor(level.inputs)?, job.targets.tensor()?);
            let map = few_samples::fit(kind, &inputs, &targets, rank, ridge)?;
            let loss = closed_form::loss(&map, level.moments)?;
            (map, loss)
        } else {
            let fitted = closed_form::fit(kind, level.moments, rank, ridge)?;
            (fitted.map, fitted.loss)
        };
        Ok(TrainedMap { map, loss, curve: None })
    };
    let total = job.hidden.blocks() as u64;
    let meter = job.observer.begin(Task { name: "train", unit: "levels", total });
    let sharing = Sharing::of_matrices(job.hidden.hidden_size());
    level_by_level(job, sets, together, sharing, fit, || meter.advance(1))
}

fn descents(job: &Job, sets: &[Set], together: bool) -> Result<LevelByLevel, TrainError> {
    let options = &job.config.adam;
    let epochs = sets.len() * job.hidden.blocks() * options.epochs;
    // Without sets the levels are read for their moments alone.
    let (name, unit, total) = if sets.is_empty() {
        ("moments", "levels", job.hidden.blocks())
    } else {
        ("train", "epochs", epochs)
    };
    let meter = job.observer.begin(Task { name, unit, total: total as u64 });
    let starts = job.starts(sets)?;
    let after_epoch = || {
        meter.advance(1);
        Ok(job.observer.check()?)
    };
    let fit = |set: usize, level: &Level| {
        let (inputs, targets) = (job.tensor(level.inputs)?, job.targets.tensor()?);
        let pairs = TrainingPairs { inputs: &inputs, targets: &targets, moments: level.moments };
        let (kind, stream) = (sets[set].kind, level.number as u64);
        let found = adam::descend(kind, &pairs, &starts[set], options, stream, &after_epoch)?;
        descended(kind, stream, found)
    };
    let after_level = || {
        if sets.is_empty() {
            meter.advance(1);
        }
    };
    level_by_level(job, sets, together, Sharing::LevelPerThread, fit, after_level)
}

/// What `fit` makes of each set, by its number, at each level. The moments of all levels together are the sum of
/// theirs.
fn level_by_level(
    job: &Job,
    sets: &[Set],
    together: bool,
    sharing: Sharing,
    fit: impl Fn(usize, &Level) -> Result<TrainedMap, TrainError> + Sync,
    after_level: impl Fn(),
) -> Result<LevelByLevel, TrainError> {
    let mut by_set: Vec<_> = sets.iter().map(|_| Vec::with_capacity(job.hidden.blocks())).collect();
    let mut sum: Option<Moments> = None;
    let task = |number: usize, inputs: &[f32]| {
        let moments = Moments::of(inputs, job.targets)?;
        let level = Level { number, inputs, moments: &moments };
        let fitted = (0..sets.len()).map(|set| fit(set, &level)).collect::<Result<Vec<_>, _>>()?;
        Ok((fitted, together.then_some(moments)))
    };
    levels::for_each(job.hidden, sharing, job.observer, task, |(fitted, moments)| {
        for (levels, fitted) in by_set.iter_mut().zip(fitted) {
            levels.push(fitted);
        }
        match (&mut sum, moments) {
            (Some(sum), Some(moments)) => sum.add(&moments)?,
            (sum, moments) => *sum = moments,
        }
        after_level();
        Ok(())
    })?;
    Ok(LevelByLevel { by_set, moments: sum })
}
