//! What comes after the paper's own experiment, on the same states: more ranks, variants of the base setting for
//! what the paper leaves open, and the analyses of `onejump-evaluate`.
//!
//! Shortcuts of any kind that lie in the run's `shortcuts` folder take part, also those that were put there by hand.

use std::iter;
use std::path::{Path, PathBuf};

use onejump_core::layout::Split;
use onejump_core::set_name::SetName;
use onejump_core::shortcut::{ShortcutKind, Solver};

use crate::aside::{Aside, AsideFiles};
use crate::error::ReproduceError;
use crate::programs::Program;
use crate::run::{ON_THE_HEAD, Run};
use crate::sensitivity::sensitivity;
use crate::sets::{self, paths};
use crate::stage::Stage;
use crate::stages::Stages;

/// The ranks of the sweep grow by this factor, from 1 to H.
const RANK_FACTOR: usize = 4;

/// Kinds of the sweep: those with one A·B per file or level.
const SWEPT: [ShortcutKind; 3] = [ShortcutKind::NNjtc, ShortcutKind::Joint, ShortcutKind::JointNorms];

/// Runs the further stages.
pub(crate) fn beyond(run: &Run, stages: &mut Stages) -> Result<(), ReproduceError> {
    let mut aside = AsideFiles::default();
    sweep(run, stages, &mut aside)?;
    sensitivity(run, stages, &mut aside)?;
    analyses(run, &aside)?.iter().try_for_each(|stage| stages.run(stage))
}

/// Every kind with one A·B per file or level, from rank 1 to H.
fn sweep(run: &Run, stages: &mut Stages, aside: &mut AsideFiles) -> Result<(), ReproduceError> {
    let folder = run.layout.root().join("sweep");
    let powers = iter::successors(Some(1), |rank| Some(rank * RANK_FACTOR));
    for rank in powers.take_while(|&rank| rank < run.hidden_size).chain([run.hidden_size]) {
        for kind in SWEPT {
            // Every rank is named here, the default one too.
            let name = SetName { rank: Some(rank), ..SetName::plain(kind) };
            let set = Aside { folder: &folder, stem: name.to_string() };
            stages.run(&train(run, &format!("sweep-{name}"), &name, &set.shortcuts()))?;
            if kind == ShortcutKind::NNjtc {
                let switches = run.experiment.switches.score();
                stages.run(&set.score(format!("score-sweep-r{rank}"), &run.hidden(), &switches))?;
                aside.chosen.push(set.chosen());
            }
            aside.shortcuts.push(set.shortcuts());
        }
    }
    // The kind that the experiment itself does not train, at its ranks.
    for rank in sets::ranks(run.layout, run.hidden_size)? {
        let name = SetName::new(ShortcutKind::JointNorms, Solver::ClosedForm, rank, run.hidden_size);
        stages.run(&train(run, &format!("train-{name}"), &name, &run.layout.shortcuts(&name)))?;
    }
    Ok(())
}

/// Trains a set in closed form.
fn train(run: &Run, stage: &str, set: &SetName, file: &Path) -> Stage {
    Stage::new(Program::Train, stage)
        .option("--kind", set.kind)
        .option("--rank", set.rank(run.hidden_size))
        .arguments(&run.experiment.switches.train())
        .hidden(&run.hidden())
        .output("--out", file)
}

/// The four analyses, each of the files that it is about.
fn analyses(run: &Run, aside: &AsideFiles) -> Result<[Stage; 4], ReproduceError> {
    let (all, chosen) = (sets::trained(run.layout)?, sets::chosen(run.layout)?);
    // In closed form, as far as there is one, and without njtc: what n-njtc says of dynamic exit is enough.
    let exits = all.iter().filter(|file| {
        ON_THE_HEAD.iter().any(|&kind| file.is(kind)) || !file.is_adam() && !file.is(ShortcutKind::Njtc)
    });
    let exits_chosen = chosen.iter().filter(|file| !file.is_adam());
    let jumps = sets::jumps(run.layout)?;
    // The single jumps, and what they are compared with.
    let singles = all.iter().filter(|file| {
        ON_THE_HEAD.iter().any(|&kind| file.is(kind))
            || !file.is_adam() && (file.is(ShortcutKind::Joint) || file.is(ShortcutKind::Jtc))
    });
    Ok([
        analysis(
            run,
            "averages",
            &[paths(&all), aside.shortcuts.clone()].concat(),
            &[paths(&chosen), aside.chosen.clone()].concat(),
        ),
        analysis(run, "transfer", &paths(&jumps), &[]),
        analysis(run, "classes", &paths(singles), &paths(exits_chosen.clone())),
        analysis(run, "exit", &paths(exits), &paths(exits_chosen)),
    ])
}

/// An analysis of files, which writes the table of its name.
fn analysis(run: &Run, name: &str, shortcuts: &[PathBuf], chosen: &[PathBuf]) -> Stage {
    let results = run.layout.results();
    let table = results.join(format!("{name}.parquet"));
    Stage::new(Program::Evaluate, format!("evaluate-{name}"))
        .option("--analyses", name)
        .option("--model", &run.experiment.model)
        .hidden(&run.layout.hidden(Split::Test))
        .inputs("--shortcuts", shortcuts)
        .inputs("--ojfa", chosen)
        .output_folder("--out", &results, &[table])
}
