//! What a shard of a stage's work comes to: sums by part of the capture, in a file of their own, and how those of all
//! shards are joined. Sums are joined part by part, so that shards change no byte of what is made of them.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use onejump_core::files::{self, FileError};
use onejump_core::manifest::HiddenManifest;
use onejump_core::shard::Shard;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// The key of the metadata that holds the card.
const KEY: &str = "onejump_partial";

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Card {
    /// Which share of the work it is.
    shard: Shard,
    /// A hash of what determines the sums beside the states.
    work: String,
    /// SHA-256 of every part of states that the sums are over, by its number.
    parts: BTreeMap<usize, String>,
}

/// The sums of one shard, or of several: arrays by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Partial {
    arrays: BTreeMap<String, Vec<f64>>,
}

impl Partial {
    /// Adds the array `name` of a part.
    pub fn add(&mut self, part: usize, name: &str, values: Vec<f64>) {
        self.arrays.insert(key(part, name), values);
    }

    /// The array `name` of a part, if it is there and has so many values.
    pub fn values(&self, part: usize, name: &str, count: usize) -> Option<&[f64]> {
        self.arrays.get(&key(part, name)).filter(|values| values.len() == count).map(Vec::as_slice)
    }

    /// Writes the sums of a shard over the states that `manifest` lists. `work` stands for everything else that determines
    /// them.
    ///
    /// # Errors
    /// [`StoreError`] if the file cannot be written.
    pub fn write(
        &self,
        path: &Path,
        shard: Shard,
        work: &str,
        manifest: &HiddenManifest,
    ) -> Result<(), StoreError> {
        let card = Card { shard, work: work.to_owned(), parts: parts(manifest) };
        let wrong = |error: &dyn std::fmt::Display| StoreError::content(path, error.to_string());
        let card = serde_json::to_string(&card).map_err(|error| wrong(&error))?;
        let bytes: Vec<(&String, Vec<u8>)> = self
            .arrays
            .iter()
            .map(|(name, values)| (name, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
            .collect();
        let views = bytes
            .iter()
            .map(|(name, bytes)| Ok((name, TensorView::new(Dtype::F64, vec![bytes.len() / 8], bytes)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|error| wrong(&error))?;
        let metadata = HashMap::from([(KEY.to_owned(), card)]);
        let bytes = safetensors::serialize(views, Some(metadata)).map_err(|error| wrong(&error))?;
        Ok(files::write_bytes(path, &bytes)?)
    }

    fn read(path: &Path) -> Result<(Card, Self), StoreError> {
        let wrong = |error: &dyn std::fmt::Display| {
            StoreError::content(path, format!("is no file of a shard's sums: {error}"))
        };
        let bytes = fs::read(path).map_err(FileError::reading(path))?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| wrong(&error))?;
        let card = metadata.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
        let card = card.ok_or_else(|| wrong(&"it has no card"))?;
        let card: Card = serde_json::from_str(card).map_err(|error| wrong(&error))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| wrong(&error))?;
        let mut arrays = BTreeMap::new();
        for (name, view) in tensors.tensors() {
            if view.dtype() != Dtype::F64 {
                return Err(wrong(&format!("'{name}' is {:?}, expected F64", view.dtype())));
            }
            let (values, _) = view.data().as_chunks::<8>();
            arrays.insert(name, values.iter().map(|value| f64::from_le_bytes(*value)).collect());
        }
        Ok((card, Self { arrays }))
    }
}

/// The shards of a stage's work in a folder.
#[derive(Debug, Clone)]
pub struct Shards<'a> {
    /// The folder, in which each shard has one.
    pub dir: &'a Path,
    /// The name of the file in a shard's folder.
    pub file: &'a str,
    /// How many shards there are.
    pub count: usize,
    /// The program that makes one again.
    pub program: &'a str,
}

impl Shards<'_> {
    /// The file of a shard.
    pub fn path(&self, shard: Shard) -> PathBuf {
        self.dir.join(shard.folder()).join(self.file)
    }

    /// The sums of all shards, which are of this work, over states of the capture that `manifest` is of.
    ///
    /// # Errors
    /// [`StoreError`] if a shard is missing or damaged, or is of other states or other work.
    pub fn join(&self, work: &str, manifest: &HiddenManifest) -> Result<Partial, StoreError> {
        let known = parts(manifest);
        let mut joined = Partial::default();
        for index in 0..self.count {
            let shard = Shard { index, count: self.count };
            let path = self.path(shard);
            if !path.is_file() {
                return Err(self.unusable(shard, "is not there, or not finished"));
            }
            let (card, partial) = Partial::read(&path)?;
            let strange = card.parts.iter().any(|(part, sha256)| known.get(part) != Some(sha256));
            if card.work != work || card.shard != shard || strange {
                return Err(self.unusable(shard, "is of other states, shortcuts or options"));
            }
            joined.arrays.extend(partial.arrays);
        }
        Ok(joined)
    }

    /// What to do where the shards lack something.
    pub fn unusable(&self, shard: Shard, what: &str) -> StoreError {
        let path = self.path(shard);
        StoreError::Partial { path, what: what.to_owned(), program: self.program.to_owned(), shard }
    }
}

fn key(part: usize, name: &str) -> String {
    format!("part.{part:05}.{name}")
}

fn parts(manifest: &HiddenManifest) -> BTreeMap<usize, String> {
    manifest.numbered_parts().map(|(number, part)| (number, part.sha256.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::folder;

    #[test]
    fn shards_are_joined_or_named() {
        let states = folder(|_, _| ());
        let manifest = HiddenManifest::read(states.path()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let shards = Shards { dir: dir.path(), file: "sums.safetensors", count: 2, program: "onejump-x" };
        let write = |index: usize, work: &str, parts: std::ops::Range<usize>| {
            let mut own = manifest.clone();
            own.parts = manifest.parts[parts.clone()].to_vec();
            let mut partial = Partial::default();
            for part in parts {
                partial.add(part, "sum", vec![0.1 + part as f64, f64::MIN_POSITIVE]);
            }
            let shard = Shard { index, count: 2 };
            partial.write(&shards.path(shard), shard, work, &own).unwrap();
        };
        write(0, "w", 0..1);
        let error = shards.join("w", &manifest).unwrap_err().to_string();
        assert!(
            error.contains("shard-1-of-2") && error.contains("not there") && error.contains("onejump-x"),
            "{error}"
        );
        write(1, "w", 1..3);
        let joined = shards.join("w", &manifest).unwrap();
        for part in 0..3 {
            assert_eq!(joined.values(part, "sum", 2), Some(&[0.1 + part as f64, f64::MIN_POSITIVE][..]));
        }
        assert_eq!(joined.values(0, "sum", 3), None);
        assert!(
            shards
                .join("other", &manifest)
                .unwrap_err()
                .to_string()
                .contains("other states, shortcuts or options")
        );
        let mut other = manifest.clone();
        other.parts[2].sha256 = "other".into();
        assert!(shards.join("w", &other).is_err());
        fs::write(shards.path(Shard { index: 1, count: 2 }), "nonsense").unwrap();
        assert!(
            shards.join("w", &manifest).unwrap_err().to_string().contains("is no file of a shard's sums")
        );
    }
}
