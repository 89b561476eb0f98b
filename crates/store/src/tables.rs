//! The result tables: scores of every (jump, level), metrics of every (method, level).

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};
use onejump_core::results::{METRICS, Method, Metrics, WITHOUT_0};
use onejump_core::shortcut::Solver;
use onejump_core::words::UnknownWord;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::StoreError;
use crate::table::{self, column, full_column};

/// The score of one jump at one level, over the training samples (Eq. 4 and 5).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The level that the jump was trained at, 0..K-1.
    pub jump: usize,
    /// The level that it is applied to, 0..=K.
    pub level: usize,
    /// Mean of C.
    pub mean_cosine: f64,
    /// Mean of sgn(C)·C².
    pub mean_signed_square: f64,
}

/// Writes `scores.parquet`.
///
/// # Errors
/// [`StoreError`] if the file cannot be written.
pub fn write_scores(path: &Path, scores: &[Score]) -> Result<(), StoreError> {
    let schema = Schema::new(vec![
        Field::new("jump", DataType::UInt32, false),
        Field::new("level", DataType::UInt32, false),
        Field::new("mean_cosine", DataType::Float64, false),
        Field::new("mean_signed_square", DataType::Float64, false),
    ]);
    let floats = |get: fn(&Score) -> f64| Arc::new(Float64Array::from_iter_values(scores.iter().map(get)));
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from_iter_values(scores.iter().map(|score| score.jump as u32))),
        Arc::new(UInt32Array::from_iter_values(scores.iter().map(|score| score.level as u32))),
        floats(|score| score.mean_cosine),
        floats(|score| score.mean_signed_square),
    ];
    write(path, schema, arrays)
}

/// Reads `scores.parquet`.
///
/// # Errors
/// [`StoreError`] if it is not such a table.
pub fn read_scores(path: &Path) -> Result<Vec<Score>, StoreError> {
    let batch = table::read(path, &["jump", "level", "mean_cosine", "mean_signed_square"])?;
    let jump: &UInt32Array = full_column(path, &batch, "jump", "uint32")?;
    let level: &UInt32Array = full_column(path, &batch, "level", "uint32")?;
    let cosine: &Float64Array = full_column(path, &batch, "mean_cosine", "float64")?;
    let square: &Float64Array = full_column(path, &batch, "mean_signed_square", "float64")?;
    Ok((0..batch.num_rows())
        .map(|row| Score {
            jump: jump.value(row) as usize,
            level: level.value(row) as usize,
            mean_cosine: cosine.value(row),
            mean_signed_square: square.value(row),
        })
        .collect())
}

/// The metrics of one method at one exit level, over the test samples.
#[derive(Debug, Clone, PartialEq)]
pub struct PerLevel {
    /// The method.
    pub method: Method,
    /// The exit level, 0..K-1.
    pub level: usize,
    /// Over all samples.
    pub all: Metrics,
    /// Over the samples whose position is not 0; none if there are no such samples.
    pub without_0: Option<Metrics>,
}

/// Writes `per_level.parquet`: method, solver, rank, jump, parameters, level, then a column per
/// metric, and the metrics again without the samples at position 0.
///
/// # Errors
/// [`StoreError`] if the file cannot be written.
pub fn write_per_level(path: &Path, rows: &[PerLevel]) -> Result<(), StoreError> {
    let mut fields = vec![
        Field::new("method", DataType::Utf8, false),
        Field::new("solver", DataType::Utf8, true),
        Field::new("rank", DataType::UInt32, true),
        Field::new("jump", DataType::UInt32, true),
        Field::new("parameters", DataType::UInt64, false),
        Field::new("level", DataType::UInt32, false),
    ];
    let small = |get: fn(&PerLevel) -> Option<usize>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| get(row).map(|value| value as u32)).collect::<UInt32Array>())
    };
    let mut arrays: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.method.name.to_string()))),
        Arc::new(rows.iter().map(|row| row.method.solver.map(Solver::name)).collect::<StringArray>()),
        small(|row| row.method.rank),
        small(|row| row.method.jump),
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.method.parameters))),
        small(|row| Some(row.level)),
    ];
    type Of = fn(&PerLevel) -> Option<Metrics>;
    let groups: [(&str, Of); 2] = [("", |row| Some(row.all)), (WITHOUT_0, |row| row.without_0)];
    for (suffix, of) in groups {
        for (index, name) in METRICS.iter().enumerate() {
            let values = rows.iter().map(|row| of(row).and_then(|metrics| metrics.values()[index]));
            fields.push(Field::new(format!("{name}{suffix}"), DataType::Float64, true));
            arrays.push(Arc::new(values.collect::<Float64Array>()));
        }
    }
    write(path, Schema::new(fields), arrays)
}

