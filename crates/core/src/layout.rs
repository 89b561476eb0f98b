//! Where the files of a run lie, and what the columns and tensors in them are called.

use std::path::{Path, PathBuf};

use crate::set_name::SetName;
use crate::shortcut::ShortcutKind;

/// The name of the manifest in a folder of hidden states.
pub const MANIFEST: &str = "manifest.json";

/// The file of an evaluation's sums in the folder of a share of it.
pub const EVALUATION_SHARE: &str = "evaluation.safetensors";

/// The file with the model's own predictions of the training samples, in the folder of an evaluation or of a share of it.
pub const TRAIN_TRUTH: &str = "truth-train.parquet";

/// The two sets of sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// The sentences that shortcuts are trained on, and the one jump is chosen with.
    Train,
    /// The sentences that everything in the report is measured on.
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
    /// The layout of the run in `root`. No file is read or written.
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

    /// `shortcuts/n-njtc.safetensors`, `shortcuts/joint-adam-r57.safetensors`.
    pub fn shortcuts(&self, name: &SetName) -> PathBuf {
        self.shortcuts_folder().join(name.file())
    }

    /// `shortcuts/`.
    pub fn shortcuts_folder(&self) -> PathBuf {
        self.root.join("shortcuts")
    }

    /// `scores.parquet`, or `scores-adam.parquet` for the jumps `n-njtc-adam`.
    pub fn scores(&self, jumps: &SetName) -> PathBuf {
        self.root.join(format!("scores{}.parquet", jumps.suffix()))
    }

    /// `ojfa.safetensors`, or `ojfa-r57.safetensors` for the one that was chosen from `n-njtc-r57`.
    pub fn ojfa(&self, jumps: &SetName) -> PathBuf {
        self.root.join(jumps.of_kind(ShortcutKind::Ojfa).file())
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

    /// `results/drafting.json`: what `onejump-generate tune` measured.
    pub fn drafting(&self) -> PathBuf {
        self.results().join("drafting.json")
    }

    /// The folder of the figures.
    pub fn figures(&self) -> PathBuf {
        self.root.join("figures")
    }

    /// `tables.tex` or `tables.md`: the report's tables for a paper.
    pub fn tables(&self, ending: &str) -> PathBuf {
        self.root.join(format!("tables.{ending}"))
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

/// The file name of a part: `part-00012.parquet`.
pub fn part_file(part: usize) -> String {
    format!("part-{part:05}.parquet")
}

/// The number of the part whose file has this name.
pub fn part_number(file: &str) -> Option<usize> {
    let part = file.strip_prefix("part-")?.strip_suffix(".parquet")?.parse().ok()?;
    (part_file(part) == file).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names that scripts rely on.
    #[test]
    fn names_are_pinned() {
        assert_eq!([0, 7, 30, 126].map(level_column), ["level_00", "level_07", "level_30", "level_126"]);
        assert_eq!(part_file(12), "part-00012.parquet");
        assert_eq!(["part-00012.parquet", "part-100000.parquet"].map(part_number), [Some(12), Some(100_000)]);
        assert_eq!(["part-12.parquet", "part-+0012.parquet", "part-.parquet"].map(part_number), [None; 3]);
        let run = RunLayout::new("run");
        assert_eq!(run.hidden(Split::Train), Path::new("run/hidden/train"));
        assert_eq!(
            run.shortcuts(&"n-njtc-adam-r57".parse().unwrap()),
            Path::new("run/shortcuts/n-njtc-adam-r57.safetensors")
        );
        assert_eq!(run.ojfa(&"n-njtc-r57".parse().unwrap()), Path::new("run/ojfa-r57.safetensors"));
        assert_eq!(run.tables("tex"), Path::new("run/tables.tex"));
        assert_eq!(run.scores(&SetName::plain(ShortcutKind::NNjtc)), Path::new("run/scores.parquet"));
    }
}
