//! How a published folder appears: whole where it was not there, file by file where it was.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use onejump_core::files::{FileError, read_json};
use onejump_core::layout::RunLayout;
use onejump_core::lock::{self, Lock};
use onejump_core::published::{CONFIG, Published};
use tempfile::TempDir;

use crate::error::ReproduceError;

/// What follows the folder's name in that of one that is not whole yet.
const UNFINISHED: &str = ".unfinished-";

/// A folder that is not whole yet, beside its place or in it.
pub(super) struct Staging {
    /// Goes at the end, with what is left in it.
    _around: TempDir,
    /// Made as the umask has it, which a temporary folder is not.
    made: PathBuf,
    target: PathBuf,
    /// What was published there before.
    before: BTreeSet<String>,
    /// Keeps a second publication out.
    _lock: Lock,
}

impl Staging {
    /// Begins one for a folder that is not there, is empty of configurations, or was published before.
    pub fn begin(target: &Path) -> Result<Self, ReproduceError> {
        let occupied = |reason| ReproduceError::Occupied { folder: target.to_owned(), reason };
        let config = target.join(CONFIG);
        if RunLayout::new(target).config().is_file() {
            return Err(occupied("is a run's folder"));
        }
        if !config.is_file() {
            return Self::new(target, BTreeSet::new());
        }
        let before: Published =
            read_json(&config).map_err(|_| occupied("has a config.json of something else"))?;
        Self::new(target, before.files.into_iter().map(|file| file.file).collect())
    }

    fn new(target: &Path, before: BTreeSet<String>) -> Result<Self, ReproduceError> {
        let parent =
            target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(FileError::writing(parent))?;
        let lock = lock::file(target)?;
        // A folder that is there may be another disk's.
        let place = if target.is_dir() { target } else { parent };
        let prefix = format!(".{}{UNFINISHED}", target.file_name().unwrap_or_default().to_string_lossy());
        remove_leftovers(place, &prefix)?;
        let around = tempfile::Builder::new().prefix(&prefix).tempdir_in(place);
        let around = around.map_err(FileError::writing(place))?;
        let made = around.path().join("whole");
        fs::create_dir(&made).map_err(FileError::writing(&made))?;
        Ok(Self { _around: around, made, target: target.to_owned(), before, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.made
    }

    /// Puts everything in its place.
    pub fn finish(self) -> Result<(), FileError> {
        let (from, target) = (&self.made, &self.target);
        if !target.exists() {
            return fs::rename(from, target).map_err(FileError::writing(target));
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(from).map_err(FileError::reading(from))? {
            names.push(entry.map_err(FileError::reading(from))?.file_name());
        }
        // Who reads the folder begins at config.json, and finds what it names.
        names.sort_by_key(|name| name == CONFIG);
        for name in &names {
            let to = target.join(name);
            fs::rename(from.join(name), &to).map_err(FileError::writing(&to))?;
        }
        for name in self.before.iter().filter(|name| !names.iter().any(|new| new == name.as_str())) {
            let path = target.join(name);
            // A name in it that leads elsewhere is none of ours.
            if Path::new(name).file_name() == Some(name.as_ref()) && path.is_file() {
                fs::remove_file(&path).map_err(FileError::writing(&path))?;
            }
        }
        Ok(())
    }
}

/// Removes what a killed process left; the lock is held.
fn remove_leftovers(place: &Path, prefix: &str) -> Result<(), FileError> {
    for entry in fs::read_dir(place).map_err(FileError::reading(place))? {
        let path = entry.map_err(FileError::reading(place))?.path();
        if path.file_name().unwrap_or_default().to_string_lossy().starts_with(prefix) {
            fs::remove_dir_all(&path).map_err(FileError::writing(&path))?;
        }
    }
    Ok(())
}
