//! The command line.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf, absolute};
use std::{env, iter};

use clap::Parser;
use onejump_core::files::FileError;
use onejump_core::layout::RunLayout;
use onejump_fetch::hub::Id;
use onejump_reproduce::{Experiment, Limits, PublishOptions, ReproduceError, SlurmOptions, Switches};

/// Run the whole experiment: capture, train, score, evaluate, report. Stages whose inputs did not change are not
/// run again.
///
/// The stages' binaries are looked for beside this one, then on PATH. Of an option that is given twice, the last
/// value counts; --rank alone is repeated for several ranks.
#[derive(Parser)]
#[command(version, args_override_self = true)]
pub struct Args {
    /// Model: a Hugging Face directory, a .gguf file, a hub id (owner/name), or a built-in name
    #[arg(long, required_unless_present = "publish", requires = "sentences")]
    model: Option<String>,
    /// Folder with train.txt and test.txt, one sentence a line
    #[arg(long, value_name = "DIR")]
    sentences: Option<PathBuf>,
    /// The run's folder; a run that was stopped goes on there
    #[arg(long, value_name = "RUN", required_unless_present = "runs")]
    out: Option<PathBuf>,
    /// In place of --out: a folder of runs, in which this one has a folder of its own
    #[arg(long, value_name = "DIR")]
    runs: Option<PathBuf>,
    /// With --runs: the name of this run's folder [default: the model's name]
    #[arg(long, value_name = "NAME", requires = "runs", conflicts_with = "out")]
    run: Option<String>,
    /// Rank of the low-rank shortcuts; may be repeated [default: H/100 and H/10]
    #[arg(long = "rank", value_name = "R", requires = "model")]
    ranks: Vec<usize>,
    /// Seed of the sampled positions and of gradient descent
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where states are captured: cpu, cuda, cuda:N, auto (the first GPU where there is one), or cuda:all (a shard for
    /// each GPU)
    #[arg(long, default_value = "auto")]
    device: String,
    /// 900 and 300 sentences only
    #[arg(long, requires = "model")]
    quick: bool,
    /// Also what comes after the paper: a better single jump, transfer between levels, more ranks, dynamic exit,
    /// sensitivity
    #[arg(long, requires = "model")]
    beyond: bool,
    /// Never have the states of all samples on the disk: train in closed form from sums, then capture the texts again in so
    /// many shards, one after the other, each for the scores and the evaluation, and remove its states
    #[arg(long, value_name = "SHARDS", requires = "model", conflicts_with_all = ["executor", "stage", "status", "beyond"])]
    pub no_states: Option<NonZeroUsize>,
    /// Then lay out the run's shortcuts in a folder for the hub: a card, config.json, the files. Without --model nothing
    /// is run: the run that --out or --run names is published as it is
    #[arg(long, value_name = "DIR")]
    publish: Option<PathBuf>,
    /// With --publish: what the folder will be called on the hub, for the card's examples
    #[arg(long, value_name = "OWNER/NAME", requires = "publish")]
    repository: Option<String>,
    /// With --publish: the licence of the shortcuts, as the hub abbreviates it [default: the model's, as they are
    /// derived from it]
    #[arg(long, value_name = "ID", requires = "publish")]
    license: Option<String>,
    /// Check the options, the sentences and the run's folder, and run nothing; with --executor slurm, print the scripts
    /// of the jobs
    #[arg(long, requires = "model")]
    pub dry_run: bool,
    /// Where stages run: local, on this machine one after the other, or slurm, as jobs of a cluster that wait for each
    /// other. The same command again submits what is missing
    #[arg(long, value_enum, default_value_t = Executor::Local, requires = "model")]
    pub executor: Executor,
    /// With --executor slurm: say what has run, what runs, waits and has failed, and submit nothing
    #[arg(long, requires = "model")]
    pub status: bool,
    /// Run this stage, or unit of a stage, alone, as the jobs do
    #[arg(long, value_name = "NAME", requires = "model")]
    pub stage: Option<String>,
    #[command(flatten)]
    pub slurm: SlurmOptions,
    #[command(flatten)]
    switches: Switches,
}

/// How a job calls this program: as it was called, with what asks for nothing but words left out. A job adds `--stage`,
/// beside which the options of the cluster mean nothing.
pub fn for_jobs(arguments: impl Iterator<Item = OsString>) -> Vec<String> {
    let program = env::current_exe().unwrap_or_else(|_| env!("CARGO_PKG_NAME").into());
    let given = arguments.skip(1).filter(|argument| argument != "--dry-run" && argument != "--status");
    iter::once(program.into_os_string())
        .chain(given)
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

/// Where stages run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Executor {
    Local,
    Slurm,
}

/// What is wanted: an experiment, a folder for the hub, or both.
pub struct Wanted {
    pub experiment: Option<Experiment>,
    /// The run that is made, or that is there.
    pub run: RunLayout,
    pub publish: Option<PublishOptions>,
}

impl Args {
    /// Refuses options of a cluster where none is used.
    pub fn check(&self) -> Result<(), ReproduceError> {
        let cluster = self.executor == Executor::Slurm || self.stage.is_some();
        if !cluster && (self.status || self.slurm != SlurmOptions::default()) {
            return Err(ReproduceError::OnlySlurm);
        }
        Ok(())
    }

