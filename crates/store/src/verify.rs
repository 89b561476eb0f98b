//! Checks a folder of hidden states against its manifest, and names every problem, not only the first.

use std::fmt;
use std::path::{Path, PathBuf};

use onejump_core::files::FileError;
use onejump_core::layout::part_number;
use onejump_core::manifest::{CaptureInputs, HiddenManifest, Part};
use rayon::prelude::*;

use crate::StoreError;
use crate::dtype::StoreDtype;
use crate::hidden::check_file;
use crate::part;
use crate::table;

/// What was found in a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// The folder.
    pub dir: PathBuf,
    /// Each part that the manifest lists.
    pub parts: Vec<VerifiedPart>,
    /// What is wrong with the folder as a whole.
    pub problems: Vec<String>,
}

/// What was found in a part.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedPart {
    /// The part, as the manifest lists it.
    pub part: Part,
    /// What is wrong with it.
    pub problems: Vec<String>,
}

impl Verified {
    /// Everything that is wrong.
    pub fn problems(&self) -> impl Iterator<Item = &String> {
        self.problems.iter().chain(self.parts.iter().flat_map(|part| &part.problems))
    }
}

/// Checks a folder: that all parts are there, with the right hashes, schema and numbers of rows; that samples are
/// numbered in order; that positions and token ids are possible; and that every state is finite.
///
/// # Errors
/// [`StoreError`] if there is no usable manifest; every other problem is in [`Verified`].
pub fn verify(dir: &Path) -> Result<Verified, StoreError> {
    let manifest = HiddenManifest::read(dir)?;
    let mut problems = Vec::new();
    if !manifest.is_finished() {
        problems.push(format!(
            "{}: {} of {} parts are there; onejump-capture with the same arguments goes on",
            dir.display(),
            manifest.parts.len(),
            manifest.parts_expected()
        ));
    }
    for entry in std::fs::read_dir(dir).map_err(FileError::reading(dir))? {
        let name = entry.map_err(FileError::reading(dir))?.file_name().to_string_lossy().into_owned();
        let known = manifest.parts.iter().any(|part| part.file == name);
        if name.starts_with("part-") && name.ends_with(".parquet") && !known {
            problems.push(format!("{}: not in the manifest; remove it", dir.join(name).display()));
        }
    }
    let dtype = manifest.inputs.store_dtype.parse::<StoreDtype>();
    let dtype = dtype.map_err(|unknown| StoreError::content(dir, unknown.to_string()))?;
    let parts = manifest.parts.par_iter().map(|part| {
        let problems = Check { dir, manifest: &manifest, dtype, part }.problems();
        VerifiedPart { part: part.clone(), problems }
    });
    Ok(Verified { dir: dir.to_owned(), parts: parts.collect(), problems })
}

/// One part, and what it is checked against.
struct Check<'a> {
    dir: &'a Path,
    manifest: &'a HiddenManifest,
    dtype: StoreDtype,
    part: &'a Part,
}

