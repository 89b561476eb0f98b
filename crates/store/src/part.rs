//! One Parquet part of hidden states: one row per sample, one column per level.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, FixedSizeListArray, Float16Array, Float32Array, Int32Array, ListArray, RecordBatch,
    StringArray, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Schema};
use half::slice::HalfFloatSliceExt;
use half::vec::HalfFloatVecExt;
use half::{bf16, f16};
use onejump_core::layout::level_column;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use crate::StoreError;
use crate::dtype::StoreDtype;
use crate::table::{self, column, full_column, wrong_type};

/// The rows of a part: N samples, at the levels that are stored.
#[derive(Debug, Clone, PartialEq)]
pub struct PartRows {
    /// The samples' numbers in the whole folder.
    pub sample_ids: Vec<u64>,
    /// The samples' texts, where known.
    pub sentences: Vec<Option<String>>,
    /// The token ids of the whole sentences.
    pub token_ids: Vec<Vec<i32>>,
    /// The sampled positions.
    pub positions: Vec<u32>,
    /// Which text each row is of; none where each is of another.
    pub texts: Option<TextRows>,
    /// The states at each level that is stored, (N, H) row-major.
    pub levels: BTreeMap<usize, Vec<f32>>,
}

/// Which text each row of a part is of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextRows {
    /// The texts' numbers in the input.
    pub text_ids: Vec<u64>,
    /// Which piece of its text a row is of, from 0: long texts are cut.
    pub chunks: Vec<u32>,
}

/// Writes a part, whole or not at all, compressed with Zstandard.
///
/// # Errors
/// [`StoreError`] if the file cannot be written, or a state does not fit into the type.
pub fn write_part(
    path: &Path,
    rows: &PartRows,
    hidden_size: usize,
    dtype: StoreDtype,
) -> Result<(), StoreError> {
    let token_offsets = OffsetBuffer::from_lengths(rows.token_ids.iter().map(Vec::len));
    let tokens = Int32Array::from_iter_values(rows.token_ids.iter().flatten().copied());
    let token_ids = ListArray::try_new(item(DataType::Int32), token_offsets, Arc::new(tokens), None)
        .map_err(StoreError::arrow(path))?;
    let mut arrays: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from(rows.sample_ids.clone())),
        Arc::new(StringArray::from(rows.sentences.clone())),
        Arc::new(token_ids),
        Arc::new(UInt32Array::from(rows.positions.clone())),
    ];
    if let Some(texts) = &rows.texts {
        arrays.push(Arc::new(UInt64Array::from(texts.text_ids.clone())));
        arrays.push(Arc::new(UInt32Array::from(texts.chunks.clone())));
    }
    let levels: Vec<usize> = rows.levels.keys().copied().collect();
    for (&level, states) in &rows.levels {
        let name = level_column(level);
        let values: ArrayRef = match dtype {
            StoreDtype::F32 => Arc::new(Float32Array::from(states.clone())),
            StoreDtype::F16 => Arc::new(half_states(path, &name, states)?),
            StoreDtype::Bf16 => Arc::new(brain_states(path, &name, states)?),
        };
        let list = FixedSizeListArray::try_new(item(dtype.arrow()), hidden_size as i32, values, None)
            .map_err(StoreError::arrow(path))?;
        arrays.push(Arc::new(list));
    }
    let columns = columns(rows.texts.is_some(), &levels, hidden_size, dtype);
    let fields = columns.into_iter().map(|(name, data_type)| {
        let nullable = name == "sentence";
        Field::new(name, data_type, nullable)
    });
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let batch = RecordBatch::try_new(Arc::new(schema), arrays).map_err(StoreError::arrow(path))?;
    table::write(path, &batch, properties(&levels, dtype))
}

fn item(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", data_type, false))
}

/// Refuses a state beyond the largest value of a type.
fn check_size(
    path: &Path,
    column: &str,
    states: &[f32],
    dtype: StoreDtype,
    largest: f32,
) -> Result<(), StoreError> {
    match states.iter().find(|value| value.abs() > largest) {
        Some(&value) => {
            Err(StoreError::TooLarge { path: path.to_owned(), column: column.to_owned(), value, dtype })
        }
        None => Ok(()),
    }
}

