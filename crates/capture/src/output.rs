//! The folder that a capture writes: parts, and a manifest that always tells which are there.

use std::fs;
use std::path::{Path, PathBuf};

use onejump_core::files::{self, FileError};
use onejump_core::layout::{MANIFEST, part_file};
use onejump_core::manifest::{CaptureInputs, FORMAT, HiddenManifest, Part};

use crate::CaptureError;
use crate::run::Shard;
use crate::writers::{self, Writer};

pub(crate) struct Output {
    dir: PathBuf,
    inputs: CaptureInputs,
    samples_per_part: usize,
    _writer: Writer,
}

impl Output {
    /// Opens or makes the folder for a capture of these inputs.
    ///
    /// # Errors
    /// [`CaptureError`] if it cannot be made, holds the states of another capture, or another process
    /// writes parts of this shard.
    pub fn open(
        dir: &Path,
        inputs: CaptureInputs,
        samples_per_part: usize,
        shard: Shard,
    ) -> Result<Self, CaptureError> {
        fs::create_dir_all(dir).map_err(FileError::writing(dir))?;
        let output =
            Self { dir: dir.to_owned(), inputs, samples_per_part, _writer: Writer::new(dir, shard)? };
        let _change = writers::change(dir)?;
        if dir.join(MANIFEST).is_file() {
            output.same_capture(&HiddenManifest::read(dir)?)?;
        } else {
            let manifest = HiddenManifest {
                format: FORMAT,
                inputs: output.inputs.clone(),
                samples_per_part,
                parts: Vec::new(),
                parts_total: output.parts_total(),
            };
            manifest.write(dir)?;
        }
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
        let _change = writers::change(&self.dir)?;
        if !self.dir.join(MANIFEST).is_file() {
            return Err(CaptureError::Usage(format!(
                "{} was removed while it was written; the same command begins again",
                self.dir.display()
            )));
        }
        let mut manifest = HiddenManifest::read(&self.dir)?;
        self.same_capture(&manifest)?;
        manifest.parts.retain(|listed| listed.file != entry.file);
        manifest.parts.push(entry);
        manifest.parts.sort_by(|a, b| a.file.cmp(&b.file));
        manifest.write(&self.dir)?;
        Ok(bytes)
    }

    /// How many parts the whole capture has.
    pub fn parts_total(&self) -> usize {
        self.inputs.samples.div_ceil(self.samples_per_part)
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
