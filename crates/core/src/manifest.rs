//! `manifest.json` beside the parts of a folder of hidden states: everything that determines them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files::{self, FileError};
use crate::layout::MANIFEST;

/// The version of the manifest's form; a reader refuses a newer one.
pub const FORMAT: u32 = 1;

/// Where the hidden states of a folder come from, and which parts hold them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HiddenManifest {
    /// [`FORMAT`] at the time of writing.
    pub format: u32,
    /// The inputs; the parts follow from them.
    pub inputs: CaptureInputs,
    /// Samples per part; the last part may hold fewer.
    pub samples_per_part: usize,
    /// The parts that are written, by number. Complete when they are `parts_total` many.
    pub parts: Vec<Part>,
    /// How many parts the whole folder has.
    pub parts_total: usize,
}

/// Everything that determines the hidden states. Two captures with equal inputs give equal states.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaptureInputs {
    /// The model, as the user named it.
    pub model: String,
    /// `model_type` of its configuration.
    pub architecture: String,
    /// SHA-256 over the checkpoint's files.
    pub model_sha256: String,
    /// H.
    pub hidden_size: usize,
    /// K.
    pub blocks: usize,
    /// V.
    pub vocab_size: usize,
    /// The name of the file of sentences or samples, without its folder.
    pub sentences: String,
    /// SHA-256 of the lines that were used.
    pub sentences_sha256: String,
    /// How many samples there are in all.
    pub samples: usize,
    /// Samples whose text was longer than the model's context, and was cut.
    pub truncated: usize,
    /// The seed of the positions.
    pub seed: u64,
    /// Whether position 0 can be drawn.
    pub position_0: bool,
    /// Whether a beginning-of-sequence token was put first.
    pub bos: bool,
    /// What the model computed in.
    pub dtype: String,
    /// What the states are stored in.
    pub store_dtype: String,
    /// Onejump's version.
    pub onejump: String,
    /// libtorch's version.
    pub libtorch: String,
}

/// One written part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The file's name, beside the manifest.
    pub file: String,
    /// Rows in it.
    pub samples: usize,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: String,
}

impl HiddenManifest {
    /// Reads the manifest of the folder `dir`.
    ///
    /// # Errors
    /// [`FileError`] if it is missing, not JSON of this form, or written by a newer version.
    pub fn read(dir: &Path) -> Result<Self, FileError> {
        let path = dir.join(MANIFEST);
        let manifest: Self = files::read_json(&path)?;
        if manifest.format > FORMAT {
            return Err(FileError::Content {
                path,
                reason: format!(
                    "has format {}, this version knows {FORMAT}; a newer Onejump wrote it",
                    manifest.format
                ),
            });
        }
        match manifest.contradiction() {
            Some(reason) => Err(FileError::Content { path, reason }),
            None => Ok(manifest),
        }
    }

    /// The first way in which the manifest's numbers and names make no sense.
    fn contradiction(&self) -> Option<String> {
        let inputs = &self.inputs;
        // A part's name alone: a manifest cannot reach outside its folder.
        let strange = |part: &&Part| Path::new(&part.file).file_name() != Some(part.file.as_ref());
        if let Some(part) = self.parts.iter().find(strange) {
            return Some(format!("names the part '{}' outside its folder", part.file));
        }
        let mut files: Vec<_> = self.parts.iter().map(|part| &part.file).collect();
        files.sort();
        if let Some(pair) = files.windows(2).find(|pair| pair[0] == pair[1]) {
            return Some(format!("lists {} twice", pair[0]));
        }
        if self.samples_per_part == 0 || inputs.samples.div_ceil(self.samples_per_part) != self.parts_total {
            return Some(format!(
                "has {} parts in all, but {} samples in parts of {}",
                self.parts_total, inputs.samples, self.samples_per_part
            ));
        }
        let listed = self.parts.iter().try_fold(0usize, |sum, part| sum.checked_add(part.samples));
        if listed
            .is_none_or(|listed| listed > inputs.samples || self.is_complete() && listed < inputs.samples)
        {
            return Some(format!("lists parts that do not add up to its {} samples", inputs.samples));
        }
        if inputs.hidden_size == 0 || inputs.blocks == 0 {
            return Some(format!("has H = {} and {} blocks", inputs.hidden_size, inputs.blocks));
        }
        None
    }

    /// Writes the manifest into the folder `dir`.
    ///
    /// # Errors
    /// [`FileError`] if the folder cannot be written.
    pub fn write(&self, dir: &Path) -> Result<(), FileError> {
        files::write_json(&dir.join(MANIFEST), self)
    }

    /// Whether every part is written.
    pub fn is_complete(&self) -> bool {
        self.parts.len() == self.parts_total
    }

    /// A hash that stands for the hidden states: of the inputs and of every part's content.
    pub fn fingerprint(&self) -> String {
        let mut text = serde_json::to_string(&self.inputs).unwrap_or_default();
        for part in &self.parts {
            text.push_str(&part.sha256);
        }
        files::sha256_bytes(text.as_bytes())
    }
}
