//! What the model itself predicts for each sample: one table per folder of hidden states, kept so
//! that the full head runs once per sample.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, FixedSizeListArray, Float32Array, RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::StoreError;
use crate::table::{self, full_column, wrong_type};

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
    table::write(path, &batch, properties(fingerprint))
}

/// Reads the table if it is there and has this fingerprint.
///
/// # Errors
/// [`StoreError`] if the file is there but not such a table.
pub fn read_truth(path: &Path, fingerprint: &str) -> Result<Option<Truth>, StoreError> {
    if !path.is_file() || found(&table::open(path)?).as_deref() != Some(fingerprint) {
        return Ok(None);
    }
    let batch = table::read(path, &["token", "logsumexp"])?;
    let tokens: &UInt32Array = full_column(path, &batch, "token", "uint32")?;
    let logsumexp: &Float32Array = full_column(path, &batch, "logsumexp", "float32")?;
    Ok(Some(Truth { tokens: tokens.values().to_vec(), logsumexp: logsumexp.values().to_vec() }))
}

/// Writes the expected unembedding rows Eᵀp of N samples, (N, H) row-major.
///
/// # Errors
/// [`StoreError`] if the file cannot be written.
pub fn write_expected(
    path: &Path,
    rows: Vec<f32>,
    hidden_size: usize,
    fingerprint: &str,
) -> Result<(), StoreError> {
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    let rows = Arc::new(Float32Array::from(rows));
    let list =
        FixedSizeListArray::try_new(item, hidden_size as i32, rows, None).map_err(StoreError::arrow(path))?;
    let schema = Schema::new(vec![Field::new("expected", list.data_type().clone(), false)]);
    let batch =
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(list)]).map_err(StoreError::arrow(path))?;
    table::write(path, &batch, properties(fingerprint))
}

/// Reads the expected rows if they are there and have this fingerprint.
///
/// # Errors
/// [`StoreError`] if the file is there but not such a table.
pub fn read_expected(path: &Path, fingerprint: &str) -> Result<Option<Vec<f32>>, StoreError> {
    if !path.is_file() || found(&table::open(path)?).as_deref() != Some(fingerprint) {
        return Ok(None);
    }
    let batch = table::read(path, &["expected"])?;
    let list: &FixedSizeListArray = full_column(path, &batch, "expected", "a fixed-size list of floats")?;
    let values = list.values().as_any().downcast_ref::<Float32Array>();
    let values = values.ok_or_else(|| wrong_type(path, "expected", "lists of float32", list.data_type()))?;
    Ok(Some(values.values().to_vec()))
}

fn properties(fingerprint: &str) -> WriterProperties {
    let entry = KeyValue::new(FINGERPRINT.to_owned(), fingerprint.to_owned());
    WriterProperties::builder().set_key_value_metadata(Some(vec![entry])).build()
}

fn found(builder: &ParquetRecordBatchReaderBuilder<File>) -> Option<String> {
    let entries = builder.metadata().file_metadata().key_value_metadata().into_iter().flatten();
    entries.filter(|entry| entry.key == FINGERPRINT).find_map(|entry| entry.value.clone())
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
        let rows = vec![0.5, -1.0, 2.0, 3.0];
        write_expected(&path, rows.clone(), 2, "c").unwrap();
        assert_eq!(read_expected(&path, "a").unwrap(), None);
        assert_eq!(read_expected(&path, "c").unwrap(), Some(rows));
    }
}
