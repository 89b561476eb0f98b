//! `cargo xtask reproduce --beyond`: what comes after the paper's own experiment, on the same states.
//!
//! More ranks, the questions that the paper leaves open as variants of the base setting, and the
//! analyses of `onejump-evaluate`. Shortcuts of any kind that lie in the run's `shortcuts` folder take
//! part, also those that were put there by hand.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use onejump_core::layout::{MANIFEST, RunLayout, Split};
use onejump_core::manifest::HiddenManifest;
use onejump_core::set_name::SetName;
use onejump_core::shortcut::{ShortcutKind, Solver, default_rank};

use crate::reproduce::{Stage, Stages};

/// The ranks of the sweep grow by this factor, from 1 to H.
const RANK_FACTOR: usize = 4;

/// Seeds of a variant beside the run's own: five in all.
const MORE_SEEDS: u64 = 4;

/// What the further stages need to know of the run.
pub struct Run<'a> {
    /// The model, as the user named it.
    pub model: &'a str,
    /// The training sentences.
    pub sentences: &'a Path,
    /// How many of them, if not all.
    pub limit: Option<usize>,
    /// The run's seed.
    pub seed: u64,
    /// Where captures run.
    pub device: &'a str,
    /// The run's own arguments of captures.
    pub capture: Vec<String>,
    /// The run's own arguments of training.
    pub train: Vec<String>,
    /// The run's own arguments of gradient descent.
    pub adam: Vec<String>,
    /// The run's own arguments of scores.
    pub score: Vec<String>,
}

/// Runs the further stages.
pub fn beyond(stages: &mut Stages, run: &Run) -> Result<()> {
    let layout = stages.layout;
    let hidden = layout.hidden(Split::Train);
    let inputs = HiddenManifest::read(&hidden)?.inputs;
    let mut files = Files::default();
    sweep(stages, run, inputs.hidden_size, &mut files)?;
    sensitivity(stages, run, inputs.samples, inputs.hidden_size, &mut files)?;
    analyses(stages, run.model, &files)
}

/// Files that were trained here, for the averages.
#[derive(Default)]
struct Files {
    shortcuts: Vec<PathBuf>,
    ojfa: Vec<PathBuf>,
}

/// Every kind with one A·B per file or level, from rank 1 to H.
fn sweep(stages: &mut Stages, run: &Run, hidden_size: usize, files: &mut Files) -> Result<()> {
    let folder = stages.layout.root().join("sweep");
    let hidden = stages.layout.hidden(Split::Train);
    let powers = std::iter::successors(Some(1), |rank| Some(rank * RANK_FACTOR));
    let ranks = powers.take_while(|&rank| rank < hidden_size).chain([hidden_size]);
    for rank in ranks {
        for kind in [ShortcutKind::NNjtc, ShortcutKind::Joint, ShortcutKind::JointNorms] {
            let stem = format!("{kind}-r{rank}");
            let file = folder.join(format!("{stem}.safetensors"));
            let mut stage = stages.stage("onejump-train", &format!("sweep-{stem}"));
            stage.option("--kind", kind.name()).option("--rank", &rank.to_string());
            stage.arguments(&run.train);
            stage.hidden(&hidden).output("--out", &file);
            stages.run(stage)?;
            if kind == ShortcutKind::NNjtc {
                files.ojfa.push(score(stages, &hidden, &file, &format!("sweep-r{rank}"), &run.score)?);
            }
            files.shortcuts.push(file);
        }
    }
    // The kind that the experiment itself does not train, at its ranks.
    for rank in ranks_of(stages.layout)? {
        let name = SetName::new(ShortcutKind::JointNorms, Solver::ClosedForm, rank, hidden_size);
        let mut stage = stages.stage("onejump-train", &format!("train-{name}"));
        stage.option("--kind", ShortcutKind::JointNorms.name()).option("--rank", &rank.to_string());
        stage.arguments(&run.train);
        stage.hidden(&hidden).output("--out", &stages.layout.shortcuts(&name));
        stages.run(stage)?;
    }
    Ok(())
}

/// The ranks that the run has an n-njtc of.
fn ranks_of(layout: &RunLayout) -> Result<Vec<usize>> {
    let hidden_size = HiddenManifest::read(&layout.hidden(Split::Train))?.inputs.hidden_size;
    let ranks = jumps(layout)?.into_iter().map(|file| {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        stem.rsplit_once("-r").and_then(|(_, rank)| rank.parse().ok()).unwrap_or(default_rank(hidden_size))
    });
    Ok(ranks.collect())
}

