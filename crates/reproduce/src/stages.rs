//! Stages with stamps: what has run with the same program, arguments and inputs is not run again.

use std::fmt;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use onejump_core::files::{self, FileError};
use onejump_core::observe::Observer;

use crate::error::ReproduceError;
use crate::local::Local;
use crate::stage::Stage;

/// How long each stage took, in the order in which they ran. Shown as a table.
#[derive(Debug, Clone, Default)]
pub struct Times(pub Vec<StageTime>);

/// How long a stage took.
#[derive(Debug, Clone)]
pub struct StageTime {
    /// The stage's name.
    pub stage: String,
    /// None for a stage that was not run again.
    pub seconds: Option<f64>,
}

/// Runs stages, and remembers in the run's folder which have run.
pub(crate) struct Stages<'a> {
    local: Local<'a>,
    /// The folder of the stamps, one file for each stage.
    stamps: PathBuf,
    observer: &'a dyn Observer,
    pub times: Times,
}

impl<'a> Stages<'a> {
    pub fn new(local: Local<'a>, stamps: PathBuf, observer: &'a dyn Observer) -> Self {
        Self { local, stamps, observer, times: Times::default() }
    }

    /// Runs a stage, unless it has run with these arguments and inputs and its outputs are there.
    pub fn run(&mut self, stage: &Stage) -> Result<(), ReproduceError> {
        self.observer.check()?;
        let key = stage.key(self.local.program(stage.program))?;
        let mut seconds = None;
        if !self.has_run(stage, &key) {
            let started = Instant::now();
            self.local.run(stage)?;
            self.stamp(stage, &key)?;
            seconds = Some(started.elapsed().as_secs_f64());
        }
        self.times.0.push(StageTime { stage: stage.name.clone(), seconds });
        Ok(())
    }

    /// Runs a stage, whatever has run, with what it prints in a file.
    pub fn run_into(&self, stage: &Stage, path: &Path) -> Result<(), ReproduceError> {
        let file = File::create(path).map_err(FileError::writing(path))?;
        self.local.run_into(stage, file)
    }

    /// Whether a stage would not be run again. What it reads may not be there yet, or not any more.
    pub fn is_done(&self, stage: &Stage) -> Result<bool, ReproduceError> {
        let stamp = self.stamp_of(&stage.name);
        if !stage.inputs.iter().chain(&stage.outputs).chain([&stamp]).all(|file| file.is_file()) {
            return Ok(false);
        }
        match stage.key(self.local.program(stage.program)) {
            Ok(key) => Ok(self.has_run(stage, &key)),
            Err(FileError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The same of a unit of a stage: it has run, or the stage has. Asked in this order, nothing is missed while another
    /// process joins the units' files and removes them, since it leaves the stage's stamp before.
    pub fn is_unit_done(&self, unit: &Stage, stage: &Stage) -> Result<bool, ReproduceError> {
        Ok(self.is_done(unit)? || self.is_done(stage)?)
    }

    /// Remembers that a stage has run, as its units have.
    pub fn stamp_shared(&self, stage: &Stage) -> Result<(), ReproduceError> {
        let key = stage.key(self.local.program(stage.program))?;
        self.stamp(stage, &key)
    }

    /// The stamp of a stage.
    pub fn stamp_of(&self, name: &str) -> PathBuf {
        self.stamps.join(name)
    }

    fn stamp(&self, stage: &Stage, key: &str) -> Result<(), ReproduceError> {
        Ok(files::write_bytes(&self.stamp_of(&stage.name), key.as_bytes())?)
    }

    fn has_run(&self, stage: &Stage, key: &str) -> bool {
        !stage.outputs.is_empty()
            && stage.outputs.iter().all(|output| output.is_file())
            && fs::read_to_string(self.stamp_of(&stage.name)).is_ok_and(|there| there == key)
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for StageTime { stage, seconds } in &self.0 {
            match seconds {
                Some(seconds) => writeln!(f, "{stage:<24} {seconds:>7.1} s")?,
                None => writeln!(f, "{stage:<24} unchanged")?,
            }
        }
        let total: f64 = self.0.iter().filter_map(|time| time.seconds).sum();
        write!(f, "{:<24} {total:>7.1} s", "total")
    }
}
