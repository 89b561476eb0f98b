//! How each token of a text was found, as a table.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::StoreError;
use crate::table;

/// How a token was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Its place in the whole text, counted from 0.
    pub position: usize,
    /// Its id.
    pub token: i64,
    /// The level that said it.
    pub level: usize,
    /// How many early looks were made for it.
    pub looks: usize,
    /// The probability that the last of them gave its most likely token; none without a look.
    pub confidence: Option<f64>,
    /// What was drafted in its place, if anything was.
    pub draft: Option<i64>,
}

/// Writes position, token, level, looks, confidence, draft and accepted (whether the draft is the token; null where
/// nothing was drafted), a row per token.
///
/// # Errors
/// [`StoreError`] if the file cannot be written.
pub fn write(path: &Path, rows: &[Found]) -> Result<(), StoreError> {
    let schema = Schema::new(vec![
        Field::new("position", DataType::UInt32, false),
        Field::new("token", DataType::Int64, false),
        Field::new("level", DataType::UInt32, false),
        Field::new("looks", DataType::UInt32, false),
        Field::new("confidence", DataType::Float64, true),
        Field::new("draft", DataType::Int64, true),
        Field::new("accepted", DataType::Boolean, true),
    ]);
    let small = |get: fn(&Found) -> usize| -> ArrayRef {
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| get(row) as u32)))
    };
    let arrays: Vec<ArrayRef> = vec![
        small(|row| row.position),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.token))),
        small(|row| row.level),
        small(|row| row.looks),
        Arc::new(rows.iter().map(|row| row.confidence).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|row| row.draft).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.draft.map(|draft| draft == row.token)).collect::<BooleanArray>()),
    ];
    let batch = RecordBatch::try_new(Arc::new(schema), arrays).map_err(StoreError::arrow(path))?;
    let compression = Compression::ZSTD(ZstdLevel::default());
    table::write(path, &batch, WriterProperties::builder().set_compression(compression).build())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Array;

    #[test]
    fn the_columns_are_pinned() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.parquet");
        let found =
            Found { position: 5, token: 7, level: 30, looks: 1, confidence: Some(0.25), draft: Some(8) };
        let plain = Found { position: 6, looks: 0, confidence: None, draft: None, ..found };
        write(&path, &[found, plain]).unwrap();
        let names = ["position", "token", "level", "looks", "confidence", "draft", "accepted"];
        let batch = table::read(&path, &names).unwrap();
        let schema = batch.schema();
        let columns = schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type()));
        assert_eq!(
            columns.collect::<Vec<_>>().join(", "),
            "position UInt32, token Int64, level UInt32, looks UInt32, confidence Float64, draft Int64, accepted Boolean"
        );
        let accepted: &BooleanArray = table::column(&path, &batch, "accepted", "bool").unwrap();
        assert!(!accepted.value(0) && accepted.is_null(1));
        let confidence: &Float64Array = table::column(&path, &batch, "confidence", "float64").unwrap();
        assert!(confidence.value(0) == 0.25 && confidence.is_null(1));
    }
}
