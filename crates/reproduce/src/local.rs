//! Stages on this machine, one at a time.

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::process::Command;

use crate::error::ReproduceError;
use crate::programs::{Program, Programs};
use crate::stage::Stage;

/// Runs a program to its end; an error if it fails or cannot start.
pub type RunCommand<'a> = dyn Fn(&mut Command) -> Result<(), Box<dyn Error + Send + Sync>> + 'a;

/// Runs stages on this machine, each to its end.
pub struct Local<'a> {
    /// The stages' binaries.
    pub programs: Programs,
    /// How a program is run: with its output on the terminal, passing signals on, or otherwise.
    pub run: &'a RunCommand<'a>,
}

impl Local<'_> {
    /// The binary that a stage runs; its content is part of what determines the outputs.
    pub(crate) fn program(&self, program: Program) -> &Path {
        self.programs.path(program)
    }

    pub(crate) fn run(&self, stage: &Stage) -> Result<(), ReproduceError> {
        let mut command = Command::new(self.program(stage.program));
        (self.run)(command.args(&stage.arguments)).map_err(ReproduceError::Stage)
    }

    /// The same with its standard output in a file.
    pub(crate) fn run_into(&self, stage: &Stage, output: File) -> Result<(), ReproduceError> {
        let mut command = Command::new(self.program(stage.program));
        (self.run)(command.args(&stage.arguments).stdout(output)).map_err(ReproduceError::Stage)
    }
}
