//! The experiment without a store: the states of all samples are never on the disk together.
//!
//! What is fitted in closed form needs only sums, which a first pass over the training texts adds up. Scores and evaluation
//! need the states once more: their texts are captured again, a shard at a time, and what the shard comes to is added to
//! what the others did. Then its states are removed, and its manifest stays, which says what they were.

use std::fs;
use std::path::{Path, PathBuf};

use onejump_core::files::FileError;
use onejump_core::layout::{EVALUATION_SHARE, MANIFEST, RunLayout, Split, TRAIN_TRUTH, part_number};
use onejump_core::lock;
use onejump_core::manifest::HiddenManifest;
use onejump_core::observe::Observer;
use onejump_core::set_name::SetName;
use onejump_core::shard::Shard;
use onejump_core::shortcut::{ShortcutKind, Solver};

use crate::error::ReproduceError;
use crate::experiment::Experiment;
use crate::local::Local;
use crate::order::{CLOSED_FORMS, STAMPS};
use crate::programs::Program;
use crate::run::{Run, States, planned_hidden_size};
use crate::run_toml::RunConfig;
use crate::stage::Stage;
use crate::stages::{Stages, Times};

/// What a capture would need is written to this file among the stamps.
const PLAN: &str = "plan.json";

/// Runs the experiment with the states of one of `count` shards on the disk at a time; what has run is not run again.
///
/// # Errors
/// [`ReproduceError`] if a stage fails, or if the run's folder holds another experiment or is being written, and for what
/// needs the states: [`Experiment::beyond`].
pub fn reproduce_in_passes(
    experiment: &Experiment,
    count: usize,
    local: Local,
    observer: &dyn Observer,
) -> Result<Times, ReproduceError> {
    let layout = experiment.layout();
    let stamps = layout.root().join(STAMPS);
    let _locks = (lock::file(&layout.config())?, lock::folder(&stamps)?);
    let train = layout.hidden(Split::Train);
    let capture = capture_sums(experiment, &train);
    if let Some(reason) = obstacle(experiment, count, &layout, &capture) {
        return Err(ReproduceError::NotInPasses { reason });
    }
    RunConfig::of(experiment).keep(&layout)?;
    let mut stages = Stages::new(local, stamps.clone(), observer);

    let hidden_size = hidden_size(&stages, &capture, &stamps.join(PLAN))?;
    stages.run(&capture)?;
    let sums = capture.outputs.first().cloned();
    let run = Run { experiment, layout: &layout, hidden_size, samples: 0, sums };
    let ranks = run.ranks();
    let sets = run.sets(Solver::ClosedForm, &CLOSED_FORMS, &ranks);
    stages.run(&run.train(Solver::ClosedForm, &CLOSED_FORMS, &ranks, &sets))?;
    let jumps: Vec<SetName> = sets.iter().copied().filter(|set| set.kind == ShortcutKind::NNjtc).collect();

    let mut passes = Passes { experiment, count, stages: &mut stages };
    passes.run(Split::Train, |shard, folder| {
        let scores = jumps.iter().map(|jumps| run.score_shard(jumps, shard, folder));
        scores.chain([run.predict_shard(shard, folder)]).collect()
    })?;
    let shards = || (0..count).map(|index| Shard { index, count });
    for jumps in &jumps {
        let of = |stage: Stage| stage.option("--hidden", train.display());
        let mut join = run.score_of(jumps, of).option("--join", count);
        join.inputs.extend(shards().map(|shard| run.score_sums(jumps, shard)));
        stages.run(&join)?;
    }

    let shortcuts: Vec<PathBuf> = sets.iter().map(|set| layout.shortcuts(set)).collect();
    let chosen: Vec<PathBuf> = jumps.iter().map(|jumps| layout.ojfa(jumps)).collect();
    let results = layout.results();
    // The tables hold the constant answer, which is that of the training samples' predictions.
    let truths: Vec<PathBuf> = shards().map(|shard| results.join(shard.folder()).join(TRAIN_TRUTH)).collect();
    let mut passes = Passes { experiment, count, stages: &mut stages };
    passes.run(Split::Test, |shard, folder| {
        let of = |stage: Stage| stage.hidden(folder).option("--train-hidden", train.display());
        let mut stage = run.evaluate_of(&shortcuts, &chosen, of).share(shard);
        stage.inputs.extend(truths.iter().cloned());
        stage.outputs = vec![results.join(shard.folder()).join(EVALUATION_SHARE)];
        vec![stage]
    })?;
    let test = layout.hidden(Split::Test);
    let of =
        |stage: Stage| stage.option("--hidden", test.display()).option("--train-hidden", train.display());
    let mut join = run.evaluate_of(&shortcuts, &chosen, of).option("--join", count);
    join.inputs.extend(shards().map(|shard| results.join(shard.folder()).join(EVALUATION_SHARE)));
    join.inputs.extend(truths);
    stages.run(&join)?;
    stages.run(&run.report())?;
    Ok(stages.times)
}

