//! Kinds and ranks that are trained together: each level is read, and its moments are summed up, once for all.

use onejump_core::observe::{Meter, Observer, Task};
use onejump_core::shortcut::{ShortcutKind, Solver};
use onejump_shortcuts::file::Maps;
use onejump_shortcuts::map::Map;
use onejump_store::hidden::HiddenStates;
use onejump_tensor::{rows, threads};
use rayon::prelude::*;
use tch::Tensor;

use crate::TrainError;
use crate::adam::{self, Samples, Start};
use crate::closed_form;
use crate::few_samples;
use crate::levels::{self, Sharing};
use crate::moments::{Moments, Targets};
use crate::run::Config;

/// Kinds that need the levels one by one, or the moments of all of them.
pub(crate) const TOGETHER: [ShortcutKind; 4] =
    [ShortcutKind::Jtc, ShortcutKind::Njtc, ShortcutKind::NNjtc, ShortcutKind::Joint];

/// The maps, the training loss of each, and the loss curves of gradient descent.
pub(crate) type Trained = (Maps, Vec<f64>, Option<Vec<Vec<f64>>>);

/// A map, its training loss, and the loss curve of gradient descent.
type Single = (Map, f64, Option<Vec<f64>>);

/// A kind and its rank.
type Set = (ShortcutKind, usize);

/// What came of each set at each level, by set; and the moments of all levels together, if they are needed.
type Pass = (Vec<Vec<Single>>, Option<Moments>);

/// What sets are trained on.
pub(crate) struct Job<'a> {
    pub config: &'a Config,
    pub hidden: &'a HiddenStates,
    pub targets: &'a Targets,
    pub observer: &'a dyn Observer,
}

/// An exit level: its number, its states (N, H), and their moments.
struct Level<'a> {
    number: usize,
    inputs: &'a [f32],
    moments: &'a Moments,
}

