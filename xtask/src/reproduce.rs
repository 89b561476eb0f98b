//! `cargo xtask reproduce`: the whole experiment, stage by stage, each a binary of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use onejump_core::files;
use onejump_core::layout::{MANIFEST, RunLayout, Split};
use onejump_core::lock;
use onejump_core::manifest::HiddenManifest;
use onejump_core::set_name::SetName;
use onejump_core::shortcut::{ShortcutKind, Solver, default_rank};
use onejump_fetch::builtin::SMOLLM2_135M;
use onejump_program::say;
use serde::{Deserialize, Serialize};

use crate::switches::Switches;
use crate::{beyond, process, setup};

/// Sentences of a quick run.
const QUICK: (usize, usize) = (900, 300);

/// The second rank that is shown, as a share of H: at the paper's ⌊H/100⌋ a small model learns little.
const SECOND_RANK_DIVISOR: usize = 10;

/// Solvers that are compared, and the kinds that both are run for.
const BOTH_SOLVERS: [ShortcutKind; 2] = [ShortcutKind::NNjtc, ShortcutKind::Joint];

/// The folder of a run in which each stage that has run leaves a stamp.
const STAMPS: &str = ".stages";

/// Options of `cargo xtask reproduce`.
#[derive(clap::Args)]
pub struct Args {
    /// Model: a Hugging Face directory, a .gguf file, a hub id (owner/name), or a built-in name
    #[arg(long, default_value = SMOLLM2_135M.name)]
    model: String,
    /// Folder with train.txt and test.txt, one sentence a line [default: data/wikipedia]
    #[arg(long, value_name = "DIR")]
    sentences: Option<PathBuf>,
    /// Name of the run, a folder in data/runs [default: the model's name]
    #[arg(long, value_name = "NAME")]
    run: Option<String>,
    /// Rank of the low-rank shortcuts; may be repeated [default: H/100 and H/10]
    #[arg(long = "rank", value_name = "R")]
    ranks: Vec<usize>,
    /// Seed of the sampled positions and of gradient descent
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// cpu, cuda, cuda:N, or auto
    #[arg(long, default_value = "auto")]
    device: String,
    /// 900 and 300 sentences only
    #[arg(long)]
    quick: bool,
    /// Also what comes after the paper: a better single jump, transfer between levels, more ranks, dynamic exit,
    /// sensitivity
    #[arg(long)]
    beyond: bool,
    #[command(flatten)]
    switches: Switches,
}

/// `run.toml`: what determines the states and the shortcuts of a run.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct RunConfig {
    model: String,
    sentences: String,
    train_sentences: Option<usize>,
    test_sentences: Option<usize>,
    seed: u64,
    onejump: String,
    #[serde(default)]
    switches: Switches,
}

/// Runs the experiment; stages whose inputs did not change are not run again.
pub fn reproduce(args: &Args) -> Result<()> {
    setup::setup()?;
    let binaries = process::build_stages()?;
    let sentences = args.sentences.clone().unwrap_or_else(|| process::root().join("data").join("wikipedia"));
    let limits = args.quick.then_some(QUICK);
    let layout = RunLayout::new(process::root().join("data/runs").join(run_name(args)?));
    let config = RunConfig {
        model: args.model.clone(),
        sentences: sentences.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        train_sentences: limits.map(|limits| limits.0),
        test_sentences: limits.map(|limits| limits.1),
        seed: args.seed,
        onejump: env!("CARGO_PKG_VERSION").to_owned(),
        switches: args.switches.clone(),
    };
    let _locks = (lock::file(&layout.config())?, lock::folder(&layout.root().join(STAMPS))?);
    write_config(&layout, &config)?;
    let mut stages = Stages { layout: &layout, binaries, times: Vec::new() };

    for (split, limit) in [(Split::Train, limits.map(|l| l.0)), (Split::Test, limits.map(|l| l.1))] {
        let file = sentences.join(format!("{}.txt", split.name()));
        let out = layout.hidden(split);
        let mut stage = stages.stage("onejump-capture", &format!("capture-{}", split.name()));
        stage.option("--model", &args.model).option("--seed", &args.seed.to_string());
        stage.option("--device", &args.device).input("--sentences", &file);
        // The manifest, with the hashes of the parts, stands for the folder.
        stage.output_folder("--out", &out, &[out.join(MANIFEST)]);
        stage.arguments(&args.switches.capture());
        if let Some(limit) = limit {
            stage.option("--limit", &limit.to_string());
        }
        stages.run(stage)?;
    }
    let hidden_size = HiddenManifest::read(&layout.hidden(Split::Train))?.inputs.hidden_size;
    let ranks = if args.ranks.is_empty() {
        let mut ranks = vec![default_rank(hidden_size), (hidden_size / SECOND_RANK_DIVISOR).max(1)];
        ranks.dedup();
        ranks
    } else {
        args.ranks.clone()
    };
    let (shortcuts, ojfa) = train_and_score(&mut stages, &ranks, hidden_size, args)?;
    evaluate(&mut stages, &args.model, &shortcuts, &ojfa)?;
    if args.beyond {
        let further = beyond::Run {
            model: &args.model,
            sentences: &sentences.join(format!("{}.txt", Split::Train.name())),
            limit: limits.map(|limits| limits.0),
            seed: args.seed,
            device: &args.device,
            capture: args.switches.capture(),
            train: args.switches.train(),
            adam: args.switches.adam(),
            score: args.switches.score(),
        };
        beyond::beyond(&mut stages, &further)?;
    }
    report(&mut stages)?;
    say!("\n{}", stages.summary());
    say!("report: {}", layout.report().display());
    Ok(())
}