/// What stands in the way of an experiment without a store, and what to do about it.
fn obstacle(experiment: &Experiment, count: usize, layout: &RunLayout, sums: &Stage) -> Option<String> {
    if count < 2 {
        return Some("one shard is all states; give 2 or more, or leave out --no-states".into());
    }
    if experiment.beyond {
        return Some("--beyond needs the states of all samples; leave out one of the two".into());
    }
    if experiment.device == "cuda:all" {
        return Some("a shard is captured on one device; give --device cuda".into());
    }
    let summed = sums.outputs.iter().all(|file| file.is_file());
    for split in [Split::Train, Split::Test] {
        let folder = layout.hidden(split);
        let shown = folder.display();
        if folder.join(MANIFEST).is_file() {
            return Some(format!(
                "{shown} holds states of all samples; leave out --no-states, or give another --out"
            ));
        }
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let found = entries.filter_map(|entry| Shard::of_folder(&entry.file_name().to_string_lossy()));
        for shard in found {
            if shard.count != count {
                let there = shard.count;
                return Some(format!("{shown} holds {there} shards; give {there}, or another --out"));
            }
            if !summed {
                return Some(format!(
                    "{shown} holds shards of states, and no sums of all samples; give another --out"
                ));
            }
        }
    }
    None
}

/// The first pass: the sums over all training samples, and no states.
fn capture_sums(experiment: &Experiment, out: &Path) -> Stage {
    let (selection, file) = match experiment.switches.target.as_str() {
        "normed" => ("normed", "moments-normed.safetensors"),
        _ => ("all", "moments.safetensors"),
    };
    let states = States { split: Split::Train, seed: experiment.seed, switches: &experiment.switches };
    let mut stage = states
        .capture(experiment, out)
        .arguments(&[format!("--moments={selection}"), "--no-states".to_owned()]);
    stage.name = "capture-sums".to_owned();
    stage.outputs = vec![out.join(file)];
    stage
}

/// H, from what the capture would need.
fn hidden_size(stages: &Stages, capture: &Stage, plan: &Path) -> Result<usize, ReproduceError> {
    let mut asked = capture.clone();
    // A capture takes one limit.
    if let Some(place) = asked.arguments.iter().position(|argument| argument == "--limit") {
        asked.arguments.drain(place..place + 2);
    }
    let asked = asked.arguments(&["--dry-run=json", "--limit", "1"].map(str::to_owned));
    stages.run_into(&asked, plan)?;
    let said = fs::read_to_string(plan).map_err(FileError::reading(plan))?;
    planned_hidden_size(&said).ok_or_else(|| ReproduceError::Said {
        command: Program::Capture.name().to_owned(),
        said: said.trim().to_owned(),
        expected: "a plan with its hidden_size",
    })
}

/// Passes over the texts, a shard at a time.
struct Passes<'a, 'b> {
    experiment: &'a Experiment,
    count: usize,
    stages: &'a mut Stages<'b>,
}

impl Passes<'_, '_> {
    /// Captures each shard of a split, runs what `readers` makes of it, and removes its states.
    fn run(
        &mut self,
        split: Split,
        readers: impl Fn(Shard, &Path) -> Vec<Stage>,
    ) -> Result<(), ReproduceError> {
        let (experiment, count) = (self.experiment, self.count);
        let out = experiment.layout().hidden(split);
        let states = States { split, seed: experiment.seed, switches: &experiment.switches };
        for index in 0..count {
            let shard = Shard { index, count };
            let folder = out.join(shard.folder());
            let readers = readers(shard, &folder);
            let mut done = true;
            for reader in &readers {
                done &= self.stages.is_done(reader)?;
            }
            if !done {
                let mut capture = states.capture(experiment, &out).option("--shard", shard).share(shard);
                // A cluster's run in the same folder keeps the states that its own captures left.
                capture.name = format!("pass-{}", capture.name.trim_start_matches("capture-"));
                // It always runs: a stamp does not know that the states were removed. What is there is not computed again.
                capture.outputs = Vec::new();
                self.stages.run(&capture)?;
            }
            readers.iter().try_for_each(|reader| self.stages.run(reader))?;
            remove_states(&folder)?;
        }
        Ok(())
    }
}

/// Removes the parts of a folder that its manifest lists, which stays.
fn remove_states(folder: &Path) -> Result<(), FileError> {
    if !folder.join(MANIFEST).is_file() {
        return Ok(());
    }
    for part in HiddenManifest::read(folder)?.parts {
        let path = folder.join(&part.file);
        if part_number(&part.file).is_some() && path.is_file() {
            fs::remove_file(&path).map_err(FileError::writing(&path))?;
        }
    }
    Ok(())
}

impl Run<'_> {
    fn score_shard(&self, jumps: &SetName, shard: Shard, folder: &Path) -> Stage {
        let mut stage = self.score_of(jumps, |stage| stage.hidden(folder)).share(shard);
        stage.outputs = vec![self.score_sums(jumps, shard)];
        stage
    }

    /// The file of a shard's sums of scores.
    fn score_sums(&self, jumps: &SetName, shard: Shard) -> PathBuf {
        let scores = self.layout.scores(jumps).with_extension("safetensors");
        let name = scores.file_name().unwrap_or_default();
        scores.with_file_name(shard.folder()).join(name)
    }

    fn predict_shard(&self, shard: Shard, folder: &Path) -> Stage {
        let results = self.layout.results();
        let truth = results.join(shard.folder()).join(TRAIN_TRUTH);
        Stage::new(Program::Evaluate, "predict")
            .option("--model", &self.experiment.model)
            .arguments(&["--truth".to_owned()])
            .hidden(folder)
            .output_folder("--out", &results, &[truth])
            .share(shard)
    }
}