    /// What the options describe. Paths do not depend on the current folder: a run is recognised wherever the command is
    /// given.
    pub fn wanted(self) -> Result<Wanted, ReproduceError> {
        let full = |path: &Path| absolute(path).map_err(FileError::reading(path));
        let out = match (&self.out, &self.runs) {
            (None, Some(runs)) => full(runs)?.join(self.run_name()?),
            (out, _) => full(out.as_deref().unwrap_or(Path::new(".")))?,
        };
        if let Some(id) =
            self.repository.as_ref().filter(|id| Id::parse(id).is_none_or(|known| known.repository != **id))
        {
            return Err(ReproduceError::Repository(id.clone()));
        }
        let publish = self.publish.as_deref().map(full).transpose()?;
        let publish = publish.map(|folder| PublishOptions {
            folder,
            repository: self.repository,
            license: self.license,
        });
        let run = RunLayout::new(&out);
        let Some((model, sentences)) = self.model.zip(self.sentences) else {
            return Ok(Wanted { experiment: None, run, publish });
        };
        let experiment = Experiment {
            sentences: full(&sentences)?,
            out,
            model,
            ranks: self.ranks,
            seed: self.seed,
            device: self.device,
            limits: self.quick.then_some(Limits::QUICK),
            beyond: self.beyond,
            switches: self.switches,
        };
        Ok(Wanted { experiment: Some(experiment), run, publish })
    }

    fn run_name(&self) -> Result<String, ReproduceError> {
        let of_model = |model: &String| {
            let name = Path::new(model).file_name().unwrap_or_default().to_string_lossy();
            // A hub id may end in a revision; a version in a name, as in Qwen2.5-0.5B, is no ending.
            let model = name.split('@').next().unwrap_or(&name).trim_end_matches(".gguf").to_owned();
            if self.quick { format!("{model}-quick") } else { model }
        };
        let name =
            self.run.clone().or_else(|| self.model.as_ref().map(of_model)).ok_or(ReproduceError::NoRun)?;
        if name.is_empty() || Path::new(&name).file_name() != Some(name.as_ref()) {
            return Err(ReproduceError::RunName(name));
        }
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use onejump_core::shortcut::LevelConvention;

    use super::*;

    /// What `cargo xtask reproduce` gives before the options of its user.
    fn experiment(options: &[&str]) -> Result<Experiment, String> {
        let defaults = ["onejump-reproduce", "--model", "m", "--sentences", "/text", "--runs", "/runs"];
        let args = Args::try_parse_from(defaults.iter().chain(options)).map_err(|error| error.to_string())?;
        let wanted = args.wanted().map_err(|error| error.to_string())?;
        Ok(wanted.experiment.unwrap())
    }

    #[test]
    fn a_run_is_named_after_its_model() {
        let out = |options: &[&str]| experiment(options).unwrap().out.display().to_string();
        assert_eq!(out(&[]), "/runs/m");
        assert_eq!(out(&["--model", "owner/Qwen2.5-0.5B@main", "--quick"]), "/runs/Qwen2.5-0.5B-quick");
        assert_eq!(out(&["--model", "folder/tiny.gguf"]), "/runs/tiny");
        assert_eq!(out(&["--run", "mine"]), "/runs/mine");
        assert_eq!(out(&["--out", "/elsewhere/run"]), "/elsewhere/run");
        for name in ["", "a/b", ".."] {
            assert!(experiment(&["--run", name]).unwrap_err().contains("is no name for a run"), "{name}");
        }
        assert!(experiment(&["--run", "mine", "--out", "/x"]).is_err());
    }

    #[test]
    fn the_last_value_counts_and_ranks_add_up() {
        let options =
            ["--model", "other", "--rank", "5", "--rank", "57", "--levels", "exit", "--convention", "eq5"];
        let experiment = experiment(&options).unwrap();
        assert_eq!((&*experiment.model, &experiment.ranks[..]), ("other", &[5, 57][..]));
        assert_eq!(experiment.switches.convention, LevelConvention::Eq5);
    }

    #[test]
    fn a_run_that_is_there_is_published_without_a_model() {
        let wanted = |options: &[&str]| {
            let args = Args::try_parse_from([&["onejump-reproduce"], options].concat());
            args.map_err(|error| error.to_string())?.wanted().map_err(|error| error.to_string())
        };
        // As the Python package begins every command.
        let package = ["--sentences", "/text", "--runs", "/runs", "--publish", "/hub"];
        let alone = wanted(&[&package[..], &["--run", "mine"]].concat()).unwrap();
        assert!(alone.experiment.is_none() && alone.run.root() == Path::new("/runs/mine"));
        assert_eq!(alone.publish.unwrap().folder, Path::new("/hub"));
        let both = wanted(&[&package[..], &["--model", "m", "--license", "mit"]].concat()).unwrap();
        assert_eq!(both.experiment.unwrap().out, both.run.root());
        assert_eq!(both.publish.unwrap().license.unwrap(), "mit");
        assert!(wanted(&package).err().unwrap().contains("--publish alone needs a run"));
        assert!(wanted(&["--publish", "/hub"]).is_err());
        for options in [["--quick", "--beyond"], ["--license", "mit"], ["--model", "m"]] {
            let without = wanted(&[&["--out", "/run"], &options[..]].concat());
            assert!(without.err().unwrap().contains("required"), "{options:?}");
        }
        let odd = wanted(&["--out", "/run", "--publish", "/hub", "--repository", "mine"]);
        assert!(odd.err().unwrap().contains("'mine' is no id on the hub"));
    }
}