fn run_name(args: &Args) -> Result<String> {
    let name = args.run.clone().unwrap_or_else(|| {
        let name = Path::new(&args.model).file_name().unwrap_or_default().to_string_lossy();
        // A hub id may end in a revision; a version in a name, as in Qwen2.5-0.5B, is no ending.
        let model = name.split('@').next().unwrap_or(&name).trim_end_matches(".gguf").to_owned();
        if args.quick { format!("{model}-quick") } else { model }
    });
    ensure!(
        !name.is_empty() && Path::new(&name).file_name() == Some(name.as_ref()),
        "'{name}' is no name for a run; give a plain folder name with --run"
    );
    Ok(name)
}

/// A run that has states keeps its experiment: other settings need another name.
fn write_config(layout: &RunLayout, config: &RunConfig) -> Result<()> {
    let path = layout.config();
    if path.is_file() && layout.hidden(Split::Train).join(MANIFEST).is_file() {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let there: RunConfig =
            toml::from_str(&text).with_context(|| format!("{} is not a run's", path.display()))?;
        if there != *config {
            bail!(
                "{} holds another experiment (see run.toml); name this one with --run",
                layout.root().display()
            );
        }
        return Ok(());
    }
    Ok(files::write_bytes(&path, toml::to_string(config)?.as_bytes())?)
}

/// Kinds that are trained in closed form.
const CLOSED_FORMS: [ShortcutKind; 4] =
    [ShortcutKind::Jtc, ShortcutKind::Njtc, ShortcutKind::NNjtc, ShortcutKind::Joint];

/// Trains all sets and scores the jumps; returns the sets and the chosen jumps.
fn train_and_score(
    stages: &mut Stages,
    ranks: &[usize],
    hidden_size: usize,
    args: &Args,
) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let layout = stages.layout;
    let hidden = layout.hidden(Split::Train);
    let mut shortcuts = Vec::new();
    for (solver, kinds) in [(Solver::ClosedForm, &CLOSED_FORMS[..]), (Solver::Adam, &BOTH_SOLVERS)] {
        shortcuts.extend(train(stages, solver, kinds, ranks, hidden_size, args)?);
    }
    // Not in the paper, and as long as everything before it.
    for &rank in ranks.iter().filter(|_| args.beyond) {
        let name = SetName::new(ShortcutKind::OneJump, Solver::Adam, rank, hidden_size);
        let file = layout.shortcuts(&name);
        let mut stage = stages.stage("onejump-train", &format!("train-{name}"));
        stage.option("--kind", ShortcutKind::OneJump.name()).option("--solver", Solver::Adam.name());
        stage.option("--rank", &rank.to_string()).option("--seed", &args.seed.to_string());
        stage.option("--model", &args.model).arguments(&args.switches.train());
        stage.hidden(&hidden).output("--out", &file);
        stages.run(stage)?;
        shortcuts.push(file);
    }
    let mut ojfa = Vec::new();
    for &rank in ranks {
        for solver in [Solver::ClosedForm, Solver::Adam] {
            let name = SetName::new(ShortcutKind::NNjtc, solver, rank, hidden_size);
            let one = layout.ojfa(&name);
            let mut stage = stages.stage("onejump-score", &format!("score-{name}"));
            stage.hidden(&hidden).input("--shortcuts", &layout.shortcuts(&name));
            stage.arguments(&args.switches.score());
            stage.output("--out", &layout.scores(&name)).output("--ojfa", &one);
            stages.run(stage)?;
            ojfa.push(one);
        }
    }
    Ok((shortcuts, ojfa))
}

/// Trains kinds at all ranks with one solver, in one stage: each level of the states is read once for all of them.
fn train(
    stages: &mut Stages,
    solver: Solver,
    kinds: &[ShortcutKind],
    ranks: &[usize],
    hidden_size: usize,
    args: &Args,
) -> Result<Vec<PathBuf>> {
    let layout = stages.layout;
    // A kind without a rank is trained once.
    let ranks_of = |kind: ShortcutKind| if kind.low_rank() { ranks } else { &ranks[..1] };
    let names = kinds.iter().flat_map(|&kind| {
        ranks_of(kind).iter().map(move |&rank| SetName::new(kind, solver, rank, hidden_size))
    });
    let files: Vec<_> = names.map(|name| layout.shortcuts(&name)).collect();
    let joined = |names: Vec<String>| names.join(",");
    let mut stage = stages.stage("onejump-train", &format!("train-{}", solver.name()));
    stage.option("--kind", &joined(kinds.iter().map(|kind| kind.name().to_owned()).collect()));
    stage.option("--rank", &joined(ranks.iter().map(usize::to_string).collect()));
    stage.option("--solver", solver.name()).option("--seed", &args.seed.to_string());
    stage.hidden(&layout.hidden(Split::Train)).arguments(&args.switches.train());
    if solver == Solver::Adam {
        stage.arguments(&args.switches.adam());
    }
    stage.output_folder("--out", &layout.shortcuts_folder(), &files);
    stages.run(stage)?;
    Ok(files)
}

