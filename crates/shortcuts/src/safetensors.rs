//! Writing safetensors so that equal content gives equal bytes.
//!
//! The `safetensors` crate writes the metadata in the order of a hash map, which differs from run to run.
//! The format is a length, a JSON header and the data: this module writes them in the order of names. Files are read
//! with the crate.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use onejump_core::files::{self, FileError};
use onejump_tensor::rows::values;
use serde_json::{Map, json};
use tch::Tensor;

use crate::ShortcutError;

/// The header is padded with spaces to a multiple of this, so that the data is aligned.
const ALIGNMENT: usize = 8;

/// Writes f32 tensors and metadata, atomically.
pub(crate) fn write(
    path: &Path,
    tensors: &BTreeMap<String, &Tensor>,
    metadata: &BTreeMap<String, String>,
) -> Result<(), ShortcutError> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!(metadata));
    let mut data = Vec::new();
    for (name, tensor) in tensors {
        let start = data.len();
        for value in values(tensor)? {
            data.extend_from_slice(&value.to_le_bytes());
        }
        header.insert(
            name.clone(),
            json!({"dtype": "F32", "shape": tensor.size(), "data_offsets": [start, data.len()]}),
        );
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    files::write_with(path, |writer| {
        let mut put = |bytes: &[u8]| writer.write_all(bytes).map_err(FileError::writing(path));
        put(&(header.len() as u64).to_le_bytes())?;
        put(&header)?;
        put(&data)?;
        Ok(())
    })
}
