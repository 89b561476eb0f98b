//! Sets of shortcuts that are trained for a comparison, outside the run's `shortcuts` folder.

use std::path::{Path, PathBuf};

use crate::programs::Program;
use crate::stage::Stage;

/// A set in a folder of the run; what is chosen from it lies beside it.
pub(crate) struct Aside<'a> {
    pub folder: &'a Path,
    /// The name of the set's file, without the ending.
    pub stem: String,
}

/// The files of such sets, for the averages.
#[derive(Default)]
pub(crate) struct AsideFiles {
    pub shortcuts: Vec<PathBuf>,
    pub chosen: Vec<PathBuf>,
}

impl Aside<'_> {
    pub fn shortcuts(&self) -> PathBuf {
        self.beside(".safetensors")
    }

    /// The one jump that is chosen from the set.
    pub fn chosen(&self) -> PathBuf {
        self.beside("-ojfa.safetensors")
    }

    fn beside(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}{ending}", self.stem))
    }

    /// The stage that chooses, on the states that the set was trained on.
    pub fn score(&self, name: String, hidden: &Path, arguments: &[String]) -> Stage {
        Stage::new(Program::Score, name)
            .arguments(arguments)
            .hidden(hidden)
            .input("--shortcuts", &self.shortcuts())
            .output("--out", &self.beside("-scores.parquet"))
            .output("--ojfa", &self.chosen())
    }
}
