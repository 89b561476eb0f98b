//! The folder that a capture writes: the parts, and a manifest that lists the finished ones. Each shard has a folder of
//! its own, in that of the whole.

use std::fs;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use onejump_core::files::{self, FileError};
use onejump_core::layout::{MANIFEST, part_file, part_number};
use onejump_core::lock::{self, Lock};
use onejump_core::manifest::{CaptureInputs, FORMAT, HiddenManifest, Part};
use onejump_core::shard::Shard;
use onejump_store::StoreError;

use crate::CaptureError;

/// Inputs that say something where a manifest does not have them.
const NOTHING_SAYS: [&str; 5] = ["batch_parts", "positions", "chunk_tokens", "texts", "levels"];

/// A folder that this process may write parts into.
pub(crate) struct Output {
    dir: PathBuf,
    inputs: CaptureInputs,
    samples_per_part: usize,
    /// Held while the manifest is read, changed and written: several threads write parts.
    listing: Mutex<()>,
    /// The shards were merged, and nothing is left to do: then nobody writes.
    merged: bool,
    _lock: Option<Lock>,
}

impl Output {
    /// Whether the folder of the whole has all parts of a shard already, since the shards were merged.
    ///
    /// # Errors
    /// [`CaptureError`] if it holds the states of another capture, or cannot be read.
    fn is_merged(dir: &Path, inputs: &CaptureInputs, shard: Shard) -> Result<bool, CaptureError> {
        if shard == Shard::WHOLE || !dir.join(MANIFEST).is_file() {
            return Ok(false);
        }
        let manifest = HiddenManifest::read(dir)?;
        same_capture(dir, &manifest, inputs)?;
        for part in (0..manifest.parts_total).filter(|&part| shard.has(part, manifest.together())) {
            if !is_there(dir, &manifest, part)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Opens the folder for a capture of these inputs, or makes it: `dir` itself, or that of a shard in it.
    ///
    /// # Errors
    /// [`CaptureError`] if it cannot be made, holds the states of another capture, or another process writes there.
    pub fn open(
        dir: &Path,
        inputs: CaptureInputs,
        samples_per_part: usize,
        shard: Shard,
    ) -> Result<Self, CaptureError> {
        if Self::is_merged(dir, &inputs, shard)? {
            return Ok(Self {
                dir: dir.to_owned(),
                inputs,
                samples_per_part,
                merged: true,
                listing: Mutex::default(),
                _lock: None,
            });
        }
        let whole = shard == Shard::WHOLE;
        let dir = if whole { dir.to_owned() } else { dir.join(shard.folder()) };
        let lock = lock::folder(&dir)?;
        let output = Self {
            dir,
            inputs,
            samples_per_part,
            merged: false,
            listing: Mutex::default(),
            _lock: Some(lock),
        };
        let there =
            output.dir.join(MANIFEST).is_file().then(|| HiddenManifest::read(&output.dir)).transpose()?;
        // A capture that failed before its first part was written leaves nothing that another could be mixed with.
        if let Some(manifest) = there.filter(|manifest| !manifest.parts.is_empty()) {
            same_capture(&output.dir, &manifest, &output.inputs)?;
        } else {
            let manifest = HiddenManifest {
                format: FORMAT,
                shard: Some(shard).filter(|_| !whole),
                inputs: output.inputs.clone(),
                samples_per_part,
                parts: Vec::new(),
                parts_total: output.parts_total(),
            };
            manifest.write(&output.dir)?;
        }
        Ok(output)
    }

    /// The path of a part.
    pub fn part_path(&self, part: usize) -> PathBuf {
        self.dir.join(part_file(part))
    }

    /// Whether a part has to be computed: it is not listed, or its file is not the one that is listed.
    ///
    /// # Errors
    /// [`CaptureError::NotRecorded`] if it has to be, and the manifest does not say how the others were computed.
    pub fn needs_part(&self, part: usize) -> Result<bool, CaptureError> {
        if self.merged {
            return Ok(false);
        }
        let manifest = HiddenManifest::read(&self.dir)?;
        if is_there(&self.dir, &manifest, part)? {
            return Ok(false);
        }
        self.can_grow(&manifest)?;
        Ok(true)
    }

    /// Lists a part that has been written, and returns its size in bytes.
    pub fn add_part(&self, part: usize, samples: usize) -> Result<u64, CaptureError> {
        let path = self.part_path(part);
        let bytes = fs::metadata(&path).map_err(FileError::reading(&path))?.len();
        let entry = Part { file: part_file(part), samples, bytes, sha256: files::sha256_file(&path)? };
        if !self.dir.join(MANIFEST).is_file() {
            return Err(CaptureError::Removed { dir: self.dir.clone() });
        }
        let _listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut manifest = HiddenManifest::read(&self.dir)?;
        same_capture(&self.dir, &manifest, &self.inputs)?;
        self.can_grow(&manifest)?;
        manifest.parts.retain(|listed| listed.file != entry.file);
        manifest.parts.push(entry);
        manifest.parts.sort_by_key(|listed| part_number(&listed.file));
        manifest.write(&self.dir)?;
        Ok(bytes)
    }

    /// Why a part was not written. Who stores in another type then cannot go on beside parts that are written.
    pub fn explained(&self, error: StoreError) -> CaptureError {
        let written = HiddenManifest::read(&self.dir).map_or(0, |manifest| manifest.parts.len());
        match error {
            StoreError::TooLarge { .. } if written > 0 => {
                CaptureError::TooLargeLater { source: Box::new(error), dir: self.dir.clone() }
            }
            error => error.into(),
        }
    }

    /// How many parts the whole capture has.
    pub fn parts_total(&self) -> usize {
        self.inputs.samples.div_ceil(self.samples_per_part)
    }

    /// Refuses a manifest that does not say how its parts were computed: ours might not match them.
    fn can_grow(&self, manifest: &HiddenManifest) -> Result<(), CaptureError> {
        match manifest.inputs.not_recorded() {
            Some(field) => Err(CaptureError::NotRecorded { dir: self.dir.clone(), field }),
            None => Ok(()),
        }
    }
}

/// Refuses a manifest of which an input differs from ours: the parts of different captures never share a folder.
/// An input that an earlier version did not record cannot differ; see [`Output::can_grow`].
fn same_capture(dir: &Path, manifest: &HiddenManifest, inputs: &CaptureInputs) -> Result<(), CaptureError> {
    let fields = |inputs: &CaptureInputs| serde_json::to_value(inputs).unwrap_or_default();
    let (theirs, ours) = (fields(&manifest.inputs), fields(inputs));
    let recorded = theirs.as_object().into_iter().flatten().map(|(field, _)| field.as_str());
    // Each kind of device has a batch size of its own, so where both differ it is the device that says why.
    let differing = iter::once("device")
        .chain(recorded)
        .find(|&field| !theirs[field].is_null() && theirs[field] != ours[field]);
    // Here nothing is an answer too: batches out of one part, one position of a text.
    let differing =
        differing.or_else(|| NOTHING_SAYS.into_iter().find(|&field| theirs[field] != ours[field]));
    match differing {
        Some(field) => Err(CaptureError::OtherCapture {
            dir: dir.to_owned(),
            field: field.to_owned(),
            there: theirs[field].to_string(),
            here: ours[field].to_string(),
        }),
        None => Ok(()),
    }
}

/// Whether the part is listed, and its file is the one that is listed.
fn is_there(dir: &Path, manifest: &HiddenManifest, part: usize) -> Result<bool, FileError> {
    let path = dir.join(part_file(part));
    let listed = manifest.parts.iter().find(|listed| listed.file == part_file(part));
    Ok(match listed {
        Some(listed) => path.is_file() && files::sha256_file(&path)? == listed.sha256,
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use onejump_store::dtype::StoreDtype;

    /// Two parts of one sample each, computed on a processor in batches of 512 tokens.
    fn inputs() -> CaptureInputs {
        let inputs = serde_json::json!({
            "model": "tiny", "architecture": "llama", "model_sha256": "", "hidden_size": 2, "blocks": 1,
            "vocab_size": 3, "sentences": "", "sentences_sha256": "", "samples": 2, "truncated": 0, "seed": 0,
            "position_0": true, "bos": false, "dtype": "f32", "store_dtype": "f32", "device": "cpu",
            "batch_tokens": 512, "onejump": "", "libtorch": "",
        });
        serde_json::from_value(inputs).unwrap()
    }

    fn open(dir: &Path, shard: &str) -> Result<Output, CaptureError> {
        Output::open(dir, inputs(), 1, shard.parse().unwrap())
    }

    /// Writes a part of some bytes, as a capture writes one of states.
    fn write(output: &Output, part: usize) -> Result<u64, CaptureError> {
        files::write_bytes(&output.part_path(part), b"states")?;
        output.add_part(part, 1)
    }

    /// Changes the inputs in the manifest's text.
    fn edit(dir: &Path, from: &str, to: &str) {
        let text = fs::read_to_string(dir.join(MANIFEST)).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(dir.join(MANIFEST), text.replace(from, to)).unwrap();
    }

    #[test]
    fn another_device_or_batch_size_is_refused() {
        for (from, to, expected) in [
            (
                "\"device\": \"cpu\",\n    \"batch_tokens\": 512",
                "\"device\": \"cuda\",\n    \"batch_tokens\": 8192",
                r#"(device "cuda" there, "cpu" here)"#,
            ),
            (r#""device": "cpu""#, r#""device": "cuda""#, r#"(device "cuda" there, "cpu" here)"#),
            (r#""batch_tokens": 512"#, r#""batch_tokens": 64"#, "(batch_tokens 64 there, 512 here)"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let output = open(dir.path(), "1/2").unwrap();
            write(&output, 1).unwrap();
            edit(&output.dir, from, to);
            let written = write(&output, 1).unwrap_err();
            drop(output);
            for refused in [open(dir.path(), "1/2").err().unwrap(), written] {
                assert!(matches!(refused, CaptureError::OtherCapture { .. }), "{refused}");
                assert!(refused.to_string().contains(expected), "{refused}");
            }
        }
    }

    #[test]
    fn a_folder_without_parts_takes_another_capture() {
        let dir = tempfile::tempdir().unwrap();
        let f16 = || {
            let inputs = CaptureInputs { store_dtype: "f16".to_owned(), ..inputs() };
            Output::open(dir.path(), inputs, 1, Shard::WHOLE)
        };
        drop(open(dir.path(), "0/1").unwrap());
        let begun = f16().unwrap();
        assert_eq!(HiddenManifest::read(dir.path()).unwrap().inputs.store_dtype, "f16");
        write(&begun, 0).unwrap();
        drop(begun);
        let refused = open(dir.path(), "0/1").err().unwrap();
        assert!(matches!(refused, CaptureError::OtherCapture { .. }), "{refused}");
    }

    #[test]
    fn each_shard_has_a_folder_a_manifest_and_a_writer() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (open(dir.path(), "0/2").unwrap(), open(dir.path(), "1/2").unwrap());
        assert_eq!(second.dir, dir.path().join("shard-1-of-2"));
        write(&second, 1).unwrap();
        let refused = open(dir.path(), "1/2").err().unwrap().to_string();
        assert!(refused.contains("shard-1-of-2 is being written by process"), "{refused}");
        let parts = |output: &Output| HiddenManifest::read(&output.dir).unwrap().parts.len();
        assert_eq!((parts(&first), parts(&second)), (0, 1));
        let manifest = HiddenManifest::read(&second.dir).unwrap();
        assert_eq!((manifest.shard.unwrap().to_string().as_str(), manifest.parts_total), ("1/2", 2));
        assert!(manifest.is_finished() && !manifest.is_complete());
    }

    #[test]
    fn a_shard_that_is_merged_is_not_captured_again() {
        let dir = tempfile::tempdir().unwrap();
        let merged = |shard: &str| Output::is_merged(dir.path(), &inputs(), shard.parse().unwrap());
        assert!(!merged("0/2").unwrap());
        write(&open(dir.path(), "0/1").unwrap(), 1).unwrap();
        assert!(merged("1/2").unwrap() && !merged("0/2").unwrap() && !merged("0/1").unwrap());
        edit(dir.path(), r#""seed": 0"#, r#""seed": 1"#);
        assert!(matches!(merged("1/2").unwrap_err(), CaptureError::OtherCapture { .. }));
        edit(dir.path(), r#""seed": 1"#, r#""seed": 0"#);
        fs::write(dir.path().join(part_file(1)), "damaged").unwrap();
        assert!(!merged("1/2").unwrap());
    }

    #[test]
    fn a_state_too_large_in_a_later_part_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let output = open(dir.path(), "0/1").unwrap();
        let error = || StoreError::TooLarge {
            path: "part".into(),
            column: "level_01".into(),
            value: 7e4,
            dtype: StoreDtype::F16,
        };
        let advice = |error: CaptureError| error.to_string().contains("or give another --out");
        assert!(!advice(output.explained(error())));
        write(&output, 0).unwrap();
        assert!(advice(output.explained(error())));
    }

    #[test]
    fn an_earlier_folder_is_kept_where_it_is_complete_and_never_continued() {
        let dir = tempfile::tempdir().unwrap();
        let output = open(dir.path(), "0/1").unwrap();
        write(&output, 0).unwrap();
        assert!(!output.needs_part(0).unwrap() && output.needs_part(1).unwrap());
        edit(dir.path(), r#""device": "cpu","#, "");
        edit(dir.path(), r#""batch_tokens": 512,"#, "");
        drop(output);
        let output = open(dir.path(), "0/1").unwrap();
        assert!(!output.needs_part(0).unwrap());
        let refused = output.needs_part(1).unwrap_err();
        assert!(matches!(refused, CaptureError::NotRecorded { .. }), "{refused}");
        assert!(refused.to_string().contains("did not record its device"), "{refused}");
        // A part that is damaged would have to be computed again.
        fs::write(output.part_path(0), "other").unwrap();
        assert!(output.needs_part(0).is_err() && write(&output, 0).is_err());
    }
}