impl Job<'_> {
    /// Trains some of [`TOGETHER`], in their order.
    pub fn train(&self, sets: &[Set]) -> Result<Vec<Trained>, TrainError> {
        let (joint, per_level): (Vec<Set>, Vec<Set>) =
            sets.iter().partition(|(kind, _)| *kind == ShortcutKind::Joint);
        let together = !joint.is_empty();
        let (levels, moments) = match self.config.solver {
            Solver::ClosedForm => self.closed_forms(&per_level, together)?,
            Solver::Adam => self.descents(&per_level, together)?,
        };
        let joint = match (moments, self.config.solver) {
            (None, _) => Vec::new(),
            (Some(moments), Solver::ClosedForm) => self.joint_closed_forms(&joint, &moments)?,
            (Some(moments), Solver::Adam) => self.joint_descents(&joint, &moments)?,
        };
        let (mut levels, mut joint) = (levels.into_iter().map(of_levels), joint.into_iter().map(of_all));
        let next = |(kind, _): &Set| if *kind == ShortcutKind::Joint { joint.next() } else { levels.next() };
        Ok(sets.iter().filter_map(next).collect())
    }

    fn closed_forms(&self, sets: &[Set], together: bool) -> Result<Pass, TrainError> {
        let ridge = self.config.ridge;
        // With fewer samples than H the moments are singular, and matrices of the samples' size do.
        let few = self.hidden.samples() < self.hidden.hidden_size();
        let fit = |set: usize, level: &Level| {
            let (kind, rank) = sets[set];
            if few {
                let (inputs, targets) = (self.tensor(level.inputs)?, self.targets.tensor()?);
                let map = few_samples::fit(kind, &inputs, &targets, rank, ridge)?;
                let loss = closed_form::loss(&map, level.moments)?;
                return Ok((map, loss, None));
            }
            let fitted = closed_form::fit(kind, level.moments, rank, ridge)?;
            Ok((fitted.map, fitted.loss, None))
        };
        let total = self.hidden.blocks() as u64;
        let meter = self.observer.begin(Task { name: "train", unit: "levels", total });
        let sharing = Sharing::of_matrices(self.hidden.hidden_size());
        self.pass(sets, together, sharing, fit, || meter.advance(1))
    }

    fn joint_closed_forms(&self, sets: &[Set], moments: &Moments) -> Result<Vec<Single>, TrainError> {
        let fit = |&(kind, rank): &Set| {
            let fitted = closed_form::fit(kind, moments, rank, self.config.ridge)?;
            Ok((fitted.map, fitted.loss, None))
        };
        sets.iter().map(fit).collect()
    }

    fn descents(&self, sets: &[Set], together: bool) -> Result<Pass, TrainError> {
        let config = self.config;
        let epochs = sets.len() * self.hidden.blocks() * config.adam.epochs;
        // Without sets this is a look at the moments.
        let (name, unit, total) = if sets.is_empty() {
            ("moments", "levels", self.hidden.blocks())
        } else {
            ("train", "epochs", epochs)
        };
        let meter = self.observer.begin(Task { name, unit, total: total as u64 });
        let starts = self.starts(sets)?;
        let fit = |set: usize, level: &Level| {
            let (inputs, targets) = (self.tensor(level.inputs)?, self.targets.tensor()?);
            let samples = Samples { inputs: &inputs, targets: &targets, moments: level.moments };
            self.descend(sets[set].0, &samples, &starts[set], level.number as u64, &*meter)
        };
        let after_level = || {
            if sets.is_empty() {
                meter.advance(1);
            }
        };
        self.pass(sets, together, Sharing::LevelPerThread, fit, after_level)
    }

    /// The descents run beside each other, a thread each: their steps are too small for more.
    fn joint_descents(&self, sets: &[Set], moments: &Moments) -> Result<Vec<Single>, TrainError> {
        let blocks = self.hidden.blocks();
        let levels =
            (0..blocks).map(|k| self.tensor(&self.hidden.level(k)?)).collect::<Result<Vec<_>, _>>()?;
        let inputs = Tensor::f_cat(&levels, 0)?; // (K·N, H)
        drop(levels);
        let total = (sets.len() * self.config.adam.epochs) as u64;
        let meter = self.observer.begin(Task { name: "train", unit: "epochs", total });
        let targets = self.targets.tensor()?;
        // A tensor may be sent to another thread, but not shared with it.
        let share = |(&(kind, _), start): (&Set, Start)| {
            (kind, start, inputs.shallow_clone(), targets.shallow_clone(), moments.shallow_clone())
        };
        let jobs: Vec<_> = sets.iter().zip(self.starts(sets)?).map(share).collect();
        threads::pool()?.install(|| {
            jobs.into_par_iter()
                .with_max_len(1)
                .map(|(kind, start, inputs, targets, moments)| {
                    let samples = Samples { inputs: &inputs, targets: &targets, moments: &moments };
                    self.descend(kind, &samples, &start, blocks as u64, &*meter)
                })
                .collect()
        })
    }

    /// Gradient descent on one set of samples.
    fn descend(
        &self,
        kind: ShortcutKind,
        samples: &Samples,
        start: &Start,
        stream: u64,
        meter: &dyn Meter,
    ) -> Result<Single, TrainError> {
        let after_epoch = || {
            meter.advance(1);
            Ok(self.observer.check()?)
        };
        let descended = adam::descend(kind, samples, start, &self.config.adam, stream, &after_epoch)?;
        let loss = descended.loss;
        if !loss.is_finite() {
            return Err(TrainError::Diverged(format!("the {kind} of level {stream} has a loss of {loss}")));
        }
        tracing::info!("{}", describe_curve(kind, stream, &descended.curve, loss));
        Ok((descended.map, loss, Some(descended.curve)))
    }

    fn starts(&self, sets: &[Set]) -> Result<Vec<Start>, TrainError> {
        let targets = self.targets.tensor()?;
        sets.iter().map(|&(_, rank)| Start::of(&targets, rank)).collect()
    }

    fn tensor(&self, rows: &[f32]) -> Result<Tensor, TrainError> {
        Ok(rows::tensor(rows, self.hidden.hidden_size())?)
    }

    /// What `fit` makes of each set, by its number, at each level. The moments of all levels together are the sum of
    /// theirs.
    fn pass(
        &self,
        sets: &[Set],
        together: bool,
        sharing: Sharing,
        fit: impl Fn(usize, &Level) -> Result<Single, TrainError> + Sync,
        after_level: impl Fn(),
    ) -> Result<Pass, TrainError> {
        let mut by_set: Vec<_> = sets.iter().map(|_| Vec::with_capacity(self.hidden.blocks())).collect();
        let mut sum: Option<Moments> = None;
        let task = |number: usize, inputs: &[f32]| {
            let moments = Moments::of(inputs, self.targets)?;
            let level = Level { number, inputs, moments: &moments };
            let fitted = (0..sets.len()).map(|set| fit(set, &level)).collect::<Result<Vec<_>, _>>()?;
            Ok((fitted, together.then_some(moments)))
        };
        levels::for_each(self.hidden, sharing, self.observer, task, |(fitted, moments)| {
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
        Ok((by_set, sum))
    }
}

fn of_levels(levels: Vec<Single>) -> Trained {
    let (mut maps, mut losses, mut curves) = (Vec::new(), Vec::new(), Vec::new());
    for (map, loss, curve) in levels {
        maps.push(map);
        losses.push(loss);
        curves.extend(curve);
    }
    let curves = (!curves.is_empty()).then_some(curves);
    (Maps::PerLevel(maps), losses, curves)
}

fn of_all((map, loss, curve): Single) -> Trained {
    (Maps::One(Box::new(map)), vec![loss], curve.map(|curve| vec![curve]))
}

fn describe_curve(kind: ShortcutKind, stream: u64, curve: &[f64], loss: f64) -> String {
    let stride = curve.len().div_ceil(6).max(1);
    let points: Vec<_> = curve.iter().step_by(stride).map(|loss| format!("{loss:.0}")).collect();
    let place = if kind == ShortcutKind::Joint { "all levels".to_owned() } else { format!("level {stream}") };
    format!("{kind}, {place}: loss {} -> {loss:.1} with running statistics", points.join(" -> "))
}
