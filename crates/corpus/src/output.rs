//! `train.txt`, `test.txt` and `sentences.parquet`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use onejump_core::files::{FileError, write_with};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::sample::Drawn;
use crate::{Config, CorpusError};

/// Sentences to train on, one a line.
pub const TRAIN_FILE: &str = "train.txt";
/// Sentences to test on, one a line.
pub const TEST_FILE: &str = "test.txt";
/// Both, with the titles of their articles.
pub const PARQUET_FILE: &str = "sentences.parquet";

/// The columns of [`PARQUET_FILE`].
pub fn schema() -> Schema {
    let column = |name| Field::new(name, DataType::Utf8, false);
    Schema::new(vec![column("split"), column("title"), column("sentence")])
}

/// Writes all three files; returns their paths.
pub(crate) fn write(config: &Config, train: &[Drawn], test: &[Drawn]) -> Result<Vec<PathBuf>, CorpusError> {
    let path = |name| config.out.join(name);
    write_lines(&path(TRAIN_FILE), train)?;
    write_lines(&path(TEST_FILE), test)?;
    write_parquet(&path(PARQUET_FILE), train, test)?;
    Ok([TRAIN_FILE, TEST_FILE, PARQUET_FILE].map(path).into())
}

fn write_lines(path: &Path, sentences: &[Drawn]) -> Result<(), CorpusError> {
    write_with(path, |writer| {
        for drawn in sentences {
            writeln!(writer, "{}", drawn.sentence).map_err(FileError::writing(path))?;
        }
        Ok(())
    })
}

fn write_parquet(path: &Path, train: &[Drawn], test: &[Drawn]) -> Result<(), CorpusError> {
    write_with(path, |file| {
        let schema = Arc::new(schema());
        let properties =
            WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let fill = || -> Result<(), ParquetError> {
            let mut writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))?;
            for (split, sentences) in [("train", train), ("test", test)] {
                writer.write(&batch(&schema, split, sentences)?)?;
            }
            writer.close()?;
            Ok(())
        };
        fill().map_err(|source| CorpusError::Parquet { path: path.to_owned(), source })
    })
}

fn batch(schema: &Arc<Schema>, split: &str, sentences: &[Drawn]) -> Result<RecordBatch, ParquetError> {
    let columns: [StringArray; 3] = [
        StringArray::from_iter_values(sentences.iter().map(|_| split)),
        StringArray::from_iter_values(sentences.iter().map(|drawn| &drawn.title)),
        StringArray::from_iter_values(sentences.iter().map(|drawn| &drawn.sentence)),
    ];
    let columns = columns.map(|column| Arc::new(column) as ArrayRef).to_vec();
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
