//! `manifest.json` beside the parts of a folder of hidden states: what determines the states, and which parts there
//! are.

use std::iter;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files::{self, FileError};
use crate::layout::{MANIFEST, part_number};
use crate::shard::Shard;

/// The version of the manifest's format; a reader refuses a newer one.
pub const FORMAT: u32 = 1;

/// Where the hidden states of a folder come from, and which parts hold them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HiddenManifest {
    /// [`FORMAT`] at the time of writing.
    pub format: u32,
    /// Which parts of the whole the folder is there for; none where for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// The inputs, which determine the parts.
    pub inputs: CaptureInputs,
    /// Samples per part; the last part may hold fewer.
    pub samples_per_part: usize,
    /// The finished parts, by number.
    pub parts: Vec<Part>,
    /// How many parts the whole capture has, all shards together.
    pub parts_total: usize,
}

/// Everything that determines the hidden states. Two captures with equal inputs on the same kind of machine give equal
/// states.
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
    /// Where the model computed; none in a manifest of a version that did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceKind>,
    /// About how many tokens a batch had at most: batches determine the order of sums, and so the rounding. None in a
    /// manifest of a version that did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_tokens: Option<usize>,
    /// Out of how many parts batches were made; none where out of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_parts: Option<usize>,
    /// How many positions of a text were sampled, a number or `all`; none where one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positions: Option<String>,
    /// How many tokens of a text were a sequence at most; none where a text was one sequence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk_tokens: Option<usize>,
    /// Whether texts were joined into sequences of so many tokens: then `position` is that in the sequence, and
    /// `token_ids` are the sequence's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pack: bool,
    /// How many texts the samples come from, where a text may have several: then the parts say which. None where each
    /// sample is a text of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub texts: Option<usize>,
    /// The levels whose states were stored, ascending; none where all were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub levels: Option<Vec<usize>>,
    /// Onejump's version.
    pub onejump: String,
    /// libtorch's version.
    pub libtorch: String,
}

/// What a model computed on. Which GPU it was is not known: tch does not name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// The processor.
    Cpu,
    /// A GPU of NVIDIA's, or one that libtorch addresses as such.
    Cuda,
}

impl CaptureInputs {
    /// The levels whose states are stored, ascending.
    pub fn stored_levels(&self) -> Vec<usize> {
        self.levels.clone().unwrap_or_else(|| (0..=self.blocks).collect())
    }

    /// The first input, if any, in which these differ from others; the device before what follows from it.
    pub fn difference(&self, others: &Self) -> Option<Difference> {
        let fields = |inputs: &Self| serde_json::to_value(inputs).unwrap_or_default();
        let (one, other) = (fields(self), fields(others));
        let names = [&one, &other].into_iter().flat_map(|inputs| inputs.as_object().into_iter().flatten());
        let mut names = iter::once("device").chain(names.map(|(name, _)| name.as_str()));
        let field = names.find(|&name| one[name] != other[name])?;
        Some(Difference {
            field: field.to_owned(),
            one: one[field].to_string(),
            other: other[field].to_string(),
        })
    }

    /// The first input that the version which wrote the manifest did not record, in words.
    pub fn not_recorded(&self) -> Option<&'static str> {
        match (self.device, self.batch_tokens) {
            (None, _) => Some("device"),
            (_, None) => Some("batch size"),
            _ => None,
        }
    }
}

/// An input in which two captures differ, with its values as the manifests have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The input, as the manifest names it.
    pub field: String,
    /// Its value in the first.
    pub one: String,
    /// Its value in the other.
    pub other: String,
}

