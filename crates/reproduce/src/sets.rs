//! The files of shortcuts that lie in a run's folder, also those that were put there by hand.

use std::fs;
use std::path::{Path, PathBuf};

use onejump_core::files::FileError;
use onejump_core::layout::RunLayout;
use onejump_core::set_name::SetName;
use onejump_core::shortcut::{ShortcutKind, Solver};

/// A file of shortcuts.
#[derive(Debug, Clone)]
pub(crate) struct SetFile {
    pub path: PathBuf,
    /// What its name says it holds; none for a name that is not ours.
    name: Option<SetName>,
}

impl SetFile {
    pub fn is(&self, kind: ShortcutKind) -> bool {
        self.name.is_some_and(|name| name.kind == kind)
    }

    pub fn is_adam(&self) -> bool {
        self.name.is_some_and(|name| name.solver == Solver::Adam)
    }
}

/// The shortcuts in the run's `shortcuts` folder, by name.
pub(crate) fn trained(layout: &RunLayout) -> Result<Vec<SetFile>, FileError> {
    safetensors(&layout.shortcuts_folder())
}

/// The chosen jumps in the run's folder, by name.
pub(crate) fn chosen(layout: &RunLayout) -> Result<Vec<SetFile>, FileError> {
    let mut files = safetensors(layout.root())?;
    files.retain(|file| file.is(ShortcutKind::Ojfa));
    Ok(files)
}

/// The n-njtc in closed form, one for each of the run's ranks.
pub(crate) fn jumps(layout: &RunLayout) -> Result<Vec<SetFile>, FileError> {
    let mut files = trained(layout)?;
    files.retain(|file| file.is(ShortcutKind::NNjtc) && !file.is_adam());
    Ok(files)
}

/// The ranks that the run has an n-njtc of.
pub(crate) fn ranks(layout: &RunLayout, hidden_size: usize) -> Result<Vec<usize>, FileError> {
    let names = jumps(layout)?.into_iter().filter_map(|file| file.name);
    Ok(names.map(|name| name.rank(hidden_size)).collect())
}

pub(crate) fn paths<'a>(files: impl IntoIterator<Item = &'a SetFile>) -> Vec<PathBuf> {
    files.into_iter().map(|file| file.path.clone()).collect()
}

fn safetensors(folder: &Path) -> Result<Vec<SetFile>, FileError> {
    let entries = fs::read_dir(folder).map_err(FileError::reading(folder))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(FileError::reading(folder))?.path();
        if path.extension().is_some_and(|ending| ending == "safetensors") {
            files.push(SetFile { name: SetName::of_file(&path), path });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ours_are_read_and_others_take_part() {
        let folder = tempfile::tempdir().unwrap();
        let layout = RunLayout::new(folder.path());
        fs::create_dir(layout.shortcuts_folder()).unwrap();
        for file in [
            "ojfa-adam.safetensors",
            "ojfa.safetensors",
            "other.safetensors",
            "shortcuts/joint-norms.safetensors",
            "shortcuts/my lens.safetensors",
            "shortcuts/n-njtc-adam.safetensors",
            "shortcuts/n-njtc-r57.safetensors",
            "shortcuts/n-njtc.safetensors",
            "shortcuts/njtc.safetensors",
            "shortcuts/notes.txt",
        ] {
            fs::write(folder.path().join(file), "").unwrap();
        }
        let stems = |files: Vec<SetFile>| {
            let stem = |file: &SetFile| file.path.file_stem().unwrap().to_str().unwrap().to_owned();
            files.iter().map(stem).collect::<Vec<_>>()
        };
        let all = ["joint-norms", "my lens", "n-njtc-adam", "n-njtc-r57", "n-njtc", "njtc"];
        assert_eq!(stems(trained(&layout).unwrap()), all);
        assert_eq!(stems(chosen(&layout).unwrap()), ["ojfa-adam", "ojfa"]);
        assert_eq!(stems(jumps(&layout).unwrap()), ["n-njtc-r57", "n-njtc"]);
        assert_eq!(ranks(&layout, 576).unwrap(), [57, 5]);
    }
}
