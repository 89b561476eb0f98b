//! What the stages of an experiment share: the run, and the states that are captured for it.

use std::path::{Path, PathBuf};

use onejump_core::layout::{MANIFEST, RunLayout, Split};

use crate::experiment::Experiment;
use crate::programs::Program;
use crate::stage::Stage;
use crate::switches::Switches;

/// An experiment with states.
pub(crate) struct Run<'a> {
    pub experiment: &'a Experiment,
    pub layout: &'a RunLayout,
    pub hidden_size: usize,
    /// Training samples.
    pub samples: usize,
}

impl Run<'_> {
    /// The folder of the states that everything is trained on.
    pub fn hidden(&self) -> PathBuf {
        self.layout.hidden(Split::Train)
    }
}

/// Hidden states of the sentences of a split.
pub(crate) struct States<'a> {
    pub split: Split,
    /// Seed of the positions.
    pub seed: u64,
    pub switches: &'a Switches,
}

impl States<'_> {
    /// The stage that captures them into a folder.
    pub fn capture(&self, experiment: &Experiment, out: &Path) -> Stage {
        let name = out.file_name().unwrap_or_default().to_string_lossy();
        Stage::new(Program::Capture, format!("capture-{name}"))
            .option("--model", &experiment.model)
            .option("--seed", self.seed)
            .option("--device", &experiment.device)
            .input("--sentences", &experiment.sentences_of(self.split))
            .output_folder("--out", out, &[out.join(MANIFEST)])
            .arguments(&self.switches.capture())
            .optional("--limit", experiment.limit(self.split))
    }
}
