//! What the choice of the jump depends on: variants of the base setting, each trained and chosen from anew.

use std::path::PathBuf;

use onejump_core::layout::Split;
use onejump_core::shortcut::{ShortcutKind, Solver, default_rank};

use crate::aside::{Aside, AsideFiles};
use crate::error::ReproduceError;
use crate::programs::Program;
use crate::run::{Run, States};
use crate::sets;
use crate::stage::Stage;
use crate::stages::Stages;
use crate::switches::Switches;

/// Seeds of a variant beside the run's own: five in all.
const MORE_SEEDS: usize = 4;

/// The values of `--target`, with the labels of the variants that change to them.
const TARGETS: [(&str, &str); 2] =
    [("normed", "target after the norm"), ("pre-norm", "target before the norm")];

/// A variant of the base setting: a closed form at one of the run's ranks on all training samples.
struct Variant {
    label: String,
    /// The hidden states that it is trained on.
    hidden: PathBuf,
    /// Arguments of onejump-train.
    train: Vec<String>,
    /// More arguments of onejump-train and onejump-score.
    both: Vec<String>,
}

/// Trains the variants and chooses from them.
pub(crate) fn sensitivity(
    run: &Run,
    stages: &mut Stages,
    aside: &mut AsideFiles,
) -> Result<(), ReproduceError> {
    let rank = rank(run)?;
    let mut variants = of_closed_form(run);
    variants.push(of_storage(run, stages)?);
    variants.extend(of_descent(run));
    variants.extend(of_positions(run, stages)?);
    let folder = run.layout.root().join("sensitivity");
    for variant in variants {
        let set = Aside { folder: &folder, stem: variant.label.replace([' ', ','], "-") };
        stages.run(&variant.train(rank, &set))?;
        let arguments = [run.experiment.switches.score(), variant.both].concat();
        let name = format!("score-sensitivity-{}", set.stem);
        stages.run(&set.score(name, &variant.hidden, &arguments))?;
        aside.shortcuts.push(set.shortcuts());
        aside.chosen.push(set.chosen());
    }
    Ok(())
}

/// The paper's rank, if the run has it, else the lowest: variants are compared with the run's own set.
fn rank(run: &Run) -> Result<usize, ReproduceError> {
    let ranks = sets::ranks(run.layout, run.hidden_size)?;
    let paper = Some(default_rank(run.hidden_size)).filter(|rank| ranks.contains(rank));
    let missing = || ReproduceError::NoJumps { folder: run.layout.shortcuts_folder() };
    paper.or_else(|| ranks.into_iter().min()).ok_or_else(missing)
}

/// Variants of the closed form, on the run's own states.
fn of_closed_form(run: &Run) -> Vec<Variant> {
    let switches = &run.experiment.switches;
    let base = |label| Variant::new(run, label, run.hidden());
    let both = |label, words: &[&str]| Variant { both: owned(words), ..base(label) };
    let (target, label) = TARGETS[usize::from(switches.target == TARGETS[0].0)];
    let target = Switches { target: target.into(), ..switches.clone() };
    vec![
        Variant { train: target.train(), ..base(label) },
        both("without position 0", &["--no-position-0"]),
        both("half the data", &["--first", &(run.samples / 2).to_string()]),
    ]
}

/// States that are stored in half the bytes, in the type that has room for those of every model.
fn of_storage(run: &Run, stages: &mut Stages) -> Result<Variant, ReproduceError> {
    let switches = Switches { store_dtype: "bf16".into(), ..run.experiment.switches.clone() };
    let states = States { split: Split::Train, seed: run.experiment.seed, switches: &switches };
    captured(run, stages, "stored in bf16", "bf16", &states)
}

/// Gradient descent from several seeds, on the run's own states.
fn of_descent(run: &Run) -> Vec<Variant> {
    let switches = &run.experiment.switches;
    let variant = |seed: u64| {
        let solver = owned(&["--solver", Solver::Adam.name(), "--seed", &seed.to_string()]);
        let train = [solver, switches.train(), switches.adam()].concat();
        Variant { train, ..Variant::new(run, &format!("Adam, seed {seed}"), run.hidden()) }
    };
    (run.experiment.seed..).take(1 + MORE_SEEDS).map(variant).collect()
}

/// States at other positions of the same sentences.
fn of_positions(run: &Run, stages: &mut Stages) -> Result<Vec<Variant>, ReproduceError> {
    let seeds = (run.experiment.seed + 1..).take(MORE_SEEDS);
    let variant = |seed| {
        let states = States { split: Split::Train, seed, switches: &run.experiment.switches };
        captured(run, stages, &format!("positions, seed {seed}"), &format!("seed-{seed}"), &states)
    };
    seeds.map(variant).collect()
}

/// Captures the states of a variant into `hidden/train-NAME`.
fn captured(
    run: &Run,
    stages: &mut Stages,
    label: &str,
    name: &str,
    states: &States,
) -> Result<Variant, ReproduceError> {
    let folder = run.hidden().with_file_name(format!("train-{name}"));
    stages.run(&states.capture(run.experiment, &folder))?;
    Ok(Variant::new(run, label, folder))
}

impl Variant {
    /// The run's own setting on the states of a folder.
    fn new(run: &Run, label: &str, hidden: PathBuf) -> Self {
        Self { label: label.into(), hidden, train: run.experiment.switches.train(), both: Vec::new() }
    }

    fn train(&self, rank: usize, set: &Aside) -> Stage {
        Stage::new(Program::Train, format!("sensitivity-{}", set.stem))
            .option("--kind", ShortcutKind::NNjtc)
            .option("--rank", rank)
            .option("--label", &self.label)
            .arguments(&self.train)
            .arguments(&self.both)
            .hidden(&self.hidden)
            .output("--out", &set.shortcuts())
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
