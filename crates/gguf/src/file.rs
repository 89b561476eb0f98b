//! The file itself: its metadata by key, its tensors one at a time.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::gguf_file::{Content, TensorInfo, Value};
use onejump_core::guard;
use onejump_core::sniff::{self, Odd};

use crate::names::{self, Layout};
use crate::{GgufError, header};

/// A tensor in f32, row-major, with its shape in Hugging Face's order: (out, in).
#[derive(Debug, Clone, PartialEq)]
pub struct F32Tensor {
    /// The lengths of the axes.
    pub shape: Vec<usize>,
    /// The values, as many as the product of `shape`.
    pub values: Vec<f32>,
}

/// An open GGUF file, or all the parts of one that was cut. The metadata is in memory; a tensor is read when it is
/// asked for.
pub struct GgufFile {
    path: PathBuf,
    /// In order; the first has the metadata.
    parts: Vec<Part>,
}

/// One file on disk.
pub(crate) struct Part {
    pub(crate) path: PathBuf,
    reader: BufReader<File>,
    pub(crate) content: Content,
}

impl GgufFile {
    /// Opens a file and reads its metadata. Of a file in parts any part may be given; all of them are opened.
    ///
    /// # Errors
    /// [`GgufError`] if it cannot be read, is not GGUF, or lacks a part.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        Ok(Self { path: path.to_owned(), parts: Self::open_parts(path)? })
    }

    /// The files that hold it: one, or its parts in order.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.parts.iter().map(|part| part.path.as_path())
    }

    fn infos(&self) -> impl Iterator<Item = (&String, &TensorInfo)> {
        self.parts.iter().flat_map(|part| &part.content.tensor_infos)
    }

    /// llama.cpp's names of all tensors.
    pub(crate) fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.infos().map(|(name, _)| name.as_str())
    }

    /// The keys of the metadata.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().take(1).flat_map(|part| part.content.metadata.keys().map(String::as_str))
    }

    /// How many values all tensors have together.
    pub fn parameters(&self) -> u64 {
        self.infos().map(|(_, info)| info.shape.elem_count() as u64).sum()
    }

    /// Whether the file has a tensor for this Hugging Face name.
    pub fn has_tensor(&self, name: &str) -> bool {
        self.gguf_name(name).is_some_and(|name| self.has(&name))
    }

    /// The tensor of a Hugging Face name, dequantised, in Hugging Face's layout.
    ///
    /// # Errors
    /// [`GgufError`] if there is no such tensor, or its data is cut short.
    pub fn tensor(&mut self, name: &str) -> Result<F32Tensor, GgufError> {
        let gguf_name = self
            .gguf_name(name)
            .ok_or_else(|| self.content_error(format!("no GGUF name is known for tensor '{name}'")))?;
        if !self.has(&gguf_name) {
            return Err(self.content_error(format!("has no tensor '{gguf_name}' (for '{name}')")));
        }
        let F32Tensor { shape, values } = self.dequantised(&gguf_name)?;
        Ok(match names::layout(name, self.architecture()?) {
            Layout::Same => F32Tensor { shape, values },
            Layout::RotaryQuery => self.undo_rotary_order(values, shape, self.heads()?)?,
            Layout::RotaryKey => self.undo_rotary_order(values, shape, self.kv_heads()?)?,
            Layout::HeadByHead => self.head_by_head(values, shape, self.heads()?)?,
            Layout::Transposed => transposed(&values, &shape),
        })
    }

    /// The tensor of llama.cpp's name, dequantised, as it lies in the file.
    pub(crate) fn dequantised(&mut self, gguf_name: &str) -> Result<F32Tensor, GgufError> {
        let holds = |part: &&mut Part| part.content.tensor_infos.contains_key(gguf_name);
        let Some(Part { path, reader, content }) = self.parts.iter_mut().find(holds) else {
            return Err(self.content_error(format!("has no tensor '{gguf_name}'")));
        };
        let format = |source| format_error(path, source);
        let tensor = content.tensor(reader, gguf_name, &Device::Cpu).map_err(format)?;
        let tensor = tensor.dequantize(&Device::Cpu).map_err(format)?;
        let shape = tensor.dims().to_vec();
        let values = tensor.flatten_all().and_then(|flat| flat.to_vec1::<f32>()).map_err(format)?;
        Ok(F32Tensor { shape, values })
    }

    fn gguf_name(&self, name: &str) -> Option<String> {
        names::gguf_name(name, self.architecture().ok()?)
    }

    /// Whether the file has a tensor of llama.cpp's name.
    pub(crate) fn has(&self, gguf_name: &str) -> bool {
        self.parts.iter().any(|part| part.content.tensor_infos.contains_key(gguf_name))
    }

    /// The shape of the tensor of llama.cpp's name.
    pub(crate) fn shape(&self, gguf_name: &str) -> Result<&[usize], GgufError> {
        let info = self.parts.iter().find_map(|part| part.content.tensor_infos.get(gguf_name));
        info.map(|info| info.shape.dims())
            .ok_or_else(|| self.content_error(format!("has no tensor '{gguf_name}'")))
    }

    /// llama.cpp stores the rows of each head of a rotary projection as (d/2, 2); Hugging Face as
    /// (2, d/2).
    fn undo_rotary_order(
        &self,
        values: Vec<f32>,
        shape: Vec<usize>,
        heads: usize,
    ) -> Result<F32Tensor, GgufError> {
        // A bias has one value where a weight has a row.
        let (rows, columns) = match shape[..] {
            [rows] => (rows, 1),
            [rows, columns] => (rows, columns),
            _ => return Ok(F32Tensor { shape, values }),
        };
        if heads == 0 || rows % (2 * heads) != 0 {
            return Err(self.content_error(format!("{rows} rows do not divide into {heads} rotary heads")));
        }
        let half = rows / heads / 2;
        let mut ordered = Vec::with_capacity(values.len());
        for head in 0..heads {
            for part in 0..2 {
                for index in 0..half {
                    let row = head * 2 * half + index * 2 + part;
                    ordered.extend_from_slice(&values[row * columns..(row + 1) * columns]);
                }
            }
        }
        Ok(F32Tensor { shape, values: ordered })
    }

    /// llama.cpp stores GPT-NeoX's queries, keys and values as (3, A, d) rows; Hugging Face as (A, 3, d).
    fn head_by_head(
        &self,
        values: Vec<f32>,
        shape: Vec<usize>,
        heads: usize,
    ) -> Result<F32Tensor, GgufError> {
        let rows = shape.first().copied().unwrap_or_default();
        if heads == 0 || rows % (3 * heads) != 0 {
            return Err(
                self.content_error(format!("{rows} rows do not divide into 3 parts of {heads} heads"))
            );
        }
        // What one head has of one part, with all columns of its rows.
        let size = values.len() / (3 * heads);
        let order = (0..heads).flat_map(|head| (0..3).map(move |part| part * heads + head));
        let ordered = order.flat_map(|piece| values[piece * size..][..size].iter().copied()).collect();
        Ok(F32Tensor { shape, values: ordered })
    }

    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.parts.first()?.content.metadata.get(key)
    }

    pub(crate) fn required(&self, key: &str) -> Result<&Value, GgufError> {
        self.value(key).ok_or_else(|| self.content_error(format!("lacks the metadata '{key}'")))
    }

    pub(crate) fn string(&self, key: &str) -> Result<&str, GgufError> {
        let value = self.required(key)?;
        value.to_string().map(String::as_str).map_err(|_| self.content_error(format!("'{key}' is no text")))
    }

    pub(crate) fn strings(&self, key: &str) -> Result<Vec<&str>, GgufError> {
        let wrong = || self.content_error(format!("'{key}' is no list of texts"));
        let list = self.required(key)?.to_vec().map_err(|_| wrong())?;
        list.iter().map(|value| value.to_string().map(String::as_str).map_err(|_| wrong())).collect()
    }

    /// A whole number, whatever its width in the file.
    pub(crate) fn integer(&self, key: &str) -> Result<u64, GgufError> {
        let value = self.required(key)?;
        // A list has one number for each block.
        if let Value::Array(blocks) = value {
            let first = blocks.first().and_then(integer);
            let alike = blocks.iter().all(|block| integer(block) == first);
            return first.filter(|_| alike).ok_or_else(|| {
                self.content_error(format!(
                    "'{key}' differs from block to block, which is not supported in GGUF"
                ))
            });
        }
        integer(value).ok_or_else(|| self.content_error(format!("'{key}' is no whole number of 0 or more")))
    }

    pub(crate) fn content_error(&self, reason: String) -> GgufError {
        GgufError::Content { path: self.path.clone(), reason }
    }
}