impl Check<'_> {
    fn problems(&self) -> Vec<String> {
        let path = self.dir.join(&self.part.file);
        let mut problems: Vec<String> = Vec::new();
        let mut add = |error: StoreError| {
            let problem = error.to_string();
            // Every column of a damaged file may give the same error.
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        };
        check_file(self.dir, self.part).unwrap_or_else(&mut add);
        if let Err(error) = self.schema(&path) {
            add(error);
            return problems;
        }
        self.samples(&path).unwrap_or_else(&mut add);
        for level in self.manifest.inputs.stored_levels() {
            self.level(&path, level).unwrap_or_else(&mut add);
        }
        problems
    }

    fn schema(&self, path: &Path) -> Result<(), StoreError> {
        let inputs = &self.manifest.inputs;
        let CaptureInputs { hidden_size, texts, .. } = *inputs;
        let builder = table::open(path)?;
        let found: Vec<_> =
            builder.schema().fields().iter().map(|field| (field.name(), field.data_type())).collect();
        let expected = part::columns(texts.is_some(), &inputs.stored_levels(), hidden_size, self.dtype);
        for (name, data_type) in &expected {
            match found.iter().find(|(found, _)| *found == name) {
                None => return Err(StoreError::content(path, format!("has no column '{name}'"))),
                Some((_, found)) if *found != data_type => {
                    return Err(table::wrong_type(path, name, &data_type.to_string(), found));
                }
                Some(_) => {}
            }
        }
        match found.iter().find(|(found, _)| !expected.iter().any(|(name, _)| name == *found)) {
            Some((name, _)) => Err(StoreError::content(path, format!("has a column '{name}' too many"))),
            None => Ok(()),
        }
    }

    /// Checks the numbers, positions and tokens of the samples.
    fn samples(&self, path: &Path) -> Result<(), StoreError> {
        let wrong = |reason: String| Err(StoreError::content(path, reason));
        let rows = self.part.samples;
        let number = part_number(&self.part.file).filter(|&number| number < self.manifest.parts_total);
        let Some(number) = number else { return wrong("is no part of this capture".into()) };
        let first = (number * self.manifest.samples_per_part) as u64;
        let ids = part::read_sample_ids(path)?;
        if ids.len() != rows {
            return Err(StoreError::Rows { path: path.to_owned(), found: ids.len(), expected: rows });
        }
        if let Some((row, id)) = (first..).zip(&ids).find(|(expected, id)| expected != *id) {
            return wrong(format!("has sample {id} where {row} should be"));
        }
        if self.manifest.inputs.texts.is_some() {
            let (texts, chunks) = (part::read_text_ids(path)?, part::read_chunks(path)?);
            let rows: Vec<_> = texts.into_iter().zip(chunks).collect();
            if let Some(row) = rows.windows(2).position(|pair| pair[0] > pair[1]) {
                return wrong(format!(
                    "sample {}: its text comes before that of the sample before it",
                    ids[row + 1]
                ));
            }
        }
        let (positions, tokens) = (part::read_positions(path)?, part::read_token_ids(path)?);
        for ((id, &position), tokens) in ids.iter().zip(&positions).zip(&tokens) {
            if position as usize >= tokens.len() {
                return wrong(format!(
                    "sample {id}: position {position} is outside its {} tokens",
                    tokens.len()
                ));
            }
            let vocab_size = self.manifest.inputs.vocab_size;
            let outside = |token: &&i32| usize::try_from(**token).is_ok_and(|token| token < vocab_size);
            if let Some(token) = tokens.iter().find(|token| !outside(token)) {
                return wrong(format!(
                    "sample {id}: token id {token} is outside the vocabulary of {vocab_size}"
                ));
            }
        }
        Ok(())
    }

    fn level(&self, path: &Path, level: usize) -> Result<(), StoreError> {
        let hidden_size = self.manifest.inputs.hidden_size;
        let rows = part::read_level(path, level, hidden_size)?.len() / hidden_size;
        if rows != self.part.samples {
            return Err(StoreError::Rows { path: path.to_owned(), found: rows, expected: self.part.samples });
        }
        Ok(())
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<20} {:>10} {:>10}", "part", "samples", "MB")?;
        for VerifiedPart { part, problems } in &self.parts {
            let state = if problems.is_empty() { "ok" } else { "WRONG" };
            writeln!(f, "{:<20} {:>10} {:>10.1}  {state}", part.file, part.samples, part.bytes as f64 / 1e6)?;
        }
        self.problems().try_for_each(|problem| writeln!(f, "{problem}"))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use onejump_core::files;
    use onejump_core::layout::part_file;
    use onejump_core::manifest::FORMAT;

    use super::*;
    use crate::hidden::{HiddenStates, Selection};
    use crate::part::{PartRows, TextRows, write_part};

    pub(crate) const H: usize = 2;
    pub(crate) const SAMPLES: usize = 5;
    const PER_PART: usize = 2;

    /// Three parts of a model with one block.
    pub(crate) fn folder(change: impl Fn(usize, &mut PartRows)) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut parts = Vec::new();
        for number in 0..SAMPLES.div_ceil(PER_PART) {
            let samples = PER_PART.min(SAMPLES - number * PER_PART);
            let mut rows = PartRows {
                sample_ids: (0..samples).map(|row| (number * PER_PART + row) as u64).collect(),
                sentences: vec![None; samples],
                token_ids: vec![vec![1, 2]; samples],
                positions: vec![1; samples],
                texts: None,
                levels: (0..2).map(|level| (level, vec![number as f32; samples * H])).collect(),
            };
            change(number, &mut rows);
            let path = dir.path().join(part_file(number));
            write_part(&path, &rows, H, StoreDtype::F32).unwrap();
            let (bytes, sha256) =
                (std::fs::metadata(&path).unwrap().len(), files::sha256_file(&path).unwrap());
            parts.push(Part { file: part_file(number), samples, bytes, sha256 });
        }
        let inputs = serde_json::json!({
            "model": "tiny", "architecture": "llama", "model_sha256": "", "hidden_size": H, "blocks": 1,
            "vocab_size": 3, "sentences": "", "sentences_sha256": "", "samples": SAMPLES, "truncated": 0,
            "seed": 0, "position_0": true, "bos": false, "dtype": "f32", "store_dtype": "f32", "onejump": "",
            "libtorch": "",
        });
        let inputs = serde_json::from_value(inputs).unwrap();
        let parts_total = parts.len();
        let manifest = HiddenManifest {
            format: FORMAT,
            shard: None,
            inputs,
            samples_per_part: PER_PART,
            parts,
            parts_total,
        };
        manifest.write(dir.path()).unwrap();
        dir
    }

    #[track_caller]
    fn finds(dir: &Path, expected: &[&str]) {
        let problems: Vec<_> = verify(dir).unwrap().problems().cloned().collect();
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for expected in expected {
            assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:#?}");
        }
    }

    #[test]
    fn a_whole_folder_has_no_problems_and_everything_wrong_is_named() {
        finds(folder(|_, _| {}).path(), &[]);
        let wrong = folder(|number, rows| match number {
            0 => rows.levels.get_mut(&1).unwrap()[3] = f32::NAN,
            1 => rows.sample_ids[1] = 7,
            _ => rows.positions[0] = 2,
        });
        let expected = ["level_01' is NaN in row 1", "sample 7 where 3", "sample 4: position 2 is outside"];
        finds(wrong.path(), &expected);
        finds(folder(|_, rows| rows.token_ids[0][0] = 3).path(), &["token id 3"; 3]);
        finds(folder(|_, rows| drop(rows.levels.pop_last())).path(), &["no column 'level_01'"; 3]);
    }

    /// A folder whose manifest says that parts name their texts.
    fn of_texts(text_ids: impl Fn(usize) -> [u64; 2]) -> tempfile::TempDir {
        let dir = folder(|number, rows| {
            let rows_of_part = rows.sample_ids.len();
            let text_ids = text_ids(number)[..rows_of_part].to_vec();
            rows.texts = Some(TextRows { text_ids, chunks: vec![0; rows_of_part] });
        });
        let mut manifest = HiddenManifest::read(dir.path()).unwrap();
        manifest.inputs.texts = Some(2);
        manifest.write(dir.path()).unwrap();
        dir
    }

    #[test]
    fn texts_are_read_by_themselves_and_come_in_order() {
        let dir = of_texts(|number| [[0, 0], [0, 7], [7, 7]][number]);
        finds(dir.path(), &[]);
        let states = HiddenStates::open(dir.path()).unwrap();
        assert_eq!(states.text_ids().unwrap(), [0, 0, 0, 7, 7]);
        // A text is on one side alone.
        for (last, fitted) in [(0, 5), (1, 3), (2, 3), (3, 0), (9, 0)] {
            let (rest, aside) = states.hold_out(last).unwrap();
            assert_eq!(rest.text_ids().unwrap(), [0, 0, 0, 7, 7][..fitted], "{last}");
            assert_eq!(aside.text_ids().unwrap(), [0, 0, 0, 7, 7][fitted..], "{last}");
        }
        let first = Selection { first: Some(4), ..Selection::default() };
        assert_eq!(states.select(first).unwrap().text_ids().unwrap(), [0, 0, 0, 7]);
        let wrong = of_texts(|number| [[0, 0], [7, 0], [7, 7]][number]);
        finds(wrong.path(), &["sample 3: its text comes before that of the sample before it"]);
        // Where each sample is a text of its own, its number is the text's.
        let states = HiddenStates::open(folder(|_, _| {}).path()).unwrap();
        assert_eq!(states.text_ids().unwrap(), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_part_that_is_not_the_manifests_is_refused() {
        let dir = folder(|_, _| {});
        let part = |number| dir.path().join(part_file(number));
        let open = || HiddenStates::open(dir.path()).unwrap_err().to_string();
        assert_eq!(HiddenStates::open(dir.path()).unwrap().samples(), SAMPLES);
        // The part of another run has the same shape and other states.
        let other = folder(|_, rows| rows.levels.get_mut(&0).unwrap()[0] = 0.5);
        std::fs::copy(other.path().join(part_file(1)), part(1)).unwrap();
        assert!(open().contains("part-00001.parquet") && open().contains("SHA-256"), "{}", open());
        std::fs::write(part(0), "cut").unwrap();
        assert!(open().contains("has 3 bytes"), "{}", open());
        std::fs::remove_file(part(0)).unwrap();
        assert!(open().contains("is missing"), "{}", open());
        std::fs::copy(part(2), part(3)).unwrap();
        finds(
            dir.path(),
            &["SHA-256", "is missing", "cannot read", "part-00003.parquet: not in the manifest"],
        );
    }

    #[test]
    fn a_manifest_that_makes_no_sense_is_refused() {
        let dir = folder(|_, _| {});
        let refused = |change: fn(&mut HiddenManifest)| {
            let mut manifest = HiddenManifest::read(dir.path()).unwrap();
            let whole = manifest.clone();
            change(&mut manifest);
            manifest.write(dir.path()).unwrap();
            let error = verify(dir.path()).unwrap_err().to_string();
            whole.write(dir.path()).unwrap();
            error
        };
        assert!(refused(|manifest| manifest.parts[0].file = "../part".into()).contains("outside its folder"));
        assert!(refused(|manifest| manifest.inputs.samples = usize::MAX).contains("3 parts in all"));
        assert!(refused(|manifest| manifest.parts[0].samples = 1).contains("do not add up"));
        assert!(refused(|manifest| manifest.parts[0].samples = usize::MAX).contains("do not add up"));
        assert!(refused(|manifest| manifest.parts[1] = manifest.parts[0].clone()).contains("twice"));
        assert!(refused(|manifest| manifest.samples_per_part = 0).contains("parts of 0"));
    }
}
