//! Where the files of a run lie, and what the columns and tensors in them are called.

use std::path::{Path, PathBuf};

/// The name of the manifest in a folder of hidden states.
pub const MANIFEST: &str = "manifest.json";

/// The two sets of sentences: trained on, evaluated on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Fits the shortcuts and chooses the one jump.
    Train,
    /// Everything that is reported.
    Test,
}

impl Split {
    /// The folder's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

/// The folder of one run, `data/runs/NAME`.
#[derive(Debug, Clone)]
pub struct RunLayout {
    root: PathBuf,
}

impl RunLayout {
    /// The layout below `root`; nothing is read or made.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The run's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `run.toml`: the resolved experiment.
    pub fn config(&self) -> PathBuf {
        self.root.join("run.toml")
    }

    /// `hidden/train` or `hidden/test`.
    pub fn hidden(&self, split: Split) -> PathBuf {
        self.root.join("hidden").join(split.name())
    }

    /// `shortcuts/STEM.safetensors`; see [`crate::shortcut::file_stem`].
    pub fn shortcuts(&self, stem: &str) -> PathBuf {
        self.root.join("shortcuts").join(format!("{stem}.safetensors"))
    }

    /// `scores.parquet`, or `scores-adam.parquet` for the suffix `-adam`.
    pub fn scores(&self, suffix: &str) -> PathBuf {
        self.root.join(format!("scores{suffix}.parquet"))
    }

    /// `ojfa.safetensors`, or `ojfa-r57.safetensors` for the suffix `-r57`.
    pub fn ojfa(&self, suffix: &str) -> PathBuf {
        self.root.join(format!("ojfa{suffix}.safetensors"))
    }

    /// The folder that `onejump-evaluate` writes.
    pub fn results(&self) -> PathBuf {
        self.root.join("results")
    }

    /// `results/per_level.parquet`.
    pub fn per_level(&self) -> PathBuf {
        self.results().join("per_level.parquet")
    }

    /// `results/summary.json`.
    pub fn summary(&self) -> PathBuf {
        self.results().join("summary.json")
    }

    /// The folder of the figures.
    pub fn figures(&self) -> PathBuf {
        self.root.join("figures")
    }

    /// `report.html`.
    pub fn report(&self) -> PathBuf {
        self.root.join("report.html")
    }
}

/// The Parquet column of a level: `level_00`, `level_07`, `level_123`.
pub fn level_column(level: usize) -> String {
    format!("level_{level:02}")
}

/// The level that a Parquet column holds, if it is a level's column.
pub fn column_level(column: &str) -> Option<usize> {
    let digits = column.strip_prefix("level_")?;
    let level = digits.parse().ok()?;
    (level_column(level) == column).then_some(level)
}

/// The file name of a part: `part-00012.parquet`.
pub fn part_file(part: usize) -> String {
    format!("part-{part:05}.parquet")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_column_names_its_level_and_only_that() {
        for level in [0, 7, 30, 99, 100, 126] {
            assert_eq!(column_level(&level_column(level)), Some(level));
        }
        for other in ["level_7", "level_007", "level_", "level_x", "sentence"] {
            assert_eq!(column_level(other), None, "{other}");
        }
    }
}
