//! Parquet: the rows of a table, one of whose columns is the text.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, LargeStringArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use onejump_core::files::FileError;
use onejump_core::guard;
use onejump_core::sniff;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::column::{DEFAULT_COLUMN, is_chat, no_column};
use super::text::{Place, Text};
use crate::CaptureError;

/// Rows that are read at a time.
const ROWS: usize = 512;

/// The texts in a column of the file.
///
/// # Errors
/// [`CaptureError`] if it is no Parquet, or has no such column of strings.
pub(super) fn texts(
    path: PathBuf,
    column: &str,
    read: &AtomicU64,
) -> Result<impl Iterator<Item = Result<Text, CaptureError>> + use<>, CaptureError> {
    let file = File::open(&path).map_err(FileError::reading(&path))?;
    // Columns are read here and there in the file; it counts as a whole.
    read.fetch_add(file.metadata().map_err(FileError::reading(&path))?.len(), Ordering::Relaxed);
    let builder = guarded(&path, || ParquetRecordBatchReaderBuilder::try_new(file))?;
    let schema = builder.schema().clone();
    let refused = |reason: String| Place::File.wrong(&path, reason);
    let Some((_, field)) = schema.column_with_name(column) else {
        let others: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        return Err(refused(no_column(column, &others)));
    };
    if !is_text(field.data_type()) {
        let list =
            matches!(field.data_type(), DataType::List(_) | DataType::LargeList(_) | DataType::Struct(_));
        return Err(refused(if list && column != DEFAULT_COLUMN {
            is_chat(column)
        } else {
            format!("has the column '{column}' of type {}, expected strings", field.data_type())
        }));
    }
    let mask = ProjectionMask::columns(builder.parquet_schema(), [column]);
    let reader = guarded(&path, || builder.with_projection(mask).with_batch_size(ROWS).build())?;
    Ok(Batches { reader: Some(reader), path, row: 0 }.flat_map(|batch| {
        let (texts, error) = match batch {
            Ok(texts) => (texts, None),
            Err(error) => (Vec::new(), Some(Err(error))),
        };
        texts.into_iter().map(Ok).chain(error)
    }))
}

/// Whether a column holds strings, however they are laid out.
fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text(values),
        other => matches!(other, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
    }
}

/// The texts of some rows at a time.
struct Batches {
    /// None behind an error.
    reader: Option<ParquetRecordBatchReader>,
    path: PathBuf,
    /// The number of the next row.
    row: usize,
}

impl Batches {
    fn texts(&mut self, batch: &RecordBatch) -> Result<Vec<Text>, CaptureError> {
        let refused = |reason: String| Place::File.wrong(&self.path, reason);
        let strings =
            cast(batch.column(0), &DataType::LargeUtf8).map_err(|error| refused(error.to_string()))?;
        let strings: Option<&LargeStringArray> = strings.as_any().downcast_ref();
        let strings = strings.ok_or_else(|| refused("its column does not decode to strings".to_owned()))?;
        let first = self.row;
        self.row += strings.len();
        let text = |row: usize| Text {
            text: if strings.is_null(row) { String::new() } else { strings.value(row).to_owned() },
            path: self.path.clone(),
            place: Place::Row(first + row),
        };
        Ok((0..strings.len()).map(text).collect())
    }
}

impl Iterator for Batches {
    type Item = Result<Vec<Text>, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = self.reader.as_mut()?;
        let batch = guarded(&self.path, || reader.next().transpose());
        let texts = batch.transpose()?.and_then(|batch| self.texts(&batch));
        if texts.is_err() {
            self.reader = None;
        }
        Some(texts)
    }
}

/// The library panics at some damaged files.
fn guarded<T, E: std::fmt::Display>(
    path: &Path,
    read: impl FnOnce() -> Result<T, E>,
) -> Result<T, CaptureError> {
    let reason = match guard::catch(read) {
        Some(Ok(value)) => return Ok(value),
        Some(Err(error)) => error.to_string(),
        None => "is damaged; Parquet cannot be read there".to_owned(),
    };
    Err(match sniff::refusal(path) {
        Some(odd) => odd.into(),
        None => Place::File.wrong(path, reason),
    })
}
