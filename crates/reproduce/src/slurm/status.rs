//! What has run, what runs, what waits, what failed.

use std::fmt;

use super::Slurm;
use super::jobs::{self, Job};
use crate::error::ReproduceError;
use crate::experiment::Experiment;

/// Where the units of a run stand. Shown as a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status(pub Vec<UnitStatus>);

/// Where a unit stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitStatus {
    /// The unit's name.
    pub unit: String,
    /// `done`, `running`, `waiting`, `failed`, or `missing` where no job was submitted.
    pub state: &'static str,
    /// Its last job, if there is one.
    pub job: String,
    /// Where it runs, why it waits, or where its log lies.
    pub more: String,
}

impl Slurm<'_> {
    /// Where each unit stands.
    ///
    /// # Errors
    /// [`ReproduceError`] if the run's files cannot be read, or Slurm does not answer.
    pub fn status(&self, experiment: &Experiment) -> Result<Status, ReproduceError> {
        let layout = experiment.layout();
        let (listed, known) = (jobs::read(&layout)?, jobs::known(self.ask)?);
        let log = |unit: &str| jobs::folder(&layout).join(format!("{unit}.log")).display().to_string();
        let units = self.units(experiment)?;
        // The last unit leaves no stamp: it has run where its job has, and everything before it.
        let all_done = units.iter().rev().skip(1).all(|unit| unit.done);
        let status = |(place, unit): (usize, &super::units::Unit)| {
            let name = unit.stage.name.clone();
            let id = listed.get(&name);
            let job = id.and_then(|id| known.get(id));
            let is_last = place + 1 == units.len();
            let (state, more) = match job {
                _ if unit.done => ("done", String::new()),
                Some(Job { reason, .. }) if job.is_some_and(Job::waits) => ("waiting", reason.clone()),
                Some(job) if job.is_alive() => ("running", job.nodes.clone()),
                Some(job) if is_last && all_done && job.state == "COMPLETED" => ("done", String::new()),
                // Slurm forgets jobs after a while.
                None if is_last && id.is_some() && all_done && layout.report().is_file() => {
                    ("done", String::new())
                }
                Some(job) => ("failed", format!("{}, {}", job.state, log(&name))),
                None if id.is_some() => ("failed", log(&name)),
                None => ("missing", String::new()),
            };
            UnitStatus { unit: name, state, job: id.cloned().unwrap_or_default(), more }
        };
        Ok(Status(units.iter().enumerate().map(status).collect()))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for UnitStatus { unit, state, job, more } in &self.0 {
            let line = format!("{unit:<40} {state:<8} {job:>10}  {more}");
            writeln!(f, "{}", line.trim_end())?;
        }
        let count = |state| self.0.iter().filter(|unit| unit.state == state).count();
        let counts = ["done", "running", "waiting", "failed", "missing"]
            .map(|state| format!("{} {state}", count(state)));
        write!(f, "{}", counts.join(", "))
    }
}