/// The n-njtc files in closed form.
fn jumps(layout: &RunLayout) -> Result<Vec<PathBuf>> {
    let all = trained(layout)?.into_iter();
    Ok(all.filter(|file| is(file, "n-njtc") && !is_adam(file)).collect())
}

/// A variant of the base setting: a closed form at one of the run's ranks on all training samples.
struct Variant {
    label: String,
    /// Its hidden states, if not the run's own.
    hidden: Option<PathBuf>,
    /// More arguments of onejump-train alone.
    train: Vec<String>,
    /// More arguments of onejump-train and onejump-score.
    both: Vec<String>,
}

impl Variant {
    fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), hidden: None, train: Vec::new(), both: Vec::new() }
    }
}

fn texts<const N: usize>(arguments: [&str; N]) -> Vec<String> {
    arguments.map(str::to_owned).to_vec()
}

fn sensitivity(
    stages: &mut Stages,
    run: &Run,
    samples: usize,
    hidden_size: usize,
    files: &mut Files,
) -> Result<()> {
    // The paper's rank, if the run has it: the base that variants are compared with is the run's own.
    let ranks = ranks_of(stages.layout)?;
    let paper = Some(default_rank(hidden_size)).filter(|rank| ranks.contains(rank));
    let rank = paper.or_else(|| ranks.iter().copied().min()).context("the run has no n-njtc")?.to_string();
    let hidden = stages.layout.hidden(Split::Train);
    let half = (samples / 2).to_string();
    let (target, name) = if run.train.iter().any(|argument| argument == "normed") {
        ("pre-norm", "target before the norm")
    } else {
        ("normed", "target after the norm")
    };
    let other_target = with_options(run.train.clone(), &[("--target", target)]);
    let base = |label: &str| Variant { train: run.train.clone(), ..Variant::new(label) };
    let mut variants = vec![
        Variant { train: other_target, ..base(name) },
        Variant { both: texts(["--no-position-0"]), ..base("without position 0") },
        Variant { both: texts(["--first", &half]), ..base("half the data") },
    ];
    let f16 = capture(stages, run, "f16", &[("--seed", &run.seed.to_string()), ("--store-dtype", "f16")])?;
    variants.push(Variant { hidden: Some(f16), ..base("stored in f16") });
    for seed in (run.seed..).take(1 + MORE_SEEDS as usize) {
        let mut adam = texts(["--solver", "adam", "--seed", &seed.to_string()]);
        adam.extend(run.train.iter().chain(&run.adam).cloned());
        variants.push(Variant { train: adam, ..base(&format!("Adam, seed {seed}")) });
    }
    for seed in (run.seed + 1..).take(MORE_SEEDS as usize) {
        let states = capture(stages, run, &format!("seed-{seed}"), &[("--seed", &seed.to_string())])?;
        variants.push(Variant { hidden: Some(states), ..base(&format!("positions, seed {seed}")) });
    }
    let folder = stages.layout.root().join("sensitivity");
    for variant in variants {
        let name = variant.label.replace([' ', ','], "-");
        let file = folder.join(format!("{name}.safetensors"));
        let states = variant.hidden.as_ref().unwrap_or(&hidden);
        let mut stage = stages.stage("onejump-train", &format!("sensitivity-{name}"));
        stage.option("--kind", ShortcutKind::NNjtc.name()).option("--rank", &rank);
        stage.option("--label", &variant.label).arguments(&variant.train).arguments(&variant.both);
        stage.hidden(states).output("--out", &file);
        stages.run(stage)?;
        let more = [run.score.as_slice(), &variant.both].concat();
        files.ojfa.push(score(stages, states, &file, &format!("sensitivity-{name}"), &more)?);
        files.shortcuts.push(file);
    }
    Ok(())
}

/// Other states of the training sentences.
fn capture(stages: &mut Stages, run: &Run, name: &str, more: &[(&str, &str)]) -> Result<PathBuf> {
    let folder = stages.layout.root().join("hidden").join(format!("train-{name}"));
    let mut stage = stages.stage("onejump-capture", &format!("capture-train-{name}"));
    stage.option("--model", run.model).option("--device", run.device);
    stage.arguments(&with_options(run.capture.clone(), more));
    stage.input("--sentences", run.sentences).output_folder("--out", &folder, &[folder.join(MANIFEST)]);
    if let Some(limit) = run.limit {
        stage.option("--limit", &limit.to_string());
    }
    stages.run(stage)?;
    Ok(folder)
}

/// Arguments with other values of some options.
fn with_options(mut arguments: Vec<String>, options: &[(&str, &str)]) -> Vec<String> {
    for (name, value) in options {
        match arguments.iter().position(|argument| argument == name) {
            Some(place) if place + 1 < arguments.len() => arguments[place + 1] = (*value).to_owned(),
            _ => arguments.extend([(*name).to_owned(), (*value).to_owned()]),
        }
    }
    arguments
}

