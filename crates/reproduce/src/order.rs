//! The order of the experiment: capture, train, score, evaluate, what comes after the paper, report.

use std::fs::File;
use std::path::PathBuf;

use onejump_core::files::FileError;
use onejump_core::layout::{EVALUATION_SHARE, Split};
use onejump_core::lock;
use onejump_core::manifest::HiddenManifest;
use onejump_core::observe::Observer;
use onejump_core::set_name::SetName;
use onejump_core::shard::Shard;
use onejump_core::shortcut::{ShortcutKind, Solver, default_rank};

use crate::beyond::beyond;
use crate::error::ReproduceError;
use crate::experiment::Experiment;
use crate::local::Local;
use crate::programs::Program;
use crate::run::{ON_THE_HEAD, Run, States};
use crate::run_toml::RunConfig;
use crate::stage::Stage;
use crate::stages::{Stages, Times};

/// The second rank that is shown, as a share of H: at the paper's ⌊H/100⌋ a small model learns little.
const SECOND_RANK_DIVISOR: usize = 10;

/// Kinds that are trained in closed form.
pub(crate) const CLOSED_FORMS: [ShortcutKind; 4] =
    [ShortcutKind::Jtc, ShortcutKind::Njtc, ShortcutKind::NNjtc, ShortcutKind::Joint];

/// Kinds that are trained by gradient descent too, to compare the solvers.
const BOTH_SOLVERS: [ShortcutKind; 2] = [ShortcutKind::NNjtc, ShortcutKind::Joint];

/// The folder of a run in which each stage that has run leaves a stamp.
pub(crate) const STAMPS: &str = ".stages";

/// Runs an experiment; stages whose inputs did not change are not run again.
///
/// # Errors
/// [`ReproduceError`] if a stage fails, or if the run's folder holds another experiment or is being written.
pub fn reproduce(
    experiment: &Experiment,
    local: Local,
    observer: &dyn Observer,
) -> Result<Times, ReproduceError> {
    let layout = experiment.layout();
    let stamps = layout.root().join(STAMPS);
    let _locks = (lock::file(&layout.config())?, lock::folder(&stamps)?);
    RunConfig::of(experiment).keep(&layout)?;
    let mut stages = Stages::new(local, stamps, observer);
    captures(experiment, 1).iter().try_for_each(|stage| stages.run(stage))?;
    let inputs = HiddenManifest::read(&layout.hidden(Split::Train))?.inputs;
    let (hidden_size, samples) = (inputs.hidden_size, inputs.samples);
    let run = Run { experiment, layout: &layout, hidden_size, samples, sums: None };
    run.after_capture(1).iter().try_for_each(|stage| stages.run(stage))?;
    if experiment.beyond {
        beyond(&run, &mut stages)?;
    }
    stages.run(&run.report())?;
    Ok(stages.times)
}

/// The captures, each in so many shards.
pub(crate) fn captures(experiment: &Experiment, shards: usize) -> [Stage; 2] {
    let layout = experiment.layout();
    [Split::Train, Split::Test].map(|split| {
        let states = States { split, seed: experiment.seed, switches: &experiment.switches };
        states.capture_in_shards(experiment, &layout.hidden(split), shards)
    })
}

/// Whether the experiment could begin: its sentences are there, and the run's folder holds no other one.
///
/// # Errors
/// [`ReproduceError`] if not.
pub fn check(experiment: &Experiment) -> Result<(), ReproduceError> {
    for split in [Split::Train, Split::Test] {
        let path = experiment.sentences_of(split);
        File::open(&path).map_err(FileError::reading(&path))?;
    }
    RunConfig::of(experiment).is_kept(&experiment.layout())?;
    Ok(())
}

