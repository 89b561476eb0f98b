//! The stages' binaries, and where they lie.

use std::env;
use std::path::{Path, PathBuf};

use crate::error::ReproduceError;

/// A stage's binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Sentences to hidden states.
    Capture,
    /// Hidden states to shortcuts.
    Train,
    /// Jumps to scores and the one jump.
    Score,
    /// Shortcuts to metrics and analyses.
    Evaluate,
    /// A run to its report.
    Report,
    /// Shards of hidden states to a whole.
    Store,
}

impl Program {
    /// All of them, in the order of the enum.
    pub const ALL: [Self; 6] =
        [Self::Capture, Self::Train, Self::Score, Self::Evaluate, Self::Report, Self::Store];

    /// The file's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Capture => "onejump-capture",
            Self::Train => "onejump-train",
            Self::Score => "onejump-score",
            Self::Evaluate => "onejump-evaluate",
            Self::Report => "onejump-report",
            Self::Store => "onejump-store",
        }
    }
}

/// The paths of the stages' binaries.
#[derive(Debug, Clone)]
pub struct Programs {
    /// In the order of [`Program::ALL`].
    paths: Vec<PathBuf>,
}

impl Programs {
    /// Looks for each beside the running program, then in the folders of `PATH`.
    ///
    /// # Errors
    /// [`ReproduceError::MissingProgram`] for the first that is nowhere.
    pub fn find() -> Result<Self, ReproduceError> {
        let program = env::current_exe().unwrap_or_default();
        let path = env::var_os("PATH").unwrap_or_default();
        let folders: Vec<_> = env::split_paths(&path).collect();
        Self::among(program.parent().unwrap_or(Path::new(".")), &folders)
    }

    /// Looks for each in the folder `beside`, then in the other folders.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn among(beside: &Path, folders: &[PathBuf]) -> Result<Self, ReproduceError> {
        let find = |program: Program| {
            let name = program.name();
            let mut places = [beside]
                .into_iter()
                .chain(folders.iter().map(PathBuf::as_path))
                .map(|folder| folder.join(name));
            let missing = || ReproduceError::MissingProgram { program: name, beside: beside.to_owned() };
            places.find(|path| path.is_file()).ok_or_else(missing)
        };
        Ok(Self { paths: Program::ALL.into_iter().map(find).collect::<Result<_, _>>()? })
    }

    /// The path of one.
    pub fn path(&self, program: Program) -> &Path {
        &self.paths[program as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_lies_beside_comes_first_and_what_is_missing_is_named() {
        let base = tempfile::tempdir().unwrap();
        let [beside, path] = ["beside", "path"].map(|name| base.path().join(name));
        for (folder, programs) in [(&beside, &Program::ALL[..2]), (&path, &Program::ALL[..])] {
            fs::create_dir(folder).unwrap();
            for program in programs {
                fs::write(folder.join(program.name()), "").unwrap();
            }
        }
        let programs = Programs::among(&beside, std::slice::from_ref(&path)).unwrap();
        assert_eq!(programs.path(Program::Train), beside.join("onejump-train"));
        assert_eq!(programs.path(Program::Report), path.join("onejump-report"));
        let error = Programs::among(&beside, &[]).unwrap_err().to_string();
        assert!(error.starts_with("onejump-score is neither beside ") && !error.contains('\n'), "{error}");
    }
}
