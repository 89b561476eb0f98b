//! A folder of hidden states: its manifest, and its parts read as one table.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use onejump_core::files;
use onejump_core::levels::Levels;
use onejump_core::manifest::{HiddenManifest, Part};
use onejump_core::shard::Shard;
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

/// The samples of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRange {
    /// The part's number in the capture.
    pub part: usize,
    /// Which of the samples that are used it holds.
    pub samples: Range<usize>,
}

/// Which samples of a folder are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only so many, from the first on. They are a random choice: the sentences are in a random order already.
    pub first: Option<usize>,
    /// Without those at position 0, which are left out after `first` is counted.
    pub without_position_0: bool,
    /// Only those whose text has the token before as a sample of the folder too: [`HiddenStates::before`] gives it.
    pub with_previous: bool,
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.first.map_or("all".to_owned(), |first| format!("first {first}"));
        let position_0 = if self.without_position_0 { " without position 0" } else { "" };
        write!(f, "{first}{position_0}{}", if self.with_previous { " with the token before" } else { "" })
    }
}

impl HiddenStates {
    /// Opens a folder that `onejump-capture` has completed.
    ///
    /// # Errors
    /// [`StoreError`] if there is no manifest, or a part is missing or not the file that it lists.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let dir = dir.into();
        if dir.is_dir() {
            let manifest = HiddenManifest::read(&dir)?;
            if let Some(shard) = manifest.shard.filter(|_| !manifest.is_complete()) {
                return Err(StoreError::Shard { dir, shard });
            }
        }
        Self::open_shard(dir)
    }

    /// Opens a folder that `onejump-capture` has completed, or that of a shard: then its samples are the shard's.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_shard(dir: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let dir = dir.into();
        if !dir.is_dir() {
            return Err(StoreError::NoFolder { dir });
        }
        let manifest = HiddenManifest::read(&dir)?;
        if !manifest.is_finished() {
            let (parts, total) = (manifest.parts.len(), manifest.parts_expected());
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
        let samples = self.stored();
        let first = selection.first.unwrap_or(samples).min(samples);
        self.kept = None;
        self.selection = selection;
        if selection.with_previous {
            let (positions, texts) = (self.positions()?, self.text_ids()?);
            let behind = |row: &usize| {
                let before = row - 1;
                texts[before] == texts[*row] && positions[before] + 1 == positions[*row]
            };
            self.kept = Some((1..first).filter(behind).collect());
        } else if selection.without_position_0 {
            let positions = self.positions()?;
            self.kept = Some((0..first).filter(|&row| positions[row] > 0).collect());
        } else if first < samples {
            self.kept = Some((0..first).collect());
        }
        Ok(self)
    }

    /// Of each sample that is used the one of the token before, where only such samples are used
    /// ([`Selection::with_previous`]).
    pub fn before(&self) -> Option<Self> {
        let kept = self.kept.as_ref().filter(|_| self.selection.with_previous)?;
        Some(Self { kept: Some(kept.iter().map(|row| row - 1).collect()), ..self.clone() })
    }

    /// Sets the last samples aside, at least so many, and the rest of a text whose samples they are: what is fitted to the
    /// first of the two has seen no text of the second.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read which text a sample is of.
    pub fn hold_out(&self, last: usize) -> Result<(Self, Self), StoreError> {
        let (texts, mut border) = (self.text_ids()?, self.samples().saturating_sub(last));
        while border > 0 && border < texts.len() && texts[border - 1] == texts[border] {
            border -= 1;
        }
        let rows = self.kept.clone().unwrap_or_else(|| (0..self.samples()).collect());
        let part = |rows: &[usize]| Self { kept: Some(rows.to_vec()), ..self.clone() };
        Ok((part(&rows[..border]), part(&rows[border..])))
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
        self.kept.as_ref().map_or_else(|| self.stored(), Vec::len)
    }

    /// How many samples the folder holds.
    fn stored(&self) -> usize {
        self.manifest.parts.iter().map(|part| part.samples).sum()
    }

    /// The shard of a capture that the folder is of, also where the other shards have no part; none of a whole folder.
    pub fn shard(&self) -> Option<Shard> {
        self.manifest.shard
    }

    /// H.
    pub fn hidden_size(&self) -> usize {
        self.manifest.inputs.hidden_size
    }

    /// K; the levels are 0..=K.
    pub fn blocks(&self) -> usize {
        self.manifest.inputs.blocks
    }

    /// The levels whose states are stored, ascending: 0..=K, unless fewer were captured.
    pub fn levels(&self) -> Vec<usize> {
        self.manifest.inputs.stored_levels()
    }

    /// Refuses a folder that lacks the states of some levels: what needs all of them asks before it begins.
    ///
    /// # Errors
    /// [`StoreError::MissingLevels`], which names them.
    pub fn check_levels(&self, needed: impl IntoIterator<Item = usize>) -> Result<(), StoreError> {
        let stored = self.levels();
        let missing = Levels::new(needed.into_iter().filter(|level| !stored.contains(level)));
        if missing.as_slice().is_empty() {
            return Ok(());
        }
        let (dir, stored) = (self.dir.clone(), Levels::new(stored));
        Err(StoreError::MissingLevels { dir, stored, missing })
    }

    /// Which of the samples that are used each part holds, in the order of the parts.
    pub fn part_ranges(&self) -> Vec<PartRange> {
        let (mut row, mut start) = (0, 0);
        let ranges = self.manifest.numbered_parts().map(|(number, part)| {
            row += part.samples;
            let end = match &self.kept {
                None => row,
                Some(kept) => kept.partition_point(|&kept| kept < row),
            };
            let samples = start..end;
            start = end;
            PartRange { part: number, samples }
        });
        ranges.collect()
    }

    /// The states of one level, (N, H) row-major, in the order of the samples.
    ///
    /// # Errors
    /// [`StoreError`] if the level does not exist, a part is damaged, or a state is not finite.
    pub fn level(&self, level: usize) -> Result<Vec<f32>, StoreError> {
        self.level_rows(level, 0..self.samples())
    }

    /// The states of one level for some of the samples that are used, (rows, H) row-major. Only the parts that hold
    /// them are read, one level of them.
    ///
    /// # Errors
    /// As [`Self::level`].
    ///
    /// # Panics
    /// If there are fewer samples.
    pub fn level_rows(&self, level: usize, samples: Range<usize>) -> Result<Vec<f32>, StoreError> {
        if level > self.blocks() {
            return Err(StoreError::NoLevel { dir: self.dir.clone(), level, blocks: self.blocks() });
        }
        self.check_levels([level])?;
        let hidden_size = self.hidden_size();
        self.read_rows(samples, hidden_size, |path| part::read_level(path, level, hidden_size))
    }

    /// The sampled position of each sample, in the order of the samples.
    ///
    /// # Errors
    /// [`StoreError`] if a part is damaged.
    pub fn positions(&self) -> Result<Vec<u32>, StoreError> {
        self.read_rows(0..self.samples(), 1, part::read_positions)
    }

    /// Which text each sample is of, in the order of the samples, in which the samples of a text lie side by side. No
    /// states are read.
    ///
    /// # Errors
    /// [`StoreError`] if a part is damaged.
    pub fn text_ids(&self) -> Result<Vec<u64>, StoreError> {
        if self.manifest.inputs.texts.is_some() {
            return self.read_rows(0..self.samples(), 1, part::read_text_ids);
        }
        let numbers: Vec<u64> = self
            .manifest
            .numbered_parts()
            .flat_map(|(number, part)| {
                let first = number.saturating_mul(self.manifest.samples_per_part);
                (first..first.saturating_add(part.samples)).map(|number| number as u64)
            })
            .collect();
        Ok(match &self.kept {
            None => numbers,
            Some(kept) => kept.iter().map(|&row| numbers[row]).collect(),
        })
    }

    /// How many tokens the sentence of each sample has, in the order of the samples.
    ///
    /// # Errors
    /// [`StoreError`] if a part is damaged.
    pub fn lengths(&self) -> Result<Vec<u32>, StoreError> {
        Ok(self.token_ids()?.iter().map(|ids| ids.len() as u32).collect())
    }

    /// The token ids of the text of each sample, in the order of the samples.
    ///
    /// # Errors
    /// [`StoreError`] if a part is damaged.
    pub fn token_ids(&self) -> Result<Vec<Vec<i32>>, StoreError> {
        self.read_rows(0..self.samples(), 1, part::read_token_ids)
    }

    /// `width` values for each of some samples, which `read` takes from the parts that hold them.
    fn read_rows<T: Clone + Send>(
        &self,
        samples: Range<usize>,
        width: usize,
        read: impl Fn(&Path) -> Result<Vec<T>, StoreError> + Sync,
    ) -> Result<Vec<T>, StoreError> {
        // Rows of the folder: all of a range, or the kept ones of it.
        let (kept, range) = match &self.kept {
            None => (None, samples),
            Some(kept) => {
                let kept = &kept[samples];
                let range = kept.first().map_or(0..0, |first| *first..kept[kept.len() - 1] + 1);
                (Some(kept), range)
            }
        };
        let mut parts = Vec::new();
        let mut end = 0;
        for part in &self.manifest.parts {
            let start = end;
            end += part.samples;
            let rows = range.start.max(start)..range.end.min(end);
            if !rows.is_empty() {
                parts.push((part, start, rows));
            }
        }
        let read = |(part, ..): &(&Part, usize, Range<usize>)| self.read_part(part, width, &read);
        let values: Vec<Vec<T>> = parts.par_iter().map(read).collect::<Result<_, _>>()?;
        let mut wanted = Vec::with_capacity(range.len() * width);
        for ((_, start, rows), values) in parts.iter().zip(values) {
            wanted.extend_from_slice(&values[(rows.start - start) * width..(rows.end - start) * width]);
        }
        let Some(kept) = kept else { return Ok(wanted) };
        let row = |&row: &usize| wanted[(row - range.start) * width..][..width].iter().cloned();
        Ok(kept.iter().flat_map(row).collect())
    }

    /// What `read` takes from a part, if it is as much as the manifest says.
    fn read_part<T>(
        &self,
        part: &Part,
        width: usize,
        read: impl Fn(&Path) -> Result<Vec<T>, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let path = self.dir.join(&part.file);
        let values = read(&path)?;
        if values.len() != part.samples * width {
            return Err(StoreError::Rows { path, found: values.len() / width, expected: part.samples });
        }
        Ok(values)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::TextRows;
    use crate::verify::tests::{H, SAMPLES, folder};

    /// Five samples in parts of two: ranges begin and end within parts, and parts beside them are not opened.
    #[test]
    fn some_rows_of_a_level_are_those_of_the_whole_level() {
        let dir = folder(|number, rows| {
            let count = rows.levels[&1].len();
            rows.levels.insert(1, (0..count).map(|place| (number * 10 + place) as f32).collect());
            rows.positions[0] = u32::from(number > 0);
        });
        let all = HiddenStates::open(dir.path()).unwrap();
        let some = all
            .clone()
            .select(Selection { first: Some(4), without_position_0: true, ..Selection::default() })
            .unwrap();
        for (states, samples) in [(&all, SAMPLES), (&some, 3)] {
            let whole = states.level(1).unwrap();
            assert_eq!(whole.len(), samples * H);
            for start in 0..=samples {
                for end in start..=samples {
                    let rows = states.level_rows(1, start..end).unwrap();
                    assert_eq!(rows, whole[start * H..end * H], "{start}..{end}");
                }
            }
        }
        let ranges = |states: &HiddenStates| -> Vec<Range<usize>> {
            states.part_ranges().into_iter().map(|range| range.samples).collect()
        };
        assert_eq!(ranges(&all), [0..2, 2..4, 4..5]);
        assert_eq!(ranges(&some), [0..1, 1..3, 3..3]);
        std::fs::remove_file(dir.path().join(&all.manifest.parts[0].file)).unwrap();
        assert_eq!(all.level_rows(1, 2..5).unwrap().len(), 3 * H);
        assert!(all.level_rows(1, 1..5).is_err());
    }

    /// Text 0 is sampled at 3, 4 and 6, text 1 at 0 and 1, the last two in parts of their own: the second and the last
    /// sample stand behind another.
    #[test]
    fn samples_behind_another_and_those_before_them() {
        let (texts, positions) = ([0, 0, 0, 1, 1], [3, 4, 6, 0, 1]);
        let dir = folder(|number, rows| {
            let own = number * 2..(number * 2 + rows.positions.len());
            rows.positions = positions[own.clone()].to_vec();
            rows.texts = Some(TextRows { text_ids: texts[own.clone()].to_vec(), chunks: vec![0; own.len()] });
            let states = own.flat_map(|row| [row as f32; H]);
            rows.levels.insert(1, states.collect());
        });
        let mut manifest = HiddenManifest::read(dir.path()).unwrap();
        manifest.inputs.texts = Some(2);
        manifest.write(dir.path()).unwrap();
        let all = HiddenStates::open(dir.path()).unwrap();
        assert!(all.before().is_none());
        let behind = all.clone().select(Selection { with_previous: true, ..Selection::default() }).unwrap();
        assert_eq!(behind.selection().to_string(), "all with the token before");
        assert_ne!(behind.fingerprint(), all.fingerprint());
        let first = |states: &HiddenStates| -> Vec<f32> {
            states.level(1).unwrap().chunks(H).map(|row| row[0]).collect()
        };
        assert_eq!((first(&behind), first(&behind.before().unwrap())), (vec![1.0, 4.0], vec![0.0, 3.0]));
        let (rest, aside) = behind.hold_out(1).unwrap();
        assert_eq!((first(&rest.before().unwrap()), first(&aside.before().unwrap())), (vec![0.0], vec![3.0]));
        let some = Selection { first: Some(4), with_previous: true, ..Selection::default() };
        assert_eq!(first(&all.select(some).unwrap()), [1.0]);
    }
}