impl Run<'_> {
    /// The paper's stages between the captures and the report, in an order in which they can run.
    /// On several machines the exit levels of the evaluation are shared out to so many.
    pub(crate) fn after_capture(&self, shards: usize) -> Vec<Stage> {
        let ranks = self.ranks();
        let (mut stages, mut shortcuts) = (Vec::new(), Vec::new());
        for (solver, kinds) in [(Solver::ClosedForm, &CLOSED_FORMS[..]), (Solver::Adam, &BOTH_SOLVERS)] {
            let sets = self.sets(solver, kinds, &ranks);
            stages.push(self.train(solver, kinds, &ranks, &sets));
            shortcuts.extend(sets.iter().map(|set| self.layout.shortcuts(set)));
        }
        // Not in the paper, and as long as everything before it.
        if self.experiment.beyond {
            for name in self.sets(Solver::Adam, &ON_THE_HEAD, &ranks) {
                stages.push(self.train_on_the_head(&name));
                shortcuts.push(self.layout.shortcuts(&name));
            }
        }
        let mut chosen = Vec::new();
        for &rank in &ranks {
            for solver in [Solver::ClosedForm, Solver::Adam] {
                let jumps = SetName::new(ShortcutKind::NNjtc, solver, rank, self.hidden_size);
                stages.push(self.score(&jumps));
                chosen.push(self.layout.ojfa(&jumps));
            }
        }
        stages.push(self.evaluate(&shortcuts, &chosen, shards));
        stages
    }

    pub(crate) fn ranks(&self) -> Vec<usize> {
        if !self.experiment.ranks.is_empty() {
            return self.experiment.ranks.clone();
        }
        let mut ranks = vec![default_rank(self.hidden_size), (self.hidden_size / SECOND_RANK_DIVISOR).max(1)];
        ranks.dedup();
        ranks
    }

    /// The sets of kinds at all ranks; a kind without a rank has one.
    pub(crate) fn sets(&self, solver: Solver, kinds: &[ShortcutKind], ranks: &[usize]) -> Vec<SetName> {
        let ranks_of = |kind: ShortcutKind| if kind.low_rank() { ranks } else { &ranks[..1] };
        let name = |kind, rank| SetName::new(kind, solver, rank, self.hidden_size);
        kinds.iter().flat_map(|&kind| ranks_of(kind).iter().map(move |&rank| name(kind, rank))).collect()
    }

    /// Trains all sets of a solver in one stage: each level of the states is read once for all of them. On several
    /// machines each set is a unit.
    pub(crate) fn train(
        &self,
        solver: Solver,
        kinds: &[ShortcutKind],
        ranks: &[usize],
        sets: &[SetName],
    ) -> Stage {
        let files: Vec<_> = sets.iter().map(|set| self.layout.shortcuts(set)).collect();
        let whole = self.train_sets(&format!("train-{solver}"), solver, kinds, ranks);
        let unit = |(set, file): (&SetName, &PathBuf)| {
            let rank = [set.rank(self.hidden_size)];
            let ranks = if set.kind.low_rank() { &rank[..] } else { &[] };
            self.train_sets(&format!("{}.{set}", whole.name), solver, &[set.kind], ranks)
                .output("--out", file)
        };
        let units = sets.iter().zip(&files).map(unit).collect();
        whole.output_folder("--out", &self.layout.shortcuts_folder(), &files).in_units(units)
    }

    fn train_sets(&self, name: &str, solver: Solver, kinds: &[ShortcutKind], ranks: &[usize]) -> Stage {
        let kinds: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        let ranks: Vec<_> = ranks.iter().map(usize::to_string).collect();
        let switches = &self.experiment.switches;
        let stage = Stage::new(Program::Train, name)
            .option("--kind", kinds.join(","))
            .optional("--rank", Some(ranks.join(",")).filter(|ranks| !ranks.is_empty()))
            .option("--solver", solver)
            .option("--seed", self.experiment.seed);
        let stage = self.trained_from(stage).arguments(&switches.train());
        if solver == Solver::Adam { stage.arguments(&switches.adam()) } else { stage }
    }

    fn train_on_the_head(&self, name: &SetName) -> Stage {
        Stage::new(Program::Train, format!("train-{name}"))
            .option("--kind", name.kind)
            .option("--solver", name.solver)
            .option("--rank", name.rank(self.hidden_size))
            .option("--seed", self.experiment.seed)
            .option("--model", &self.experiment.model)
            .arguments(&self.experiment.switches.train())
            .hidden(&self.hidden())
            .output("--out", &self.layout.shortcuts(name))
    }

    fn score(&self, jumps: &SetName) -> Stage {
        self.score_of(jumps, |stage| stage.hidden(&self.hidden()))
    }

    /// Scores, of the states that `of` names.
    pub(crate) fn score_of(&self, jumps: &SetName, of: impl FnOnce(Stage) -> Stage) -> Stage {
        of(Stage::new(Program::Score, format!("score-{jumps}")))
            .input("--shortcuts", &self.layout.shortcuts(jumps))
            .arguments(&self.experiment.switches.score())
            .output("--out", &self.layout.scores(jumps))
            .output("--ojfa", &self.layout.ojfa(jumps))
    }

    fn evaluate(&self, shortcuts: &[PathBuf], chosen: &[PathBuf], shards: usize) -> Stage {
        let results = self.layout.results();
        let of = |stage: Stage| stage.hidden(&self.layout.hidden(Split::Test));
        let whole = self.evaluate_of(shortcuts, chosen, of);
        if shards < 2 {
            return whole;
        }
        let mut units: Vec<Stage> = (0..shards)
            .map(|index| {
                let shard = Shard { index, count: shards };
                let mut unit = whole.clone().option("--shard", shard).share(shard);
                unit.outputs = vec![results.join(shard.folder()).join(EVALUATION_SHARE)];
                unit
            })
            .collect();
        let mut join = whole.clone().option("--join", shards);
        join.name = format!("{}.join", whole.name);
        join.inputs.extend(units.iter().flat_map(|unit| unit.outputs.clone()));
        units.push(join);
        whole.in_units(units)
    }

    /// An evaluation, of the states that `of` names.
    pub(crate) fn evaluate_of(
        &self,
        shortcuts: &[PathBuf],
        chosen: &[PathBuf],
        of: impl FnOnce(Stage) -> Stage,
    ) -> Stage {
        of(Stage::new(Program::Evaluate, "evaluate").option("--model", &self.experiment.model))
            .inputs("--shortcuts", shortcuts)
            .inputs("--ojfa", chosen)
            .output_folder("--out", &self.layout.results(), &[self.layout.summary()])
    }

    /// The report is quick, and prints the table that people look for: it always runs.
    pub(crate) fn report(&self) -> Stage {
        Stage::new(Program::Report, "report").option("--run", self.layout.root().display())
    }
}