/// Chooses the one jump of a file; both results lie beside it.
fn score(stages: &mut Stages, hidden: &Path, jumps: &Path, name: &str, more: &[String]) -> Result<PathBuf> {
    let beside = |ending: &str| {
        let stem = jumps.file_stem().unwrap_or_default().to_string_lossy();
        jumps.with_file_name(format!("{stem}-{ending}"))
    };
    let one = beside("ojfa.safetensors");
    let mut stage = stages.stage("onejump-score", &format!("score-{name}"));
    stage.arguments(more).hidden(hidden).input("--shortcuts", jumps);
    stage.output("--out", &beside("scores.parquet")).output("--ojfa", &one);
    stages.run(stage)?;
    Ok(one)
}

fn analyses(stages: &mut Stages, model: &str, files: &Files) -> Result<()> {
    let layout = stages.layout;
    let (all, ojfa) = (trained(layout)?, chosen(layout)?);
    // In closed form, as far as there is one, and without njtc: what n-njtc says of dynamic exit is enough.
    let main =
        |file: &&PathBuf| is(file, ShortcutKind::OneJump.name()) || !is_adam(file) && !is(file, "njtc");
    let main: Vec<PathBuf> = all.iter().filter(main).cloned().collect();
    let main_ojfa: Vec<PathBuf> = ojfa.iter().filter(|file| !is_adam(file)).cloned().collect();
    let every: Vec<PathBuf> = all.iter().chain(&files.shortcuts).cloned().collect();
    let every_ojfa: Vec<PathBuf> = ojfa.iter().chain(&files.ojfa).cloned().collect();
    for (analysis, table, shortcuts, ojfa) in [
        ("averages", "averages", &every, &every_ojfa),
        ("transfer", "transfer", &jumps(layout)?, &Vec::new()),
        ("exit", "exit", &main, &main_ojfa),
    ] {
        let mut stage = stages.stage("onejump-evaluate", &format!("evaluate-{analysis}"));
        stage.option("--analyses", analysis).option("--model", model);
        stage.hidden(&layout.hidden(Split::Test));
        evaluated(&mut stage, shortcuts, ojfa);
        let table = layout.results().join(format!("{table}.parquet"));
        stage.output_folder("--out", &layout.results(), &[table]);
        stages.run(stage)?;
    }
    Ok(())
}

fn evaluated(stage: &mut Stage, shortcuts: &[PathBuf], ojfa: &[PathBuf]) {
    for file in shortcuts {
        stage.input("--shortcuts", file);
    }
    for file in ojfa {
        stage.input("--ojfa", file);
    }
}

/// The safetensors in the run's `shortcuts` folder, by name.
fn trained(layout: &RunLayout) -> Result<Vec<PathBuf>> {
    safetensors(&layout.shortcuts_folder(), |_| true)
}

/// The chosen jumps in the run's folder, by name.
fn chosen(layout: &RunLayout) -> Result<Vec<PathBuf>> {
    safetensors(layout.root(), |file| is(file, ShortcutKind::Ojfa.name()))
}

fn safetensors(folder: &Path, keep: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    let ours = |file: &PathBuf| file.extension().is_some_and(|ending| ending == "safetensors") && keep(file);
    let mut files: Vec<PathBuf> = paths.into_iter().filter(ours).collect();
    files.sort();
    Ok(files)
}

/// Whether a file's name begins with a kind: `joint-r57` is `joint`, and `joint-norms` is not.
fn is(file: &Path, kind: &str) -> bool {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let rest = stem.strip_prefix(kind);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("-r") || rest.starts_with("-adam"))
}

fn is_adam(file: &Path) -> bool {
    file.file_stem().is_some_and(|stem| stem.to_string_lossy().contains("-adam"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_has_one_value() {
        let given = texts(["--store-dtype", "f32", "--bos", "auto"]);
        let other = with_options(given, &[("--seed", "3"), ("--store-dtype", "f16")]);
        assert_eq!(other, ["--store-dtype", "f16", "--bos", "auto", "--seed", "3"]);
    }

    #[test]
    fn kinds_are_told_by_their_names() {
        assert!(
            is(Path::new("joint-r57.safetensors"), "joint") && is(Path::new("ojfa-adam.safetensors"), "ojfa")
        );
        assert!(
            !is(Path::new("joint-norms.safetensors"), "joint")
                && !is(Path::new("n-njtc.safetensors"), "njtc")
        );
    }
}
