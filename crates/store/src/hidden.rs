//! A folder of hidden states: its manifest, and its parts read as one table.

use std::fmt;
use std::path::{Path, PathBuf};

use onejump_core::files;
use onejump_core::manifest::{HiddenManifest, Part};
use rayon::prelude::*;

use crate::error::{PartFault, StoreError};
use crate::part;

/// The captured states of N samples at levels 0..=K, on disk. Reading a level reads that column.
#[derive(Debug, Clone)]
pub struct HiddenStates {
    dir: PathBuf,
    manifest: HiddenManifest,
    selection: Selection,
    /// The rows that are used; none stands for all.
    kept: Option<Vec<usize>>,
}

/// Which samples of a folder are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only so many, from the first on. They are a random choice: the sentences are in a random order already.
    pub first: Option<usize>,
    /// Without those at position 0, which are left out after `first` is counted.
    pub without_position_0: bool,
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.first.map_or("all".to_owned(), |first| format!("first {first}"));
        write!(f, "{first}{}", if self.without_position_0 { " without position 0" } else { "" })
    }
}

impl HiddenStates {
    /// Opens a folder that `onejump-capture` has completed.
    ///
    /// # Errors
    /// [`StoreError`] if there is no manifest, or a part is missing or not the file that it lists.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let dir = dir.into();
        if !dir.is_dir() {
            return Err(StoreError::NoFolder { dir });
        }
        let manifest = HiddenManifest::read(&dir)?;
        if !manifest.is_complete() {
            let (parts, total) = (manifest.parts.len(), manifest.parts_total);
            return Err(StoreError::Incomplete { dir, parts, total });
        }
        // The states of another run have the same shape; only the hash of their content differs.
        manifest.parts.par_iter().try_for_each(|part| check_file(&dir, part))?;
        Ok(Self { dir, manifest, selection: Selection::default(), kept: None })
    }

    /// Uses only some samples of the folder.
    ///
    /// # Errors
    /// [`StoreError`] if the positions cannot be read.
    pub fn select(mut self, selection: Selection) -> Result<Self, StoreError> {
        let samples = self.manifest.inputs.samples;
        let first = selection.first.unwrap_or(samples).min(samples);
        self.kept = None;
        self.selection = selection;
        if selection.without_position_0 {
            let positions = self.positions()?;
            self.kept = Some((0..first).filter(|&row| positions[row] > 0).collect());
        } else if first < samples {
            self.kept = Some((0..first).collect());
        }
        Ok(self)
    }

    /// Which samples are used.
    pub fn selection(&self) -> Selection {
        self.selection
    }

    /// A hash that stands for the states that are used.
    pub fn fingerprint(&self) -> String {
        let whole = self.manifest.fingerprint();
        if self.kept.is_none() {
            return whole;
        }
        files::sha256_bytes(format!("{whole} {}", self.selection).as_bytes())
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder's manifest.
    pub fn manifest(&self) -> &HiddenManifest {
        &self.manifest
    }

    /// N.
    pub fn samples(&self) -> usize {
        self.kept.as_ref().map_or(self.manifest.inputs.samples, Vec::len)
    }

    /// H.
    pub fn hidden_size(&self) -> usize {
        self.manifest.inputs.hidden_size
    }

    /// K; the levels are 0..=K.
    pub fn blocks(&self) -> usize {
        self.manifest.inputs.blocks
    }

    /// The states of one level, (N, H) row-major, in the order of the samples.
    ///
    /// # Errors
    /// [`StoreError`] if the level does not exist, a part is damaged, or a state is not finite.
    pub fn level(&self, level: usize) -> Result<Vec<f32>, StoreError> {
        if level > self.blocks() {
            return Err(StoreError::NoLevel { dir: self.dir.clone(), level, blocks: self.blocks() });
        }
        let hidden_size = self.hidden_size();
        let parts = self.read_parts(|path| part::read_level(path, level, hidden_size))?;
        self.whole(parts, hidden_size)
    }

    /// The sampled position of each sample, in the order of the samples.
    ///
    /// # Errors
    /// [`StoreError`] if a part is damaged.
    pub fn positions(&self) -> Result<Vec<u32>, StoreError> {
        let parts = self.read_parts(part::read_positions)?;
        self.whole(parts, 1)
    }

    /// How many tokens the sentence of each sample has, in the order of the samples.
    ///
    /// # Errors
    /// [`StoreError`] if a part is damaged.
    pub fn lengths(&self) -> Result<Vec<u32>, StoreError> {
        let lengths = |path: &Path| {
            Ok(part::read_token_ids(path)?.iter().map(|ids| ids.len() as u32).collect::<Vec<_>>())
        };
        let parts = self.read_parts(lengths)?;
        self.whole(parts, 1)
    }

    fn read_parts<T: Send>(
        &self,
        read: impl Fn(&Path) -> Result<Vec<T>, StoreError> + Sync,
    ) -> Result<Vec<Vec<T>>, StoreError> {
        self.manifest.parts.par_iter().map(|part| read(&self.dir.join(&part.file))).collect()
    }

    /// Joins the parts, whose rows must be as many as the manifest says, and keeps the samples that are used.
    fn whole<T: Copy>(&self, parts: Vec<Vec<T>>, width: usize) -> Result<Vec<T>, StoreError> {
        for (part, rows) in self.manifest.parts.iter().zip(&parts) {
            if rows.len() != part.samples * width {
                return Err(StoreError::Rows {
                    path: self.dir.join(&part.file),
                    found: rows.len() / width,
                    expected: part.samples,
                });
            }
        }
        let mut whole = Vec::with_capacity(self.manifest.inputs.samples * width);
        for part in parts {
            whole.extend(part);
        }
        match &self.kept {
            None => Ok(whole),
            Some(kept) => {
                Ok(kept.iter().flat_map(|&row| whole[row * width..][..width].iter().copied()).collect())
            }
        }
    }
}

/// Compares a part with its size and its hash in the manifest.
pub(crate) fn check_file(dir: &Path, part: &Part) -> Result<(), StoreError> {
    let path = dir.join(&part.file);
    let fault = match std::fs::metadata(&path) {
        Err(_) => PartFault::Missing,
        Ok(found) if found.len() != part.bytes => {
            PartFault::Size { found: found.len(), expected: part.bytes }
        }
        Ok(_) if files::sha256_file(&path)? != part.sha256 => PartFault::Hash,
        Ok(_) => return Ok(()),
    };
    Err(StoreError::Part { path, fault })
}