/// The upper halves of f32 values, rounded to nearest, ties to even.
fn brain_states(path: &Path, column: &str, states: &[f32]) -> Result<UInt16Array, StoreError> {
    check_size(path, column, states, StoreDtype::Bf16, bf16::MAX.to_f32())?;
    let mut brain = vec![bf16::ZERO; states.len()];
    brain.convert_from_f32_slice(states);
    Ok(UInt16Array::from(brain.reinterpret_into()))
}

fn half_states(path: &Path, column: &str, states: &[f32]) -> Result<Float16Array, StoreError> {
    check_size(path, column, states, StoreDtype::F16, f16::MAX.to_f32())?;
    let mut half = vec![f16::ZERO; states.len()];
    half.convert_from_f32_slice(states);
    Ok(Float16Array::from(half))
}

fn properties(levels: &[usize], dtype: StoreDtype) -> WriterProperties {
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let mut builder = WriterProperties::builder().set_compression(zstd);
    for &level in levels {
        let path = ColumnPath::new(vec![level_column(level), "list".to_owned(), "item".to_owned()]);
        builder = builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, dtype.encoding());
    }
    builder.build()
}

/// Reads one level of a part as f32, (N, H) row-major. Only this column is read from disk.
///
/// # Errors
/// [`StoreError`] if the column is missing, of another type or width, or holds NaN or infinity.
pub fn read_level(path: &Path, level: usize, hidden_size: usize) -> Result<Vec<f32>, StoreError> {
    let name = level_column(level);
    let batch = table::read(path, &[&name])?;
    let list: &FixedSizeListArray = column(path, &batch, &name, "a fixed-size list of floats")?;
    if list.value_length() as usize != hidden_size {
        return Err(StoreError::HiddenSize {
            path: path.to_owned(),
            column: name,
            found: list.value_length() as usize,
            expected: hidden_size,
        });
    }
    if list.null_count() > 0 || list.values().null_count() > 0 {
        return Err(StoreError::content(path, format!("column '{name}' has missing values")));
    }
    let (values, found) = (Arc::clone(list.values()), list.data_type().clone());
    drop(batch); // Without other owners, the values can be taken without a copy.
    let states = if let Some(floats) = values.as_any().downcast_ref::<Float32Array>() {
        let floats = floats.values().clone();
        drop(values);
        Vec::from(floats)
    } else if let Some(values) = values.as_any().downcast_ref::<Float16Array>() {
        let mut states = vec![0.0; values.len()];
        values.values().convert_to_f32_slice(&mut states);
        states
    } else if let Some(values) = values.as_any().downcast_ref::<UInt16Array>() {
        values.values().iter().map(|&upper| f32::from_bits(u32::from(upper) << 16)).collect()
    } else {
        return Err(wrong_type(path, &name, "lists of float32, float16, or bfloat16 as uint16", &found));
    };
    if !all_finite(&states) {
        let index = states.iter().position(|value| !value.is_finite()).unwrap_or_default();
        return Err(StoreError::NotFinite {
            path: path.to_owned(),
            column: name,
            row: index / hidden_size,
            value: states[index],
        });
    }
    Ok(states)
}

/// Whether no value is NaN or infinite. It looks at all of them: a loop that may end early is not vectorised.
fn all_finite(values: &[f32]) -> bool {
    const EXPONENT: u32 = 0x7f80_0000;
    let special = |value: &f32| u32::from(value.to_bits() & EXPONENT == EXPONENT);
    values.iter().map(special).fold(0, |any, special| any | special) == 0
}

/// Reads the samples' numbers.
///
/// # Errors
/// [`StoreError`] if the column is missing or of another type.
pub fn read_sample_ids(path: &Path) -> Result<Vec<u64>, StoreError> {
    read_u64(path, "sample_id")
}

/// Reads which text each row of a part is of; a part whose rows are of a text each has no such column.
///
/// # Errors
/// [`StoreError`] if the column is missing or of another type.
pub fn read_text_ids(path: &Path) -> Result<Vec<u64>, StoreError> {
    read_u64(path, "text_id")
}

/// Reads which piece of its text each row of a part is of, where parts say so.
///
/// # Errors
/// [`StoreError`] if the column is missing or of another type.
pub fn read_chunks(path: &Path) -> Result<Vec<u32>, StoreError> {
    read_u32(path, "chunk")
}

/// Reads the sampled positions of a part.
///
/// # Errors
/// [`StoreError`] if the column is missing or of another type.
pub fn read_positions(path: &Path) -> Result<Vec<u32>, StoreError> {
    read_u32(path, "position")
}

