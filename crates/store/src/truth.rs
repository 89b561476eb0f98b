//! What the model itself predicts for each sample: one table per folder of hidden states, kept so
//! that the full head runs once per sample.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::StoreError;
use crate::table::{self, full_column};

/// The key of the metadata that says which states and which head the table belongs to.
const FINGERPRINT: &str = "onejump.fingerprint";

/// The true distributions of N samples, as far as the metrics need them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Truth {
    /// The most likely token of each sample.
    pub tokens: Vec<u32>,
    /// ln Σ exp(logits) of each sample: ln p(t) = logit(t) − this.
    pub logsumexp: Vec<f32>,
}

/// Writes the table.
///
/// # Errors
/// [`StoreError`] if the file cannot be written.
pub fn write_truth(path: &Path, truth: &Truth, fingerprint: &str) -> Result<(), StoreError> {
    let schema = Schema::new(vec![
        Field::new("token", DataType::UInt32, false),
        Field::new("logsumexp", DataType::Float32, false),
    ]);
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from(truth.tokens.clone())),
        Arc::new(Float32Array::from(truth.logsumexp.clone())),
    ];
    let batch = RecordBatch::try_new(Arc::new(schema), arrays).map_err(StoreError::arrow(path))?;
    let entry = KeyValue::new(FINGERPRINT.to_owned(), fingerprint.to_owned());
    table::write(path, &batch, WriterProperties::builder().set_key_value_metadata(Some(vec![entry])).build())
}

/// Reads the table if it is there and has this fingerprint.
///
/// # Errors
/// [`StoreError`] if the file is there but not such a table.
pub fn read_truth(path: &Path, fingerprint: &str) -> Result<Option<Truth>, StoreError> {
    if !path.is_file() {
        return Ok(None);
    }
    let builder = table::open(path)?;
    let entries = builder.metadata().file_metadata().key_value_metadata().into_iter().flatten();
    let found = entries.filter(|entry| entry.key == FINGERPRINT).find_map(|entry| entry.value.as_deref());
    if found != Some(fingerprint) {
        return Ok(None);
    }
    let batch = table::read(path, &["token", "logsumexp"])?;
    let tokens: &UInt32Array = full_column(path, &batch, "token", "uint32")?;
    let logsumexp: &Float32Array = full_column(path, &batch, "logsumexp", "float32")?;
    Ok(Some(Truth { tokens: tokens.values().to_vec(), logsumexp: logsumexp.values().to_vec() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_other_states_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("truth.parquet");
        assert_eq!(read_truth(&path, "a").unwrap(), None);
        let truth = Truth { tokens: vec![3, 1], logsumexp: vec![0.5, 1.5] };
        write_truth(&path, &truth, "a").unwrap();
        assert_eq!(read_truth(&path, "b").unwrap(), None);
        assert_eq!(read_truth(&path, "a").unwrap(), Some(truth));
    }
}