fn evaluate(stages: &mut Stages, model: &str, shortcuts: &[PathBuf], ojfa: &[PathBuf]) -> Result<()> {
    let layout = stages.layout;
    let mut stage = stages.stage("onejump-evaluate", "evaluate");
    stage.option("--model", model).hidden(&layout.hidden(Split::Test));
    for file in shortcuts {
        stage.input("--shortcuts", file);
    }
    for file in ojfa {
        stage.input("--ojfa", file);
    }
    stage.output_folder("--out", &layout.results(), &[layout.summary()]);
    stages.run(stage)
}

/// The report is quick, and prints the table that people look for: it always runs.
fn report(stages: &mut Stages) -> Result<()> {
    let layout = stages.layout;
    let mut stage = stages.stage("onejump-report", "report");
    stage.command.push("--run".to_owned());
    stage.command.push(layout.root().display().to_string());
    stages.run(stage)
}

/// One call of a stage's binary: what it reads and what it writes.
pub(crate) struct Stage {
    name: String,
    binary: String,
    command: Vec<String>,
    inputs: Vec<PathBuf>,
    outputs: Vec<PathBuf>,
}

impl Stage {
    pub fn option(&mut self, name: &str, value: &str) -> &mut Self {
        self.command.extend([name.to_owned(), value.to_owned()]);
        self
    }

    pub fn arguments(&mut self, arguments: &[String]) -> &mut Self {
        self.command.extend_from_slice(arguments);
        self
    }

    pub fn input(&mut self, name: &str, file: &Path) -> &mut Self {
        self.inputs.push(file.to_owned());
        self.option(name, &file.display().to_string())
    }

    pub fn output(&mut self, name: &str, file: &Path) -> &mut Self {
        self.outputs.push(file.to_owned());
        self.option(name, &file.display().to_string())
    }

    /// A folder of hidden states; its manifest, with the hashes of the parts, stands for it.
    pub fn hidden(&mut self, folder: &Path) -> &mut Self {
        self.inputs.push(folder.join(MANIFEST));
        self.option("--hidden", &folder.display().to_string())
    }

    /// A folder, and the files that it has when the stage is done.
    pub fn output_folder(&mut self, name: &str, folder: &Path, files: &[PathBuf]) -> &mut Self {
        self.outputs.extend_from_slice(files);
        self.option(name, &folder.display().to_string())
    }

    /// What determines the outputs: the program, the arguments and the content of the inputs.
    fn key(&self, binary: &Path) -> Result<String> {
        let mut text = self.command.join("\u{1f}");
        text.push_str(&files::sha256_file(binary)?);
        for input in &self.inputs {
            text.push_str(&files::sha256_file(input)?);
        }
        Ok(files::sha256_bytes(text.as_bytes()))
    }
}

pub(crate) struct Stages<'a> {
    pub layout: &'a RunLayout,
    binaries: PathBuf,
    times: Vec<(String, Option<f64>)>,
}

impl Stages<'_> {
    pub fn stage(&self, binary: &str, name: &str) -> Stage {
        Stage {
            name: name.to_owned(),
            binary: binary.to_owned(),
            command: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// Runs a stage, unless it has run with these arguments and inputs and its outputs are there.
    pub fn run(&mut self, stage: Stage) -> Result<()> {
        let stamp = self.layout.root().join(STAMPS).join(&stage.name);
        let binary = self.binaries.join(&stage.binary);
        let key = stage.key(&binary)?;
        let done = !stage.outputs.is_empty()
            && stage.outputs.iter().all(|output| output.is_file())
            && fs::read_to_string(&stamp).is_ok_and(|there| there == key);
        if done {
            self.times.push((stage.name, None));
            return Ok(());
        }
        let started = Instant::now();
        process::run(Command::new(&binary).args(&stage.command))?;
        files::write_bytes(&stamp, key.as_bytes())?;
        self.times.push((stage.name, Some(started.elapsed().as_secs_f64())));
        Ok(())
    }

    /// The time of each stage.
    fn summary(&self) -> String {
        let mut lines: Vec<String> = self
            .times
            .iter()
            .map(|(name, seconds)| match seconds {
                Some(seconds) => format!("{name:<24} {seconds:>7.1} s"),
                None => format!("{name:<24} unchanged"),
            })
            .collect();
        let total: f64 = self.times.iter().filter_map(|(_, seconds)| *seconds).sum();
        lines.push(format!("{:<24} {total:>7.1} s", "total"));
        lines.join("\n")
    }
}
