//! Reading and writing whole small tables: the plumbing below `part` and `tables`.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchReader};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Schema};
use onejump_core::files::{self, FileError};
use onejump_core::guard;
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;

use crate::StoreError;

/// Writes one record batch as a Parquet file with one row group, atomically.
pub(crate) fn write(
    path: &Path,
    batch: &RecordBatch,
    properties: WriterProperties,
) -> Result<(), StoreError> {
    files::write_with(path, |file| {
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties))
            .map_err(StoreError::parquet(path))?;
        writer.write(batch).map_err(StoreError::parquet(path))?;
        writer.close().map_err(StoreError::parquet(path))?;
        Ok(())
    })
}

/// Opens a Parquet file.
pub(crate) fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, StoreError> {
    let file = File::open(path).map_err(FileError::reading(path))?;
    guarded(path, || ParquetRecordBatchReaderBuilder::try_new(file).map_err(StoreError::parquet(path)))
}

/// The library panics at some damaged files (parquet 60: a negative offset of a column, a page
/// without its dictionary).
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    guard::catch(read)
        .unwrap_or_else(|| Err(StoreError::content(path, "is damaged; Parquet cannot be read there")))
}

/// Reads the named top-level columns of a Parquet file as one record batch.
pub(crate) fn read(path: &Path, columns: &[&str]) -> Result<RecordBatch, StoreError> {
    let builder = open(path)?;
    let schema = builder.schema().clone();
    for &column in columns {
        if schema.column_with_name(column).is_none() {
            return Err(StoreError::content(
                path,
                format!("has no column '{column}'; it has {}", names(&schema)),
            ));
        }
    }
    let rows = usize::try_from(builder.metadata().file_metadata().num_rows())
        .map_err(|_| StoreError::content(path, "says that it has a negative number of rows"))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    guarded(path, || {
        let reader = builder
            .with_projection(mask)
            .with_batch_size(rows.clamp(1, 1 << 16))
            .build()
            .map_err(StoreError::parquet(path))?;
        let schema = reader.schema();
        let batches = reader.collect::<Result<Vec<_>, _>>().map_err(StoreError::arrow(path))?;
        concat_batches(&schema, &batches).map_err(StoreError::arrow(path))
    })
}

fn names(schema: &Schema) -> String {
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    match names.as_slice() {
        [] => "none".to_owned(),
        [first, .., last] if names.len() > 12 => format!("{} columns, {first} to {last}", names.len()),
        names => names.join(", "),
    }
}

/// A column as the array type that it must have.
pub(crate) fn column<'a, A: Array + 'static>(
    path: &Path,
    batch: &'a RecordBatch,
    name: &str,
    expected: &str,
) -> Result<&'a A, StoreError> {
    let array: &ArrayRef = batch
        .column_by_name(name)
        .ok_or_else(|| StoreError::content(path, format!("has no column '{name}'")))?;
    array.as_any().downcast_ref::<A>().ok_or_else(|| wrong_type(path, name, expected, array.data_type()))
}

/// A column in which every row has a value.
pub(crate) fn full_column<'a, A: Array + 'static>(
    path: &Path,
    batch: &'a RecordBatch,
    name: &str,
    expected: &str,
) -> Result<&'a A, StoreError> {
    let array: &A = column(path, batch, name, expected)?;
    if array.null_count() > 0 {
        return Err(StoreError::content(path, format!("column '{name}' has missing values")));
    }
    Ok(array)
}

/// The error for a column of another type than expected.
pub(crate) fn wrong_type(path: &Path, name: &str, expected: &str, found: &DataType) -> StoreError {
    StoreError::content(path, format!("column '{name}' should be {expected}, but is {found}"))
}
