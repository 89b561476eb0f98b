//! `run.toml`: what determines the states and the shortcuts of a run.

use std::fs;

use onejump_core::files::{self, FileError};
use onejump_core::layout::{MANIFEST, RunLayout, Split};
use onejump_core::shard::Shard;
use serde::{Deserialize, Serialize};

use crate::error::ReproduceError;
use crate::experiment::Experiment;
use crate::switches::Switches;

/// The content of the file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunConfig {
    pub model: String,
    /// The name of the folder of the sentences.
    pub sentences: String,
    train_sentences: Option<usize>,
    test_sentences: Option<usize>,
    seed: u64,
    onejump: String,
    #[serde(default)]
    switches: Switches,
}

impl RunConfig {
    pub fn of(experiment: &Experiment) -> Self {
        Self {
            model: experiment.model.clone(),
            sentences: experiment.sentences.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            train_sentences: experiment.limit(Split::Train),
            test_sentences: experiment.limit(Split::Test),
            seed: experiment.seed,
            onejump: env!("CARGO_PKG_VERSION").to_owned(),
            switches: experiment.switches.clone(),
        }
    }

    /// Writes the file. A run that has states keeps its experiment: other settings need another folder.
    pub fn keep(&self, layout: &RunLayout) -> Result<(), ReproduceError> {
        if self.is_kept(layout)? {
            return Ok(());
        }
        let path = layout.config();
        let text = toml::to_string(self).map_err(|error| FileError::Content {
            path: path.clone(),
            reason: format!("cannot be written as TOML: {error}"),
        })?;
        Ok(files::write_bytes(&path, text.as_bytes())?)
    }

    /// Reads a run's.
    pub fn read(layout: &RunLayout) -> Result<Self, FileError> {
        let path = layout.config();
        let text = fs::read_to_string(&path).map_err(FileError::reading(&path))?;
        toml::from_str(&text)
            .map_err(|error| FileError::Content { path, reason: format!("is not a run's: {error}") })
    }

    /// Whether the run's folder has states of this experiment already.
    ///
    /// # Errors
    /// [`ReproduceError::OtherExperiment`] if it has states of another one.
    pub fn is_kept(&self, layout: &RunLayout) -> Result<bool, ReproduceError> {
        let hidden = layout.hidden(Split::Train);
        // The states, or sums or a shard of them.
        let is_begun = hidden.join(MANIFEST).is_file()
            || fs::read_dir(&hidden).is_ok_and(|mut files| {
                files.any(|file| {
                    file.is_ok_and(|file| {
                        let name = file.file_name();
                        let name = name.to_string_lossy();
                        name.starts_with("moments") || Shard::of_folder(&name).is_some()
                    })
                })
            });
        if !layout.config().is_file() || !is_begun {
            return Ok(false);
        }
        if Self::read(layout)? != *self {
            return Err(ReproduceError::OtherExperiment { folder: layout.root().to_owned() });
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use onejump_core::shortcut::LevelConvention;

    use super::*;

    /// As written by the first version, when `--convention` was called `--levels`.
    const PINNED: &str = r#"model = "smollm2-135m"
sentences = "wikipedia"
train_sentences = 900
test_sentences = 300
seed = 0
onejump = "0.1.0"

[switches]
dtype = "f32"
store-dtype = "f32"
bos = "auto"
no-position-0 = false
target = "pre-norm"
levels = "eq5"
epochs = 3
"#;

    fn experiment() -> Experiment {
        let switches = Switches { convention: LevelConvention::Eq5, epochs: Some(3), ..Switches::default() };
        let limits = Some(crate::Limits::QUICK);
        Experiment { limits, switches, ..Experiment::new("smollm2-135m", "data/wikipedia", "run") }
    }

    #[test]
    fn the_file_is_pinned() {
        let text = toml::to_string(&RunConfig::of(&experiment())).unwrap();
        assert_eq!(text, PINNED.replace("0.1.0", env!("CARGO_PKG_VERSION")));
        assert_eq!(toml::from_str::<RunConfig>(&text).unwrap(), RunConfig::of(&experiment()));
    }

    #[test]
    fn a_run_with_states_keeps_its_experiment() {
        let folder = tempfile::tempdir().unwrap();
        let (layout, config) = (RunLayout::new(folder.path()), RunConfig::of(&experiment()));
        config.keep(&layout).unwrap();
        let other = RunConfig::of(&Experiment { seed: 7, ..experiment() });
        other.keep(&layout).unwrap();
        files::write_bytes(&layout.hidden(Split::Train).join(MANIFEST), b"{}").unwrap();
        assert!(other.is_kept(&layout).unwrap());
        let error = config.keep(&layout).unwrap_err();
        assert!(matches!(error, ReproduceError::OtherExperiment { .. }), "{error}");
        fs::write(layout.config(), "model = ").unwrap();
        assert!(config.keep(&layout).unwrap_err().to_string().contains("is not a run's"));
    }
}