/// One finished part.
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

    /// The first reason, if any, why the manifest's numbers and names cannot be true.
    fn contradiction(&self) -> Option<String> {
        let inputs = &self.inputs;
        // A part is named without a folder, so that a manifest cannot reach outside its own.
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
        let foreign = |part: &&Part| {
            self.shard.is_some_and(|shard| {
                !part_number(&part.file).is_some_and(|part| shard.has(part, self.together()))
            })
        };
        if let Some((shard, part)) = self.shard.zip(self.parts.iter().find(foreign)) {
            return Some(format!("lists {}, which does not belong to shard {shard}", part.file));
        }
        let ascending = |levels: &Vec<usize>| levels.windows(2).all(|pair| pair[0] < pair[1]);
        let possible = |levels: &Vec<usize>| {
            levels.last().is_some_and(|&last| last <= inputs.blocks) && ascending(levels)
        };
        if let Some(levels) = inputs.levels.as_ref().filter(|levels| !possible(levels)) {
            return Some(format!("has states at levels {levels:?} of a model with {} blocks", inputs.blocks));
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

    /// Whether every part of the whole capture is here.
    pub fn is_complete(&self) -> bool {
        self.parts.len() == self.parts_total
    }

    /// Whether every part is written that this folder is there for: of a shard, its own.
    pub fn is_finished(&self) -> bool {
        self.parts.len() == self.parts_expected()
    }

    /// How many parts this folder is there for.
    pub fn parts_expected(&self) -> usize {
        self.shard.map_or(self.parts_total, |shard| shard.parts(self.parts_total, self.together()))
    }

    /// How many parts are computed together, and so are in one shard.
    pub fn together(&self) -> usize {
        self.inputs.batch_parts.unwrap_or(1).max(1)
    }

    /// The finished parts with their numbers in the whole capture.
    pub fn numbered_parts(&self) -> impl Iterator<Item = (usize, &Part)> {
        self.parts.iter().enumerate().map(|(place, part)| (part_number(&part.file).unwrap_or(place), part))
    }

    /// A hash that stands for the hidden states: of the inputs and of every part's content.
    ///
    /// Inputs that an earlier version did not record are left out, so that its folders keep their fingerprint and the
    /// shortcuts that were trained on them still belong to them.
    pub fn fingerprint(&self) -> String {
        let mut text = serde_json::to_string(&self.inputs).unwrap_or_default();
        for part in &self.parts {
            text.push_str(&part.sha256);
        }
        files::sha256_bytes(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the first version wrote it, without device and batch size.
    const EARLIER: &str = r#"{
        "format": 1,
        "inputs": {"model": "tiny", "architecture": "llama", "model_sha256": "ab", "hidden_size": 2, "blocks": 1,
            "vocab_size": 3, "sentences": "a.txt", "sentences_sha256": "cd", "samples": 1, "truncated": 0, "seed": 0,
            "position_0": true, "bos": false, "dtype": "f32", "store_dtype": "f32", "onejump": "0.1.0",
            "libtorch": "2.11.0"},
        "samples_per_part": 1,
        "parts": [{"file": "part-00000.parquet", "samples": 1, "bytes": 9, "sha256": "ef"}],
        "parts_total": 1
    }"#;

    fn read(text: &str) -> Result<HiddenManifest, FileError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(MANIFEST), text).unwrap();
        HiddenManifest::read(dir.path())
    }

    /// The fingerprint is from Python, with `text` as above: `inputs = json.loads(text)["inputs"]`,
    /// `sha256((json.dumps(inputs, separators=(",", ":")) + "ef").encode()).hexdigest()`.
    #[test]
    fn an_earlier_manifest_is_read_and_keeps_its_fingerprint() {
        let manifest = read(EARLIER).unwrap();
        assert_eq!(manifest.inputs.not_recorded(), Some("device"));
        assert_eq!(
            manifest.fingerprint(),
            "329576f0101201a125f9ae786dedbec5f7d65961d6f4d464cd979b3296e055e3"
        );
        let written = serde_json::to_value(&manifest).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(EARLIER).unwrap());
    }

    #[test]
    fn device_and_batch_size_are_part_of_the_fingerprint() {
        let with = |fields: &str| read(&EARLIER.replace(r#""onejump""#, &format!(r#"{fields} "onejump""#)));
        let cpu = with(r#""device": "cpu", "batch_tokens": 512,"#).unwrap();
        assert_eq!((cpu.inputs.device, cpu.inputs.batch_tokens), (Some(DeviceKind::Cpu), Some(512)));
        assert_eq!(cpu.inputs.not_recorded(), None);
        let others = [
            with(r#""device": "cuda", "batch_tokens": 512,"#).unwrap(),
            with(r#""device": "cpu", "batch_tokens": 64,"#).unwrap(),
            with(r#""device": "cpu","#).unwrap(),
            read(EARLIER).unwrap(),
        ];
        assert!(others.iter().all(|other| other.fingerprint() != cpu.fingerprint()));
        assert_eq!(others[2].inputs.not_recorded(), Some("batch size"));
        assert!(with(r#""device": "abacus","#).is_err());
    }
}
