//! The units of an experiment, and which waits for which.

use std::process::Command;

use onejump_core::layout::{MANIFEST, Split};
use onejump_core::manifest::HiddenManifest;

use super::{Slurm, jobs};
use crate::error::ReproduceError;
use crate::experiment::Experiment;
use crate::local::Local;
use crate::order::{STAMPS, captures};
use crate::programs::Program;
use crate::run::{Run, planned_hidden_size};
use crate::single::LAST;
use crate::stage::Stage;
use crate::stages::Stages;
use onejump_core::observe::Silent;

/// A unit, as far as jobs are concerned.
pub(super) struct Unit {
    pub stage: Stage,
    /// Whether it has run, as its stage has.
    pub done: bool,
    /// The units that write what it reads, by their place in the list.
    pub after: Vec<usize>,
}

impl Slurm<'_> {
    /// All units in an order in which they can run; the last one does whatever is left, and the report.
    pub(super) fn units(&self, experiment: &Experiment) -> Result<Vec<Unit>, ReproduceError> {
        let layout = experiment.layout();
        let never = |_: &mut Command| Ok(());
        let local = Local { programs: self.programs.clone(), run: &never };
        let stamps = Stages::new(local, layout.root().join(STAMPS), &Silent);
        let mut stages = captures(experiment, self.options.shards.get()).to_vec();
        let hidden_size = self.hidden_size(experiment)?;
        stages.extend(
            Run { experiment, layout: &layout, hidden_size, samples: 0, sums: None }
                .after_capture(self.options.shards.get()),
        );
        let mut units: Vec<Unit> = Vec::new();
        for stage in &stages {
            for unit in stage.work() {
                let writes =
                    |other: &Unit| other.stage.outputs.iter().any(|output| unit.inputs.contains(output));
                let after = (0..units.len()).filter(|&place| writes(&units[place])).collect();
                let done = stamps.is_unit_done(unit, stage)?;
                units.push(Unit { stage: unit.clone(), done, after });
            }
        }
        // What has run with other inputs than those that are about to be written runs again.
        for place in 0..units.len() {
            let stale = units[place].after.iter().any(|&before| !units[before].done);
            units[place].done &= !stale;
        }
        // What goes beyond these units is done by the last one, which then always runs.
        let report = layout.report().is_file() && stamps.stamp_of(LAST).is_file();
        let done = !self.more && report && units.iter().all(|unit| unit.done);
        let after = (0..units.len()).collect();
        units.push(Unit { stage: Stage::new(Program::Report, LAST), done, after });
        Ok(units)
    }

    /// H, from states that are there or from the model's configuration.
    fn hidden_size(&self, experiment: &Experiment) -> Result<usize, ReproduceError> {
        let hidden = experiment.layout().hidden(Split::Train);
        if hidden.join(MANIFEST).is_file() {
            return Ok(HiddenManifest::read(&hidden)?.inputs.hidden_size);
        }
        // Where commands are given there is often no GPU, but a network: what the model needs is brought here.
        let program = self.programs.path(Program::Capture);
        let mut command = Command::new(program);
        command.args(["--dry-run=json", "--limit", "1", "--device", "cpu", "--model", &experiment.model]);
        command.arg("--sentences").arg(experiment.sentences_of(Split::Train)).arg("--out").arg(&hidden);
        let said = jobs::asked(self.ask, &mut command)?;
        planned_hidden_size(&said).ok_or_else(|| ReproduceError::Said {
            command: program.display().to_string(),
            said: said.trim().to_owned(),
            expected: "a plan with its hidden_size",
        })
    }
}