/// Reads `per_level.parquet`.
///
/// # Errors
/// [`StoreError`] if it is not such a table.
pub fn read_per_level(path: &Path) -> Result<Vec<PerLevel>, StoreError> {
    let mut names: Vec<String> =
        ["method", "solver", "rank", "jump", "parameters", "level"].map(str::to_owned).to_vec();
    names.extend(METRICS.iter().map(|name| (*name).to_owned()));
    names.extend(METRICS.iter().map(|name| format!("{name}{WITHOUT_0}")));
    let batch = table::read(path, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
    let method: &StringArray = full_column(path, &batch, "method", "a string")?;
    let solver: &StringArray = column(path, &batch, "solver", "a string")?;
    let rank: &UInt32Array = column(path, &batch, "rank", "uint32")?;
    let jump: &UInt32Array = column(path, &batch, "jump", "uint32")?;
    let parameters: &UInt64Array = full_column(path, &batch, "parameters", "uint64")?;
    let level: &UInt32Array = full_column(path, &batch, "level", "uint32")?;
    let all = metric_columns(path, &batch, "")?;
    let without_0 = metric_columns(path, &batch, WITHOUT_0)?;
    let some = |array: &UInt32Array, row| array.is_valid(row).then(|| array.value(row) as usize);
    let row = |row: usize| -> Result<PerLevel, StoreError> {
        let missing = || StoreError::content(path, format!("row {row}: a metric is missing"));
        Ok(PerLevel {
            method: Method {
                name: word(path, "method", row, method.value(row))?,
                solver: match solver.is_valid(row) {
                    true => Some(word(path, "solver", row, solver.value(row))?),
                    false => None,
                },
                rank: some(rank, row),
                jump: some(jump, row),
                parameters: parameters.value(row),
            },
            level: level.value(row) as usize,
            all: metrics(&all, row).ok_or_else(missing)?,
            without_0: metrics(&without_0, row),
        })
    };
    (0..batch.num_rows()).map(row).collect()
}

fn word<W: FromStr<Err = UnknownWord>>(
    path: &Path,
    column: &str,
    row: usize,
    text: &str,
) -> Result<W, StoreError> {
    text.parse()
        .map_err(|unknown| StoreError::content(path, format!("column '{column}', row {row}: {unknown}")))
}

fn metric_columns<'a>(
    path: &Path,
    batch: &'a RecordBatch,
    suffix: &str,
) -> Result<Vec<&'a Float64Array>, StoreError> {
    METRICS.iter().map(|name| column(path, batch, &format!("{name}{suffix}"), "float64")).collect()
}

/// The metrics of a row; none if one that every method has is missing.
fn metrics(columns: &[&Float64Array], row: usize) -> Option<Metrics> {
    let value = |index: usize| columns[index].is_valid(row).then(|| columns[index].value(row));
    Metrics::from_values(std::array::from_fn(value))
}

fn write(path: &Path, schema: Schema, arrays: Vec<ArrayRef>) -> Result<(), StoreError> {
    let batch = RecordBatch::try_new(Arc::new(schema), arrays).map_err(StoreError::arrow(path))?;
    let compression = Compression::ZSTD(ZstdLevel::default());
    table::write(path, &batch, WriterProperties::builder().set_compression(compression).build())
}

#[cfg(test)]
mod tests {
    use onejump_core::results::MethodName;
    use onejump_core::shortcut::ShortcutKind;

    use super::*;

    #[test]
    fn tables_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.parquet");
        let scores = vec![
            Score { jump: 0, level: 30, mean_cosine: 0.5, mean_signed_square: 0.25 },
            Score { jump: 29, level: 0, mean_cosine: -0.1, mean_signed_square: -0.01 },
        ];
        write_scores(&path, &scores).unwrap();
        assert_eq!(read_scores(&path).unwrap(), scores);
        let error = read_per_level(&path).unwrap_err().to_string();
        assert!(error.contains("no column 'method'"), "{error}");

        let values = [Some(0.1), Some(0.2), Some(0.3), Some(4.0), Some(5.0), None, None];
        let metrics = Metrics::from_values(values).unwrap();
        let ojfa = Method {
            name: MethodName::Kind(ShortcutKind::Ojfa),
            solver: Some(Solver::Adam),
            rank: Some(5),
            jump: Some(12),
            parameters: 8064,
        };
        let better = Metrics { cosine: Some(0.9), relative_mse: Some(0.4), ..metrics };
        let rows = vec![
            PerLevel {
                method: Method::untrained(MethodName::Constant),
                level: 0,
                all: metrics,
                without_0: None,
            },
            PerLevel { method: ojfa, level: 3, all: better, without_0: Some(better) },
        ];
        write_per_level(&path, &rows).unwrap();
        assert_eq!(read_per_level(&path).unwrap(), rows);
    }
}
