//! Scores in shares of the samples: what a shard of a capture comes to, and how the shards are joined.

use std::path::{Path, PathBuf};

use onejump_core::files;
use onejump_core::manifest::HiddenManifest;
use onejump_core::shard::Shard;
use onejump_store::hidden::Selection;
use onejump_store::partial::{Partial, Shards};

use crate::ScoreError;
use crate::sums::{PartSums, Sums, TextSums};

/// The program, as messages name it.
const PROGRAM: &str = "onejump-score";

/// Where the shards of the scores in a file lie: each in a folder beside it, under its name.
#[derive(Debug, Clone)]
pub struct ScoreShards {
    dir: PathBuf,
    file: String,
    /// A hash of the jumps and of which samples are used.
    work: String,
}

impl ScoreShards {
    /// Of scores of the jumps in a file, over some samples.
    ///
    /// # Errors
    /// [`ScoreError::File`] if the file of jumps cannot be read.
    pub fn new(scores: &Path, jumps: &Path, selection: Selection) -> Result<Self, ScoreError> {
        let dir = scores.parent().unwrap_or(Path::new("")).to_owned();
        let file = format!("{}.safetensors", scores.file_stem().unwrap_or_default().to_string_lossy());
        Ok(Self { dir, file, work: format!("{} {selection}", files::sha256_file(jumps)?) })
    }

    fn of(&self, count: usize) -> Shards<'_> {
        Shards { dir: &self.dir, file: &self.file, count, program: PROGRAM }
    }

    /// The file of a shard.
    pub fn path(&self, shard: Shard) -> PathBuf {
        self.of(shard.count).path(shard)
    }

    /// Writes what a shard comes to.
    ///
    /// # Errors
    /// [`ScoreError`] if the file cannot be written.
    pub fn write(&self, shard: Shard, sums: &Sums, manifest: &HiddenManifest) -> Result<(), ScoreError> {
        let mut partial = Partial::default();
        for part in &sums.parts {
            let whole = |values: &[u64]| values.iter().map(|&value| value as f64).collect();
            let PartSums { part, samples, cosines, signed_squares, texts } = part;
            partial.add(*part, "samples", vec![*samples as f64, texts.ids.len() as f64]);
            partial.add(*part, "cosines", cosines.clone());
            partial.add(*part, "signed_squares", signed_squares.clone());
            partial.add(*part, "text_ids", whole(&texts.ids));
            partial.add(*part, "text_samples", whole(&texts.samples));
            partial.add(*part, "exit", texts.exit.clone());
            partial.add(*part, "eq5", texts.eq5.clone());
        }
        Ok(partial.write(&self.path(shard), shard, &self.work, manifest)?)
    }

    /// The sums over all samples, from so many shards; `manifest` is that of the whole capture.
    ///
    /// # Errors
    /// [`ScoreError`] if a shard is missing, or is of other states or jumps.
    pub fn join(&self, count: usize, manifest: &HiddenManifest) -> Result<Sums, ScoreError> {
        let (shards, blocks) = (self.of(count), manifest.inputs.blocks);
        let partial = shards.join(&self.work, manifest)?;
        let part = |part: usize| -> Option<PartSums> {
            let values = |name: &str, count: usize| partial.values(part, name, count).map(<[f64]>::to_vec);
            let whole = |name: &str, count: usize| -> Option<Vec<u64>> {
                Some(values(name, count)?.into_iter().map(|value| value as u64).collect())
            };
            let counts = whole("samples", 2)?;
            let (samples, texts) = (counts[0] as usize, counts[1] as usize);
            Some(PartSums {
                part,
                samples,
                cosines: values("cosines", (blocks + 1) * blocks)?,
                signed_squares: values("signed_squares", (blocks + 1) * blocks)?,
                texts: TextSums {
                    ids: whole("text_ids", texts)?,
                    samples: whole("text_samples", texts)?,
                    exit: values("exit", texts * blocks)?,
                    eq5: values("eq5", texts * blocks)?,
                },
            })
        };
        let together = manifest.together();
        let found = |number: usize| {
            let shard = Shard { index: number / together % count, count };
            part(number).ok_or_else(|| ScoreError::from(shards.unusable(shard, "lacks a part")))
        };
        Ok(Sums { blocks, parts: (0..manifest.parts_total).map(found).collect::<Result<_, _>>()? })
    }
}