impl Part {
    pub(crate) fn open(path: &Path) -> Result<Self, GgufError> {
        let refused = |source| GgufError::Read { path: path.to_owned(), source };
        let wrong = |reason| GgufError::Content { path: path.to_owned(), reason };
        let file = File::open(path).map_err(refused)?;
        let size = file.metadata().map_err(refused)?.len();
        match sniff::file(path) {
            Some(Odd::Gguf) | None => {}
            Some(odd) => return Err(wrong(odd.to_string())),
        }
        let mut reader = BufReader::new(file);
        // The library divides by the alignment in the file, which may be 0 (candle 0.11).
        let content = guard::catch(|| Content::read(&mut reader))
            .ok_or_else(|| wrong("its header makes no sense, for instance an alignment of 0".into()))?;
        let content = match content {
            Ok(content) => content,
            Err(source) => {
                return Err(header::reason(&mut reader).map_or_else(|| format_error(path, source), wrong));
            }
        };
        let part = Self { path: path.to_owned(), reader, content };
        // The library makes a slice from a null pointer for an empty tensor (candle 0.11).
        if let Some(name) = part.empty_tensor() {
            return Err(wrong(format!("tensor '{name}' has no values")));
        }
        match part.tensor_outside(size) {
            Some(name) => Err(wrong(format!(
                "tensor '{name}' lies beyond the end of the file, which has {size} bytes; the download may be \
                 incomplete, or the file the first of several pieces that belong joined (cat)"
            ))),
            None => Ok(part),
        }
    }

