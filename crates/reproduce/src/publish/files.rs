//! Which of a run's files are published: the sets that its evaluation has measured.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use onejump_core::files::{self, FileError};
use onejump_core::layout::RunLayout;
use onejump_core::published::PublishedFile;
use onejump_core::results::{Average, MethodName, Summary};
use onejump_core::set_name::SetName;
use onejump_core::shortcut::ShortcutKind;

use crate::error::ReproduceError;

/// The figure in the published folder.
const FIGURE: &str = "figure.svg";

/// A set of shortcuts to publish.
pub(super) struct Set {
    /// What the run calls it.
    pub name: SetName,
    /// Where it lies in the run.
    path: PathBuf,
    /// Its name in the published folder, where ranks are always named.
    pub file: String,
    /// What the evaluation found.
    pub average: Average,
}

/// All of them.
pub(super) struct Sets {
    pub all: Vec<Set>,
    /// The one map for all levels that has the highest precision.
    pub default: Default,
}

/// What is meant where no file is named.
pub(super) struct Default {
    pub name: SetName,
    pub file: String,
    pub average: Average,
}

impl Sets {
    /// The sets of our own kinds that the evaluation measured; files of peers stay with their publishers.
    pub fn of(run: &RunLayout, summary: &Summary) -> Result<Self, ReproduceError> {
        let sets = summary.averages.iter().filter_map(|average| Set::of(run, summary.hidden_size, average));
        let all: Vec<Set> = sets.filter(|set| set.path.is_file()).collect();
        let precision = |set: &&Set| set.average.all.precision_1;
        let by_precision = |a: &&Set, b: &&Set| precision(a).total_cmp(&precision(b));
        let one = all.iter().filter(|set| !set.name.kind.per_level()).max_by(by_precision);
        let Some(best) = one.or_else(|| all.iter().max_by(by_precision)) else {
            return Err(ReproduceError::NothingToPublish { folder: run.root().to_owned() });
        };
        let default = Default { name: best.name, file: best.file.clone(), average: best.average.clone() };
        Ok(Self { all, default })
    }

    /// Copies them into a folder.
    pub fn copy(&self, folder: &Path) -> Result<Vec<PublishedFile>, FileError> {
        self.all.iter().map(|set| set.copy(folder)).collect()
    }

    /// Copies Figure 4 of the default's setting, else the first there is; returns its name in the folder.
    pub fn copy_figure(&self, run: &RunLayout, folder: &Path) -> Result<Option<&'static str>, FileError> {
        let own = run.figures().join(format!("figure-4{}.svg", self.default.name.suffix()));
        let any = || {
            let files = fs::read_dir(run.figures()).into_iter().flatten().flatten().map(|entry| entry.path());
            let fourth = |path: &PathBuf| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with("figure-4") && name.ends_with(".svg")
            };
            files.filter(fourth).min()
        };
        let Some(figure) = Some(own).filter(|path| path.is_file()).or_else(any) else { return Ok(None) };
        copy(&figure, &folder.join(FIGURE))?;
        Ok(Some(FIGURE))
    }

    /// The published file of a row of the evaluation.
    pub fn file_of(&self, average: &Average) -> Option<&str> {
        self.all.iter().find(|set| set.average.method == average.method).map(|set| set.file.as_str())
    }
}

impl Set {
    fn of(run: &RunLayout, hidden_size: usize, average: &Average) -> Option<Self> {
        let method = &average.method;
        let MethodName::Kind(kind) = method.name else { return None };
        let ours = ShortcutKind::TRAINED.contains(&kind) || kind == ShortcutKind::Ojfa;
        let solver = method.solver.filter(|_| ours)?;
        let name = SetName::new(kind, solver, method.rank.unwrap_or(0), hidden_size);
        let path = if kind == ShortcutKind::Ojfa { run.ojfa(&name) } else { run.shortcuts(&name) };
        // In a folder of its own a file says its rank: ⌊H/100⌋ is nobody's default there.
        let file = SetName { rank: method.rank, ..name }.file();
        Some(Self { name, path, file, average: average.clone() })
    }

    fn copy(&self, folder: &Path) -> Result<PublishedFile, FileError> {
        let to = folder.join(&self.file);
        copy(&self.path, &to)?;
        let method = &self.average.method;
        Ok(PublishedFile {
            sha256: files::sha256_file(&to)?,
            file: self.file.clone(),
            kind: self.name.kind,
            solver: self.name.solver,
            rank: method.rank,
            jump: method.jump,
            parameters: method.parameters,
        })
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), FileError> {
    let mut file = File::open(from).map_err(FileError::reading(from))?;
    files::write_with(to, |writer| io::copy(&mut file, writer).map(drop).map_err(FileError::writing(to)))
}
