//! Submitting what is missing.

use std::fmt;

use onejump_core::files;
use onejump_core::lock;
use onejump_core::shard::Shard;

use super::Slurm;
use super::jobs::{self, Jobs};
use super::script::{Script, Tasks};
use super::units::Unit;
use crate::error::ReproduceError;
use crate::experiment::Experiment;
use crate::order::check;
use crate::programs::Program;
use crate::run_toml::RunConfig;

/// What was submitted; `Display` says it in a few lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Submission {
    /// Jobs with their names, in order; of an array, the number of its tasks.
    pub jobs: Vec<(String, String, usize)>,
    /// Units that have run.
    pub done: usize,
    /// Units whose jobs run or wait already.
    pub alive: usize,
    /// The scripts, where they were only asked for.
    pub scripts: Vec<String>,
}

impl Slurm<'_> {
    /// Submits every unit that has not run and is not about to.
    ///
    /// # Errors
    /// [`ReproduceError`] if the experiment cannot run, or Slurm refuses.
    pub fn submit(&self, experiment: &Experiment) -> Result<Submission, ReproduceError> {
        self.check(experiment)?;
        check(experiment)?;
        let layout = experiment.layout();
        let folder = jobs::folder(&layout);
        let _lock = lock::file(&folder.join("jobs.json"))?;
        RunConfig::of(experiment).keep(&layout)?;
        let mut listed = jobs::read(&layout)?;
        let place = |script: &Script, text: &str| {
            let path = folder.join(format!("{}.sh", script.name));
            files::write_bytes(&path, text.as_bytes())?;
            jobs::sbatch(self.ask, &path)
        };
        self.go(experiment, &mut listed, &place, &|listed| jobs::write(&layout, listed), false)
    }

    /// The scripts of what would be submitted if no job ran or waited. Nothing is written.
    ///
    /// # Errors
    /// [`ReproduceError`] if the experiment cannot run.
    pub fn scripts(&self, experiment: &Experiment) -> Result<Submission, ReproduceError> {
        self.check(experiment)?;
        check(experiment)?;
        let place = |script: &Script, _: &str| Ok(format!("<{}>", script.name));
        self.go(experiment, &mut Jobs::new(), &place, &|_| Ok(()), true)
    }

    /// Gives each script to `place`, which returns the job's number, and the list of jobs to `keep` after each.
    fn go(
        &self,
        experiment: &Experiment,
        listed: &mut Jobs,
        place: &dyn Fn(&Script, &str) -> Result<String, ReproduceError>,
        keep: &dyn Fn(&Jobs) -> Result<(), ReproduceError>,
        dry: bool,
    ) -> Result<Submission, ReproduceError> {
        let units = self.units(experiment)?;
        let known = if dry { Default::default() } else { jobs::known(self.ask)? };
        let logs = jobs::folder(&experiment.layout());
        // For each unit the job to wait for, and whether it is a new one.
        let mut ids: Vec<Option<(String, bool)>> = Vec::with_capacity(units.len());
        let mut submission = Submission::default();
        let mut place_of = 0;
        while place_of < units.len() {
            let array = array(&units[place_of..]);
            let members = place_of..place_of + array.max(1);
            let mut missing = Vec::new();
            for place in members.clone() {
                ids.push(None);
                let unit = &units[place];
                if unit.done {
                    submission.done += 1;
                    continue;
                }
                let job = listed.get(&unit.stage.name).and_then(|id| Some((id, known.get(id)?)));
                let job = job.filter(|(_, job)| job.is_alive());
                let renewed = unit.after.iter().any(|&before| matches!(ids[before], Some((_, true))));
                match job {
                    Some((id, _)) if !renewed => {
                        submission.alive += 1;
                        ids[place] = Some((id.clone(), false));
                        continue;
                    }
                    // It waits for what failed, or for something that has changed.
                    Some((id, job)) if job.waits() => jobs::cancel(self.ask, id)?,
                    _ => {}
                }
                missing.push(place);
            }
            place_of = members.end;
            if missing.is_empty() {
                continue;
            }
            let first = &units[missing[0]];
            let shares: Vec<Shard> = missing.iter().filter_map(|&place| units[place].stage.share).collect();
            let tasks = (array > 0).then_some(Tasks { shares: &shares });
            let name = if array > 0 { base(&first.stage.name) } else { &first.stage.name };
            let before = missing.iter().flat_map(|&place| &units[place].after).copied();
            let after =
                dependencies(before.filter_map(|before| ids[before].as_ref().map(|(id, _)| id.clone())));
            let captures = first.stage.program == Program::Capture;
            let script = Script { name, tasks, after: &after, captures };
            let text = script.text(&self.options, &self.command, &self.folder, &logs);
            let id = place(&script, &text)?;
            for &place in &missing {
                let share = units[place].stage.share.filter(|_| array > 0);
                let task = share.map_or(id.clone(), |share| format!("{id}_{}", share.index));
                listed.insert(units[place].stage.name.clone(), task.clone());
                // All of an array that is new is waited for at once.
                ids[place] = Some((if missing.len() == array { id.clone() } else { task }, true));
            }
            keep(listed)?;
            submission.jobs.push((id, name.to_owned(), missing.len()));
            if dry {
                submission.scripts.push(text);
            }
        }
        Ok(submission)
    }
}

/// How many units at the beginning of a list are tasks of one array; 0 where the first is none.
fn array(units: &[Unit]) -> usize {
    let of = |unit: &Unit| unit.stage.share.map(|share| (base(&unit.stage.name).to_owned(), share.count));
    let first = units.first().and_then(of);
    units.iter().take_while(|unit| first.is_some() && of(unit) == first).count()
}

/// The name of a unit without its share.
fn base(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(base, _)| base)
}

/// Each job once, in order.
fn dependencies(ids: impl Iterator<Item = String>) -> Vec<String> {
    let mut once = Vec::new();
    for id in ids {
        if !once.contains(&id) {
            once.push(id);
        }
    }
    once
}

impl fmt::Display for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (id, name, tasks) in &self.jobs {
            let tasks = if *tasks > 1 { format!("  {tasks} tasks") } else { String::new() };
            writeln!(f, "{id:>8}  {name}{tasks}")?;
        }
        write!(f, "{} jobs submitted; ", self.jobs.len())?;
        write!(f, "{} units have run, {} run or wait already", self.done, self.alive)
    }
}
