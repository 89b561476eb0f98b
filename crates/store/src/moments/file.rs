//! Files of sums: safetensors with f64 tensors. They are larger than a free memory may be, so they are written and read
//! tensor by tensor, and two are added up without either in memory.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use onejump_core::files::{self, FileError};
use onejump_core::manifest::CaptureInputs;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Selected;
use super::sums::{Matrix, Sums};
use crate::StoreError;

/// The version of the format; a reader refuses a newer one.
const FORMAT: u32 = 1;

/// The header is padded with spaces to a multiple of this, so that the data is aligned.
const ALIGNMENT: usize = 8;

/// The longest header that is read: that of 10,000 levels is shorter.
const LONGEST_HEADER: u64 = 16 << 20;

/// Values that are added up at a time.
const CHUNK: usize = 1 << 16;

/// What a file of sums says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MomentsHeader {
    /// Everything that determines the states.
    pub inputs: CaptureInputs,
    /// The name of the selection; see [`Selected`].
    selection: String,
    /// How many samples the sums are over.
    pub samples: u64,
    /// The parts of the capture that are in the sums.
    pub parts: Range<usize>,
    /// How many parts the whole capture has.
    pub parts_total: usize,
    /// The exit levels.
    pub levels: Vec<usize>,
}

impl MomentsHeader {
    /// Of sums over some parts of a capture.
    pub fn new(
        inputs: CaptureInputs,
        selected: Selected,
        sums: &Sums,
        parts: Range<usize>,
        parts_total: usize,
    ) -> Self {
        let levels = sums.levels.keys().copied().collect();
        let selection = selected.to_string();
        Self { inputs, selection, samples: sums.samples, parts, parts_total, levels }
    }

    /// The tensors in the order of the file: names, and how many dimensions of size H each has.
    fn tensors(&self) -> Vec<(String, usize)> {
        let mut tensors = vec![("final.sum".to_owned(), 1), ("final.gram".to_owned(), 2)];
        for level in &self.levels {
            tensors.extend(
                [("sum", 1), ("gram", 2), ("cross", 2)]
                    .map(|(name, dimensions)| (format!("level.{level:02}.{name}"), dimensions)),
            );
        }
        tensors
    }

    /// How many values a tensor with so many dimensions has.
    fn values(&self, dimensions: usize) -> usize {
        self.inputs.hidden_size.pow(dimensions as u32)
    }

    /// The header of the file, and how many bytes of data follow it.
    fn encode(&self) -> (Map<String, Value>, usize) {
        let mut header = Map::new();
        let content = serde_json::to_string(self).unwrap_or_default();
        header.insert(
            "__metadata__".to_owned(),
            json!({"format": FORMAT.to_string(), "onejump_moments": content}),
        );
        let mut end = 0;
        for (name, dimensions) in self.tensors() {
            let (start, shape) = (end, vec![self.inputs.hidden_size; dimensions]);
            end += self.values(dimensions) * size_of::<f64>();
            header.insert(name, json!({"dtype": "F64", "shape": shape, "data_offsets": [start, end]}));
        }
        (header, end)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut header = Value::Object(self.encode().0).to_string().into_bytes();
        header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
        [&(header.len() as u64).to_le_bytes()[..], &header].concat()
    }
}

/// Writes sums, whole or not at all.
///
/// # Errors
/// [`StoreError`] if the file cannot be written.
pub fn write(path: &Path, header: &MomentsHeader, sums: &Sums) -> Result<(), StoreError> {
    files::write_with(path, |writer| {
        let mut out = Out { path, writer };
        out.bytes(&header.bytes())?;
        out.values(&sums.targets.sum)?;
        sums.targets.gram.rows(|values| out.values(values))?;
        for level in sums.levels.values() {
            out.values(&level.sum)?;
            level.gram.rows(|values| out.values(values))?;
            level.cross.rows(|values| out.values(values))?;
        }
        Ok(())
    })
}

struct Out<'a, 'b> {
    path: &'a Path,
    writer: &'a mut BufWriter<&'b File>,
}

