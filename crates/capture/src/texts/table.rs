//! Parquet: the rows of a table, one of whose columns is the text, or a conversation.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, ArrayRef, LargeStringArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use onejump_core::files::FileError;
use onejump_core::guard;
use onejump_core::sniff;
use onejump_models::chat::Message;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::chat::{self, Chat};
use super::column::{chosen, no_column};
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
    chat: Chat,
    read: &AtomicU64,
) -> Result<impl Iterator<Item = Result<Text, CaptureError>> + use<>, CaptureError> {
    let file = File::open(&path).map_err(FileError::reading(&path))?;
    // Columns are read here and there in the file; it counts as a whole.
    read.fetch_add(file.metadata().map_err(FileError::reading(&path))?.len(), Ordering::Relaxed);
    let builder = guarded(&path, || ParquetRecordBatchReaderBuilder::try_new(file))?;
    let schema = builder.schema().clone();
    let refused = |reason: String| Place::File.wrong(&path, reason);
    let others = schema.fields().iter().map(|field| field.name().as_str());
    let found = chosen(column, others.clone()).and_then(|column| schema.column_with_name(column));
    let Some((_, field)) = found else {
        return Err(refused(no_column(column, &others.collect::<Vec<_>>())));
    };
    let (column, data_type) = (field.name(), field.data_type());
    let conversations = matches!(data_type, DataType::List(_) | DataType::LargeList(_));
    if !is_text(data_type) && !conversations {
        return Err(refused(format!(
            "has the column '{column}' of type {data_type}, expected strings or conversations"
        )));
    }
    let chat = conversations.then_some(chat);
    let mask = ProjectionMask::columns(builder.parquet_schema(), [column.as_str()]);
    let reader = guarded(&path, || builder.with_projection(mask).with_batch_size(ROWS).build())?;
    Ok(Batches { reader: Some(reader), path, column: column.clone(), chat, row: 0 }.flat_map(|batch| {
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
    column: String,
    /// What makes texts of conversations, where the column has such.
    chat: Option<Chat>,
    /// The number of the next row.
    row: usize,
}

impl Batches {
    fn texts(&mut self, batch: &RecordBatch) -> Result<Vec<Text>, CaptureError> {
        let first = self.row;
        self.row += batch.num_rows();
        let wrong = |place: Place, reason: String| {
            place.wrong(&self.path, format!("column '{}' {reason}", self.column))
        };
        let texts: Vec<String> = match &self.chat {
            None => strings(batch.column(0)).map_err(|reason| wrong(Place::File, reason))?,
            Some(chat) => {
                let turns =
                    chat::of_column(batch.column(0)).map_err(|reason| wrong(Place::Row(first), reason))?;
                let text = |(row, turns): (usize, Option<Vec<Message>>)| {
                    let text = chat.text(&turns.unwrap_or_default());
                    text.map_err(|reason| wrong(Place::Row(first + row), reason))
                };
                turns.into_iter().enumerate().map(text).collect::<Result<_, _>>()?
            }
        };
        let text = |(row, text): (usize, String)| Text {
            text,
            templated: self.chat.is_some(),
            path: self.path.clone(),
            place: Place::Row(first + row),
        };
        Ok(texts.into_iter().enumerate().map(text).collect())
    }
}

/// The strings of a column; a null is an empty one.
fn strings(column: &ArrayRef) -> Result<Vec<String>, String> {
    let strings = cast(column, &DataType::LargeUtf8).map_err(|error| format!("does not decode: {error}"))?;
    let strings: Option<&LargeStringArray> = strings.as_any().downcast_ref();
    let strings = strings.ok_or_else(|| "does not decode to strings".to_owned())?;
    Ok(strings.iter().map(|text| text.unwrap_or_default().to_owned()).collect())
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
