//! One call of a stage's binary: what it is told, what it reads, what it writes. Where and when it runs is
//! decided elsewhere.

use std::path::{Path, PathBuf};

use onejump_core::files::{self, FileError};
use onejump_core::layout::MANIFEST;

use crate::programs::Program;

/// What stands between two arguments where they are hashed; no argument has it in it.
const SEPARATOR: &str = "\u{1f}";

/// A call of a stage's binary.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Its name in the table of times, and its stamp's; no other stage of a run has it.
    pub name: String,
    pub program: Program,
    pub arguments: Vec<String>,
    /// The files whose content decides what it writes.
    inputs: Vec<PathBuf>,
    /// The files that it writes; a stage without any always runs.
    pub outputs: Vec<PathBuf>,
}

impl Stage {
    pub fn new(program: Program, name: impl Into<String>) -> Self {
        let name = name.into();
        Self { name, program, arguments: Vec::new(), inputs: Vec::new(), outputs: Vec::new() }
    }

    pub fn option(mut self, name: &str, value: impl ToString) -> Self {
        self.arguments.extend([name.to_owned(), value.to_string()]);
        self
    }

    /// An option that is given only where it has a value.
    pub fn optional(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.option(name, value),
            None => self,
        }
    }

    pub fn arguments(mut self, arguments: &[String]) -> Self {
        self.arguments.extend_from_slice(arguments);
        self
    }

    pub fn input(mut self, name: &str, file: &Path) -> Self {
        self.inputs.push(file.to_owned());
        self.option(name, file.display())
    }

    /// An option that is repeated for each file.
    pub fn inputs(self, name: &str, files: &[PathBuf]) -> Self {
        files.iter().fold(self, |stage, file| stage.input(name, file))
    }

    pub fn output(mut self, name: &str, file: &Path) -> Self {
        self.outputs.push(file.to_owned());
        self.option(name, file.display())
    }

    /// A folder of hidden states; its manifest, with the hashes of the parts, stands for it.
    pub fn hidden(mut self, folder: &Path) -> Self {
        self.inputs.push(folder.join(MANIFEST));
        self.option("--hidden", folder.display())
    }

    /// A folder, and the files that it has when the stage is done.
    pub fn output_folder(mut self, name: &str, folder: &Path, files: &[PathBuf]) -> Self {
        self.outputs.extend_from_slice(files);
        self.option(name, folder.display())
    }

    /// A hash of what determines the outputs: the program, the arguments and the content of the inputs.
    pub fn key(&self, program: &Path) -> Result<String, FileError> {
        let mut text = self.arguments.join(SEPARATOR);
        text.push_str(&files::sha256_file(program)?);
        for input in &self.inputs {
            text.push_str(&files::sha256_file(input)?);
        }
        Ok(files::sha256_bytes(text.as_bytes()))
    }
}