impl Out<'_, '_> {
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(self.writer.write_all(bytes).map_err(FileError::writing(self.path))?)
    }

    fn values(&mut self, values: &[f64]) -> Result<(), StoreError> {
        values.iter().try_for_each(|value| self.bytes(&value.to_le_bytes()))
    }
}

/// An open file of sums.
#[derive(Debug)]
pub struct MomentsFile {
    path: PathBuf,
    reader: BufReader<File>,
    header: MomentsHeader,
    selected: Selected,
    /// Where the data begins.
    data: u64,
}

/// The sums of one level as they are in the file, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct LevelValues {
    /// Σ h, (H).
    pub sum: Vec<f64>,
    /// Σ hᵀh, (H, H).
    pub gram: Vec<f64>,
    /// Σ hᵀt, (H, H).
    pub cross: Vec<f64>,
}

impl MomentsFile {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read, or is no file of sums of the size that it says.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let refused = |reason: &str| {
            StoreError::content(path, format!("{reason}; it is no file of moments, or is damaged"))
        };
        let file = File::open(path).map_err(FileError::reading(path))?;
        let size = file.metadata().map_err(FileError::reading(path))?.len();
        let mut reader = BufReader::new(file);
        let mut length = [0; 8];
        reader.read_exact(&mut length).map_err(|_| refused("is too short"))?;
        let length = u64::from_le_bytes(length);
        if length > LONGEST_HEADER.min(size) {
            return Err(refused("has an impossible header"));
        }
        let mut header = vec![0; length as usize];
        reader.read_exact(&mut header).map_err(|_| refused("is too short"))?;
        let found: Map<String, Value> =
            serde_json::from_slice(&header).map_err(|_| refused("has no header in JSON"))?;
        let metadata = |key: &str| found.get("__metadata__")?.get(key)?.as_str();
        let format: Option<u32> = metadata("format").and_then(|format| format.parse().ok());
        if let Some(format) = format.filter(|&format| format > FORMAT) {
            return Err(StoreError::content(
                path,
                format!("has format {format}, this version knows {FORMAT}; a newer Onejump wrote it"),
            ));
        }
        let header: MomentsHeader = metadata("onejump_moments")
            .and_then(|content| serde_json::from_str(content).ok())
            .ok_or_else(|| refused("does not say what its sums are over"))?;
        let selected = header.selection.parse().map_err(|_| refused("has an unknown selection"))?;
        let possible = |level: &usize| *level < header.inputs.blocks;
        let ascending = header.levels.windows(2).all(|pair| pair[0] < pair[1]);
        // Sizes are small enough for products without overflow once the file is as large as they say.
        let hidden = header.inputs.hidden_size as u64;
        if hidden == 0 || hidden > size || !ascending || !header.levels.iter().all(possible) {
            return Err(refused("has impossible sizes"));
        }
        let needed = hidden.checked_mul(hidden).and_then(|matrix| matrix.checked_mul(8));
        if needed.is_none_or(|matrix| matrix > size) {
            return Err(refused("has impossible sizes"));
        }
        let (expected, bytes) = header.encode();
        if expected.iter().any(|(name, tensor)| name != "__metadata__" && found.get(name) != Some(tensor)) {
            return Err(refused("has other tensors than it says"));
        }
        let data = 8 + length;
        if size != data + bytes as u64 {
            return Err(refused("is not as long as it says"));
        }
        Ok(Self { path: path.to_owned(), reader, header, selected, data })
    }

    /// What the file says of itself.
    pub fn header(&self) -> &MomentsHeader {
        &self.header
    }

    /// Which samples the sums are over.
    pub fn selected(&self) -> Selected {
        self.selected
    }

    /// A hash that stands for the sums: of the file's content.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn fingerprint(&self) -> Result<String, StoreError> {
        Ok(files::sha256_file(&self.path)?)
    }

    /// The sums of an exit level.
    ///
    /// # Errors
    /// [`StoreError`] if the level is not there, or a value is not finite.
    pub fn level(&mut self, level: usize) -> Result<LevelValues, StoreError> {
        let [sum, gram, cross] = ["sum", "gram", "cross"].map(|name| format!("level.{level:02}.{name}"));
        Ok(LevelValues { sum: self.tensor(&sum)?, gram: self.tensor(&gram)?, cross: self.tensor(&cross)? })
    }

    /// The sums of the targets: Σ t (H), and Σ tᵀt (H, H).
    ///
    /// # Errors
    /// As [`Self::level`].
    pub fn targets(&mut self) -> Result<(Vec<f64>, Vec<f64>), StoreError> {
        Ok((self.tensor("final.sum")?, self.tensor("final.gram")?))
    }

    fn tensor(&mut self, name: &str) -> Result<Vec<f64>, StoreError> {
        let mut start = self.data;
        for (tensor, dimensions) in self.header.tensors() {
            let count = self.header.values(dimensions);
            if tensor == name {
                self.reader.seek(SeekFrom::Start(start)).map_err(FileError::reading(&self.path))?;
                let mut values = vec![0.0; count];
                self.read(&mut values)?;
                return match values.iter().find(|value| !value.is_finite()) {
                    Some(value) => {
                        Err(StoreError::content(&self.path, format!("has {value} in the tensor '{name}'")))
                    }
                    None => Ok(values),
                };
            }
            start += (count * size_of::<f64>()) as u64;
        }
        Err(StoreError::content(
            &self.path,
            format!("has no tensor '{name}'; capture again without --levels"),
        ))
    }

    /// Reads the next values.
    fn read(&mut self, values: &mut [f64]) -> Result<(), StoreError> {
        let mut bytes = [0; 8];
        for value in values {
            self.reader.read_exact(&mut bytes).map_err(FileError::reading(&self.path))?;
            *value = f64::from_le_bytes(bytes);
        }
        Ok(())
    }

    /// All sums, to go on adding to them.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    pub fn into_sums(mut self) -> Result<Sums, StoreError> {
        let mut sums = Sums::none(self.header.inputs.hidden_size, self.header.levels.iter().copied());
        sums.samples = self.header.samples;
        self.rewind()?;
        self.read(&mut sums.targets.sum)?;
        let matrix = |file: &mut Self, matrix: &mut Matrix| matrix.fill(|values| file.read(values));
        matrix(&mut self, &mut sums.targets.gram)?;
        for level in sums.levels.values_mut() {
            self.read(&mut level.sum)?;
            matrix(&mut self, &mut level.gram)?;
            matrix(&mut self, &mut level.cross)?;
        }
        Ok(sums)
    }

    /// To the first value.
    fn rewind(&mut self) -> Result<(), StoreError> {
        self.reader.seek(SeekFrom::Start(self.data)).map_err(FileError::reading(&self.path))?;
        Ok(())
    }

    /// Writes the sums of two files whose parts follow each other. Neither is in memory.
    ///
    /// # Errors
    /// [`StoreError`] if they are of different captures or selections, or cannot be read or written.
    pub(super) fn add(mut self, mut other: Self, path: &Path) -> Result<(), StoreError> {
        let header = MomentsHeader {
            samples: self.header.samples + other.header.samples,
            parts: self.header.parts.start..other.header.parts.end,
            ..self.header.clone()
        };
        let theirs =
            MomentsHeader { samples: header.samples, parts: header.parts.clone(), ..other.header.clone() };
        if theirs != header || self.header.parts.end != other.header.parts.start {
            let reason =
                format!("does not go on where {} ends, or is of another capture", self.path.display());
            return Err(StoreError::content(&other.path, reason));
        }
        self.rewind()?;
        other.rewind()?;
        files::write_with(path, |writer| {
            let mut out = Out { path, writer };
            out.bytes(&header.bytes())?;
            let mut left = header.encode().1 / size_of::<f64>();
            let (mut ours, mut theirs) = (vec![0.0; CHUNK], vec![0.0; CHUNK]);
            while left > 0 {
                let count = left.min(CHUNK);
                self.read(&mut ours[..count])?;
                other.read(&mut theirs[..count])?;
                for (sum, value) in ours[..count].iter_mut().zip(&theirs[..count]) {
                    *sum += value;
                }
                out.values(&ours[..count])?;
                left -= count;
            }
            Ok(())
        })
    }
}
