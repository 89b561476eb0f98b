//! What the stages of an experiment share: the run, and the states that are captured for it.

use std::path::{Path, PathBuf};

use onejump_core::layout::{MANIFEST, RunLayout, Split};
use onejump_core::shard::Shard;
use onejump_core::shortcut::ShortcutKind;

use crate::experiment::Experiment;
use crate::programs::Program;
use crate::stage::Stage;
use crate::switches::Switches;

/// Kinds of our own, one map for all levels, fitted to what the model's head reads.
pub(crate) const ON_THE_HEAD: [ShortcutKind; 2] = [ShortcutKind::OneJump, ShortcutKind::Residual];

/// An experiment with states.
pub(crate) struct Run<'a> {
    pub experiment: &'a Experiment,
    pub layout: &'a RunLayout,
    pub hidden_size: usize,
    /// Training samples.
    pub samples: usize,
    /// The file of sums over the training samples that is trained from; none where their states are.
    pub sums: Option<PathBuf>,
}

/// H, from the plan of a capture as JSON.
pub(crate) fn planned_hidden_size(plan: &str) -> Option<usize> {
    let plan: serde_json::Value = serde_json::from_str(plan).ok()?;
    plan["hidden_size"].as_u64().and_then(|size| usize::try_from(size).ok()).filter(|&size| size > 0)
}

impl Run<'_> {
    /// The folder of the states that everything is trained on.
    pub fn hidden(&self) -> PathBuf {
        self.layout.hidden(Split::Train)
    }

    /// Tells a stage what it trains from.
    pub fn trained_from(&self, mut stage: Stage) -> Stage {
        match &self.sums {
            None => stage.hidden(&self.hidden()),
            Some(sums) => {
                stage.inputs.push(sums.clone());
                stage.option("--moments", self.hidden().display())
            }
        }
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

    /// The same stage in so many shards, each in a folder in `out`, and what joins them.
    pub fn capture_in_shards(&self, experiment: &Experiment, out: &Path, count: usize) -> Stage {
        let whole = self.capture(experiment, out);
        if count < 2 {
            return whole;
        }
        let shards = || (0..count).map(|index| Shard { index, count });
        let manifest = |shard: Shard| out.join(shard.folder()).join(MANIFEST);
        let capture = |shard: Shard| {
            let mut unit = whole.clone().option("--shard", shard).share(shard);
            unit.outputs = vec![manifest(shard)];
            unit
        };
        let mut merge = whole.unit(Program::Store, "merge");
        let folders = shards().map(|shard| out.join(shard.folder()).display().to_string());
        merge.arguments =
            ["merge".to_owned(), out.display().to_string()].into_iter().chain(folders).collect();
        merge.inputs = shards().map(manifest).collect();
        merge.outputs = whole.outputs.clone();
        let units = shards().map(capture).chain([merge]).collect();
        whole.in_units(units)
    }
}