    fn empty_tensor(&self) -> Option<&str> {
        let empty = self.content.tensor_infos.iter().filter(|(_, info)| info.shape.dims().contains(&0));
        empty.map(|(name, _)| name.as_str()).min()
    }

    /// The first tensor whose data do not lie in a file of this size.
    fn tensor_outside(&self, size: u64) -> Option<&str> {
        let inside = |info: &TensorInfo| -> Option<bool> {
            let lengths = info.shape.dims().iter();
            let values = lengths.copied().try_fold(1usize, usize::checked_mul)?;
            let bytes = (values / info.ggml_dtype.block_size()).checked_mul(info.ggml_dtype.type_size())?;
            let start = self.content.tensor_data_offset.checked_add(info.offset)?;
            Some(start.checked_add(bytes as u64)? <= size)
        };
        let outside = self.content.tensor_infos.iter().filter(|(_, info)| inside(info) != Some(true));
        outside.map(|(name, _)| name.as_str()).min()
    }
}

/// The transpose of a matrix.
fn transposed(values: &[f32], shape: &[usize]) -> F32Tensor {
    let &[rows, columns] = shape else {
        return F32Tensor { shape: shape.to_vec(), values: values.to_vec() };
    };
    let mut turned = Vec::with_capacity(values.len());
    for column in 0..columns {
        turned.extend((0..rows).map(|row| values[row * columns + column]));
    }
    F32Tensor { shape: vec![columns, rows], values: turned }
}

/// A metadata value as a whole number of 0 or more.
pub(crate) fn integer(value: &Value) -> Option<u64> {
    match *value {
        Value::U8(v) => Some(v.into()),
        Value::U16(v) => Some(v.into()),
        Value::U32(v) => Some(v.into()),
        Value::U64(v) => Some(v),
        Value::I8(v) => v.try_into().ok(),
        Value::I16(v) => v.try_into().ok(),
        Value::I32(v) => v.try_into().ok(),
        Value::I64(v) => v.try_into().ok(),
        _ => None,
    }
}

fn format_error(path: &Path, source: candle_core::Error) -> GgufError {
    GgufError::Format { path: path.to_owned(), source }
}
