//! One call of a stage's binary: what it is told, what it reads, what it writes. Where and when it runs is
//! decided elsewhere.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::slice;

use onejump_core::files::{self, FileError};
use onejump_core::layout::MANIFEST;
use onejump_core::shard::Shard;

use crate::programs::Program;

/// What stands between two arguments where they are hashed; no argument has it in it.
const SEPARATOR: &str = "\u{1f}";

/// A call of a stage's binary.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    /// Its name in the table of times, and its stamp's; no other stage of a run has it.
    pub name: String,
    pub program: Program,
    pub arguments: Vec<String>,
    /// The files whose content decides what it writes.
    pub inputs: Vec<PathBuf>,
    /// The files that it writes; a stage without any always runs.
    pub outputs: Vec<PathBuf>,
    /// Calls that together write the same outputs, for several machines at the same time; none where the stage is not
    /// shared out.
    units: Vec<Self>,
    /// Of a unit that does an equal share of its stage: which.
    pub share: Option<Shard>,
}

impl Stage {
    pub fn new(program: Program, name: impl Into<String>) -> Self {
        let name = name.into();
        let (arguments, inputs, outputs, units) = Default::default();
        Self { name, program, arguments, inputs, outputs, units, share: None }
    }

    /// The same stage, shared out.
    pub fn in_units(self, units: Vec<Self>) -> Self {
        Self { units, ..self }
    }

    /// A unit of this stage, named after it.
    pub fn unit(&self, program: Program, name: impl Display) -> Self {
        Self::new(program, format!("{}.{name}", self.name))
    }

    /// The same stage as a unit of itself that does a share of its work.
    pub fn share(mut self, share: Shard) -> Self {
        self.name = format!("{}.{}-of-{}", self.name, share.index, share.count);
        Self { share: Some(share), ..self }
    }

    /// The calls that do the stage's work on several machines: its units, or itself.
    pub fn work(&self) -> &[Self] {
        if self.units.is_empty() { slice::from_ref(self) } else { &self.units }
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
