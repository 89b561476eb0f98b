//! One safetensors file, read tensor by tensor: the header is in memory, the data stays on disk.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use onejump_core::files::FileError;
use onejump_core::sniff;
use safetensors::tensor::{Dtype, Metadata};
use tch::{Device, Kind, Tensor};

use crate::ModelError;

/// The length of the header stands first, in this many bytes.
const LENGTH_BYTES: u64 = 8;

/// So much of a tensor is read at a time: less than what the C library takes from the system and gives back each time,
/// which clears every page again.
const PIECE_BYTES: usize = 16 << 20;

/// The largest header that the safetensors library accepts, in bytes.
const MAX_HEADER: u64 = 100_000_000;

pub(super) struct Shard {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    data_start: u64,
}

impl Shard {
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        let file = File::open(path).map_err(FileError::reading(path))?;
        let size = file.metadata().map_err(FileError::reading(path))?.len();
        let broken = |reason: String| match sniff::refusal(path) {
            Some(refusal) => refusal.into(),
            None => ModelError::checkpoint(path, format!("is no safetensors file: {reason}")),
        };
        let mut length = [0; LENGTH_BYTES as usize];
        if size < LENGTH_BYTES {
            return Err(broken(format!("it has only {size} bytes")));
        }
        file.read_exact_at(&mut length, 0).map_err(FileError::reading(path))?;
        let header = u64::from_le_bytes(length);
        if header > MAX_HEADER || header > size - LENGTH_BYTES {
            return Err(broken(format!("its header would have {header} bytes, the file has {size}")));
        }
        let data_start = LENGTH_BYTES + header;
        let mut bytes = vec![0; header as usize];
        file.read_exact_at(&mut bytes, LENGTH_BYTES).map_err(FileError::reading(path))?;
        // The library checks that every tensor's bytes fit its shape and follow each other.
        let metadata: Metadata = serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
        let data = metadata.data_len() as u64;
        if data != size - data_start {
            return Err(broken(format!(
                "its header describes {data} bytes of tensors, the file has {}; the download may be incomplete",
                size - data_start
            )));
        }
        Ok(Self { path: path.to_owned(), file, metadata, data_start })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many values the tensors have whose names are counted.
    pub(super) fn parameters(&self, counts: impl Fn(&str) -> bool) -> u64 {
        let tensors = self.metadata.tensors();
        let counted = tensors.iter().filter(|(name, _)| counts(name));
        counted.map(|(_, info)| info.shape.iter().product::<usize>() as u64).sum()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.metadata.offset_keys().into_iter()
    }

    /// A tensor on a device, as it is stored.
    pub(super) fn tensor(&self, name: &str, device: Device) -> Result<Tensor, ModelError> {
        let wrong = |reason: String| ModelError::checkpoint(&self.path, format!("tensor '{name}' {reason}"));
        let info = self.metadata.info(name).ok_or_else(|| wrong("is not there".into()))?;
        let kind = match info.dtype {
            Dtype::F32 => Kind::Float,
            Dtype::F16 => Kind::Half,
            Dtype::BF16 => Kind::BFloat16,
            Dtype::F64 => Kind::Double,
            other => {
                return Err(wrong(format!(
                    "is of type {other:?}; known: F32, F16, BF16, F64. A quantised checkpoint has to be saved \
                     dequantised, or taken as GGUF"
                )));
            }
        };
        let (start, end) = info.data_offsets;
        let shape: Vec<_> = info.shape.iter().map(|&length| length as i64).collect();
        let whole = Tensor::f_empty(&shape, (kind, device))?;
        let flat = whole.f_view([-1])?;
        let mut bytes = vec![0; PIECE_BYTES.min(end - start)];
        for place in (start..end).step_by(PIECE_BYTES) {
            let piece = &mut bytes[..PIECE_BYTES.min(end - place)];
            let offset = self.data_start + place as u64;
            self.file.read_exact_at(piece, offset).map_err(FileError::reading(&self.path))?;
            let values = piece.len() / kind.elt_size_in_bytes();
            let first = (place - start) / kind.elt_size_in_bytes();
            let piece = Tensor::f_from_data_size(piece, &[values as i64], kind)?;
            flat.f_narrow(0, first as i64, values as i64)?.f_copy_(&piece)?;
        }
        Ok(whole)
    }
}
