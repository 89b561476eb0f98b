//! The folder that a capture writes: parts, and a manifest that always tells which are there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use onejump_core::files::{self, FileError};
use onejump_core::layout::{MANIFEST, part_file};
use onejump_core::manifest::{CaptureInputs, FORMAT, HiddenManifest, Part};

use crate::CaptureError;

/// Held while the manifest is changed, so that shards can share a folder.
const LOCK: &str = ".lock";

pub(crate) struct Output {
    dir: PathBuf,
    inputs: CaptureInputs,
    samples_per_part: usize,
}

impl Output {
    /// Opens or makes the folder for a capture of these inputs.
    ///
    /// # Errors
    /// [`CaptureError`] if it cannot be made, or holds the states of another capture.
    pub fn open(dir: &Path, inputs: CaptureInputs, samples_per_part: usize) -> Result<Self, CaptureError> {
        fs::create_dir_all(dir).map_err(FileError::writing(dir))?;
        let output = Self { dir: dir.to_owned(), inputs, samples_per_part };
        output.update(|_| {})?;
        Ok(output)
    }

    /// The path of a part.
    pub fn part_path(&self, part: usize) -> PathBuf {
        self.dir.join(part_file(part))
    }

    /// Whether a part is listed and its file is what the manifest says.
    pub fn has_part(&self, part: usize) -> Result<bool, CaptureError> {
        let manifest = HiddenManifest::read(&self.dir)?;
        let path = self.part_path(part);
        let Some(listed) = manifest.parts.iter().find(|listed| listed.file == part_file(part)) else {
            return Ok(false);
        };
        Ok(path.is_file() && files::sha256_file(&path)? == listed.sha256)
    }

    /// Lists a part that has been written, and returns its size in bytes.
    pub fn add_part(&self, part: usize, samples: usize) -> Result<u64, CaptureError> {
        let path = self.part_path(part);
        let bytes = fs::metadata(&path).map_err(FileError::reading(&path))?.len();
        let entry = Part { file: part_file(part), samples, bytes, sha256: files::sha256_file(&path)? };
        self.update(|manifest| {
            manifest.parts.retain(|listed| listed.file != entry.file);
            manifest.parts.push(entry);
            manifest.parts.sort_by(|a, b| a.file.cmp(&b.file));
        })?;
        Ok(bytes)
    }

    /// How many parts the whole capture has.
    pub fn parts_total(&self) -> usize {
        self.inputs.samples.div_ceil(self.samples_per_part)
    }

    fn update(&self, change: impl FnOnce(&mut HiddenManifest)) -> Result<(), CaptureError> {
        let lock_path = self.dir.join(LOCK);
        let lock = File::create(&lock_path).map_err(FileError::writing(&lock_path))?;
        lock.lock().map_err(FileError::writing(&lock_path))?;
        let mut manifest = if self.dir.join(MANIFEST).is_file() {
            let manifest = HiddenManifest::read(&self.dir)?;
            self.same_capture(&manifest)?;
            manifest
        } else {
            HiddenManifest {
                format: FORMAT,
                inputs: self.inputs.clone(),
                samples_per_part: self.samples_per_part,
                parts: Vec::new(),
                parts_total: self.parts_total(),
            }
        };
        let before = manifest.clone();
        change(&mut manifest);
        if manifest != before || !self.dir.join(MANIFEST).is_file() {
            manifest.write(&self.dir)?;
        }
        Ok(())
    }

    /// Parts of different captures must not meet in one folder.
    fn same_capture(&self, manifest: &HiddenManifest) -> Result<(), CaptureError> {
        let describe = |inputs: &CaptureInputs| serde_json::to_value(inputs).unwrap_or_default();
        let (theirs, ours) = (describe(&manifest.inputs), describe(&self.inputs));
        let differing =
            theirs.as_object().into_iter().flatten().find(|(key, value)| ours[key.as_str()] != **value);
        if let Some((key, value)) = differing {
            return Err(CaptureError::Usage(format!(
                "{} holds another capture ({key} {value} there, {} here); choose another --out or remove it",
                self.dir.display(),
                ours[key.as_str()]
            )));
        }
        Ok(())
    }
}