fn read_u64(path: &Path, name: &str) -> Result<Vec<u64>, StoreError> {
    let batch = table::read(path, &[name])?;
    let values: &UInt64Array = full_column(path, &batch, name, "uint64")?;
    Ok(values.values().to_vec())
}

fn read_u32(path: &Path, name: &str) -> Result<Vec<u32>, StoreError> {
    let batch = table::read(path, &[name])?;
    let values: &UInt32Array = full_column(path, &batch, name, "uint32")?;
    Ok(values.values().to_vec())
}

/// Reads the token ids of a part.
///
/// # Errors
/// [`StoreError`] if the column is missing or of another type.
pub fn read_token_ids(path: &Path) -> Result<Vec<Vec<i32>>, StoreError> {
    let batch = table::read(path, &["token_ids"])?;
    let lists: &ListArray = full_column(path, &batch, "token_ids", "lists of int32")?;
    let row = |row| {
        let values = lists.value(row);
        let values = values.as_any().downcast_ref::<Int32Array>();
        let values =
            values.ok_or_else(|| wrong_type(path, "token_ids", "lists of int32", lists.data_type()))?;
        Ok(values.values().to_vec())
    };
    (0..batch.num_rows()).map(row).collect()
}

/// The names and types of a part's columns, in their order; with those that say which text a row is of, or without.
pub(crate) fn columns(
    texts: bool,
    levels: &[usize],
    hidden_size: usize,
    dtype: StoreDtype,
) -> Vec<(String, DataType)> {
    let mut columns = vec![
        ("sample_id".to_owned(), DataType::UInt64),
        ("sentence".to_owned(), DataType::Utf8),
        ("token_ids".to_owned(), DataType::List(item(DataType::Int32))),
        ("position".to_owned(), DataType::UInt32),
    ];
    if texts {
        columns.push(("text_id".to_owned(), DataType::UInt64));
        columns.push(("chunk".to_owned(), DataType::UInt32));
    }
    let level = DataType::FixedSizeList(item(dtype.arrow()), hidden_size as i32);
    columns.extend(levels.iter().map(|&number| (level_column(number), level.clone())));
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(states: Vec<f32>, hidden_size: usize) -> PartRows {
        let n = states.len() / hidden_size;
        PartRows {
            sample_ids: (0..n as u64).collect(),
            sentences: (0..n).map(|i| (i % 2 == 0).then(|| format!("Sentence {i}."))).collect(),
            token_ids: (0..n).map(|i| (0..i as i32 + 1).collect()).collect(),
            positions: (0..n as u32).collect(),
            texts: (n % 2 == 1).then(|| TextRows {
                text_ids: (0..n as u64).map(|row| row / 3).collect(),
                chunks: (0..n as u32).map(|row| row % 3).collect(),
            }),
            levels: BTreeMap::from([(0, states.clone()), (1, states.iter().map(|x| -x).collect())]),
        }
    }

    proptest! {
        /// f32 is lossless to the bit, whatever the values.
        #[test]
        fn f32_states_come_back_as_they_were(
            states in prop::collection::vec(prop::num::f32::NORMAL | prop::num::f32::ZERO | prop::num::f32::SUBNORMAL, 0..40),
            hidden_size in 1usize..5,
        ) {
            let states = states[..states.len() / hidden_size * hidden_size].to_vec();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("part.parquet");
            let rows = rows(states, hidden_size);
            write_part(&path, &rows, hidden_size, StoreDtype::F32).unwrap();
            for level in 0..2 {
                let read = read_level(&path, level, hidden_size).unwrap();
                let bits = |states: &[f32]| states.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                prop_assert_eq!(bits(&read), bits(&rows.levels[&level]));
            }
            prop_assert_eq!(read_positions(&path).unwrap(), rows.positions.clone());
            prop_assert_eq!(read_token_ids(&path).unwrap(), rows.token_ids);
            let texts = read_text_ids(&path).ok().zip(read_chunks(&path).ok());
            prop_assert_eq!(texts.map(|(text_ids, chunks)| TextRows { text_ids, chunks }), rows.texts);
        }
    }

    proptest! {
        /// bf16 is the nearer neighbour among the f32 whose lower halves are zero, and of two as near the even one;
        /// half of the values lie in the middle of two, or one bit beside it.
        #[test]
        fn bf16_states_come_back_as_the_nearest(
            halves in prop::collection::vec(
                (any::<u16>(), prop_oneof![Just(0x7fff_u16), Just(0x8000), Just(0x8001), any::<u16>()]), 1..40),
        ) {
            let value = |(upper, lower): (u16, u16)| f32::from_bits(u32::from(upper) << 16 | u32::from(lower));
            let states: Vec<f32> = halves.into_iter().map(value).collect();
            let states: Vec<f32> = states.into_iter().filter(|x| x.abs() <= bf16::MAX.to_f32()).collect();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("part.parquet");
            write_part(&path, &rows(states.clone(), 1), 1, StoreDtype::Bf16).unwrap();
            for (read, written) in read_level(&path, 0, 1).unwrap().into_iter().zip(states) {
                let toward_zero = f32::from_bits(written.to_bits() & 0xffff_0000);
                let away = f32::from_bits(toward_zero.to_bits() + 0x1_0000);
                let distance = |x: f32| (f64::from(x) - f64::from(written)).abs();
                let even = toward_zero.to_bits() & 0x1_0000 == 0;
                let (near, far) = (distance(toward_zero), distance(away));
                let nearest = if near < far || near == far && even { toward_zero } else { away };
                prop_assert_eq!(read.to_bits(), nearest.to_bits(), "{} {}", read, written);
            }
        }
    }

    /// f16 has 11 bits of mantissa: rounding to nearest errs by 2⁻¹¹ of the value at most.
    #[test]
    fn f16_rounds_and_refuses_what_does_not_fit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part.parquet");
        let states: Vec<f32> = (1..=64).map(|i| 1.37f32.powi(i / 2) * i as f32 * 1e-4).collect();
        write_part(&path, &rows(states.clone(), 4), 4, StoreDtype::F16).unwrap();
        for (read, written) in read_level(&path, 0, 4).unwrap().iter().zip(&states) {
            assert!((read - written).abs() <= written.abs() * 2f32.powi(-11), "{read} {written}");
        }
        let error =
            write_part(&path, &rows(vec![70_000.0; 4], 4), 4, StoreDtype::F16).unwrap_err().to_string();
        assert!(
            error.contains("level_00")
                && error.contains("70000 does not fit into f16")
                && error.contains("bf16"),
            "{error}"
        );
    }

    /// bf16 has 8 bits of mantissa, and of two neighbours as far away the one whose last bit is 0 is taken.
    #[test]
    fn bf16_rounds_to_nearest_and_ties_to_even() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part.parquet");
        let ulp = 2f32.powi(-7);
        let states: Vec<f32> = (1..=64).map(|i| -(3.1f32.powi(i) * i as f32 * 1e-4)).collect();
        let ties = [1.0 + ulp / 2.0, 1.0 + 1.5 * ulp, -70_000.0, f32::MIN_POSITIVE / 4.0];
        let whole = [states.clone(), ties.into()].concat();
        write_part(&path, &rows(whole, 4), 4, StoreDtype::Bf16).unwrap();
        let read = read_level(&path, 0, 4).unwrap();
        for (read, written) in read.iter().zip(&states) {
            assert!((read - written).abs() <= written.abs() * 2f32.powi(-8), "{read} {written}");
        }
        assert_eq!(read[64..], [1.0, 1.0 + 2.0 * ulp, -70_144.0, f32::MIN_POSITIVE / 4.0]);
        let error = write_part(&path, &rows(vec![f32::MAX; 4], 4), 4, StoreDtype::Bf16).unwrap_err();
        assert!(error.to_string().contains("does not fit into bf16; use --store-dtype f32"), "{error}");
    }

    #[test]
    fn wrong_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part.parquet");
        let say = |error: StoreError| error.to_string();
        // Of this NaN, the bits that say so are in the lower half.
        let nan = f32::from_bits(0x7f80_0001);
        for dtype in [StoreDtype::Bf16, StoreDtype::F16, StoreDtype::F32] {
            write_part(&path, &rows(vec![1.0, 2.0, 3.0, nan], 2), 2, dtype).unwrap();
            assert!(say(read_level(&path, 0, 2).unwrap_err()).contains("NaN in row 1"), "{dtype}");
        }
        assert!(say(read_level(&path, 5, 2).unwrap_err()).contains("no column 'level_05'"));
        assert!(say(read_level(&path, 0, 3).unwrap_err()).contains("expected H = 3"));
        let whole = std::fs::read(&path).unwrap();
        for length in [0, 3, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(say(read_level(&path, 0, 2).unwrap_err()).contains("part.parquet"));
        }
    }
}
