//! The tables of the analyses that go beyond the paper's own metrics: one struct per row, whose fields
//! are the columns, in their order.
//!
//! Where a value has an interval, `_low` and `_high` are its ends: the 2.5th and the 97.5th percentile of
//! a bootstrap over sentences. Averages run over the exit levels 0..K-1.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use onejump_core::shortcut::{ShortcutKind, Solver};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_arrow::schema::{SchemaLike, TracingOptions};

use crate::StoreError;
use crate::table;

mod classes;
mod words;

pub use classes::OfClass;
pub use words::{ClassBy, Criterion, ExitRule, LookSchedule, LookingHead, Measure};

/// `transfer.parquet`: one jump at one exit level, over the test samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    /// Kind of the jumps.
    pub method: ShortcutKind,
    /// How they were trained.
    pub solver: Solver,
    /// Their rank.
    pub rank: u32,
    /// The level that the jump was trained at.
    pub jump: u32,
    /// The exit level that it is applied at.
    pub level: u32,
    /// As in `per_level.parquet`.
    pub precision_1: f64,
    /// As in `per_level.parquet`.
    pub surprisal: f64,
    /// As in `per_level.parquet`.
    pub mat_surprisal: f64,
    /// Mean KL(true distribution ‖ shortcut's), in nats.
    pub kl: f64,
    /// Mean of C (Eq. 4).
    pub cosine: f64,
    /// Mean of sgn(C)·C² (Eq. 5).
    pub signed_square: f64,
}

/// `jumps.parquet`: one jump, averaged over the exit levels: the criteria on training samples by which it
/// could be chosen, and what it then gets on the test samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Jump {
    /// How the jumps were trained.
    pub solver: Solver,
    /// Their rank.
    pub rank: u32,
    /// The level that the jump was trained at.
    pub jump: u32,
    /// Training samples that the criteria are over.
    pub train_samples: u32,
    /// D_m (Eq. 5 over the exit levels).
    pub train_signed_square: f64,
    /// The mean of C.
    pub train_cosine: f64,
    /// The mean of ‖ĥ − h_K‖².
    pub train_mse: f64,
    /// The mean KL divergence from the true distribution.
    pub train_kl: f64,
    /// D with each sample weighted by the tokens of its text.
    pub train_signed_square_by_tokens: f64,
    /// Average precision@1 on the training samples.
    pub train_precision_1: f64,
    /// Average precision@1 on the test samples.
    pub precision_1: f64,
    pub precision_1_low: f64,
    pub precision_1_high: f64,
    /// Average surprisal on the test samples.
    pub surprisal: f64,
    pub surprisal_low: f64,
    pub surprisal_high: f64,
    /// Average KL divergence on the test samples.
    pub kl: f64,
    pub kl_low: f64,
    pub kl_high: f64,
}

/// `regret.parquet`: how much worse the jump that a criterion chose is than the best one in hindsight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Regret {
    /// How the jumps were trained.
    pub solver: Solver,
    /// Their rank.
    pub rank: u32,
    /// What chose it, over training samples.
    pub criterion: Criterion,
    /// The jump that it chose.
    pub jump: u32,
    /// What is measured on the test samples.
    pub metric: Measure,
    /// The chosen jump's average.
    pub value: f64,
    /// The jump that is best by this metric on the test samples.
    pub best_jump: u32,
    /// Its average.
    pub best: f64,
    /// By how much the chosen jump is worse, 0 or more; the interval is of the paired difference.
    pub regret: f64,
    pub regret_low: f64,
    pub regret_high: f64,
}

/// `subsets.parquet`: several jumps of which every exit level uses its best one. Chosen, and assigned to
/// the levels, by a criterion on training samples; measured on the test samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Subset {
    /// How the jumps were trained.
    pub solver: Solver,
    /// Their rank.
    pub rank: u32,
    /// The signed square or the KL divergence.
    pub criterion: Criterion,
    /// How many jumps.
    pub size: u32,
    /// Whether every set of this size was tried; otherwise one jump was added to the set before.
    pub exact: bool,
    /// The jumps.
    pub jumps: Vec<u32>,
    /// Parameters of the jumps together.
    pub parameters: u64,
    /// Average precision@1.
    pub precision_1: f64,
    pub precision_1_low: f64,
    pub precision_1_high: f64,
    /// Average surprisal.
    pub surprisal: f64,
    pub surprisal_low: f64,
    pub surprisal_high: f64,
    /// Average KL divergence.
    pub kl: f64,
    pub kl_low: f64,
    pub kl_high: f64,
}

/// `averages.parquet`: one file of shortcuts (or the identity), averaged over the exit levels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct FileAverage {
    /// What `onejump-train --label` called it.
    pub label: Option<String>,
    /// Kind of shortcut.
    pub method: ShortcutKind,
    /// How it was trained.
    pub solver: Option<Solver>,
    /// Its rank.
    pub rank: Option<u32>,
    /// The chosen jump, over the exit levels.
    pub jump: Option<u32>,
    /// The jump that Eq. 5 as printed would choose.
    pub jump_eq5: Option<u32>,
    /// D of the chosen jump.
    pub d: Option<f64>,
    /// Shortcut parameters kept for all exit levels.
    pub parameters: u64,
    /// Average precision@1.
    pub precision_1: f64,
    pub precision_1_low: f64,
    pub precision_1_high: f64,
    /// Average precision@1 without the samples at position 0; none if all samples are there.
    pub precision_1_without_0: Option<f64>,
    /// Average surprisal.
    pub surprisal: f64,
    pub surprisal_low: f64,
    pub surprisal_high: f64,
    /// Average KL divergence.
    pub kl: f64,
    pub kl_low: f64,
    pub kl_high: f64,
}

/// `differences.parquet`: a method minus another one on the same samples, averaged over the exit levels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Difference {
    /// The solver of both; none where the other has none.
    pub solver: Option<Solver>,
    /// The rank of the method.
    pub rank: Option<u32>,
    /// The method.
    pub method: ShortcutKind,
    /// The other one, of the same solver and rank, or without a rank.
    pub other: ShortcutKind,
    /// Precision@1 of the method minus the other's.
    pub precision_1: f64,
    pub precision_1_low: f64,
    pub precision_1_high: f64,
    /// Surprisal of the method minus the other's: below 0 is better.
    pub surprisal: f64,
    pub surprisal_low: f64,
    pub surprisal_high: f64,
}

/// `exit.parquet`: a dynamic exit whose threshold was calibrated on training samples, on the test samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Exit {
    /// Kind of shortcut.
    pub method: ShortcutKind,
    /// How it was trained.
    pub solver: Option<Solver>,
    /// Its rank.
    pub rank: Option<u32>,
    /// The one jump, where there is one.
    pub jump: Option<u32>,
    /// When a level is sure enough.
    pub rule: ExitRule,
    /// How a level is looked at: the head whose operations are counted.
    pub head: LookingHead,
    /// How the levels that are looked at were found.
    pub schedule: LookSchedule,
    /// The first level that is looked at.
    pub from: u32,
    /// The distance between the levels that are looked at.
    pub every: u32,
    /// The agreement that was wanted, on the training samples.
    pub wanted: f64,
    /// The threshold λ; infinite if only the last level gives the wanted agreement.
    pub threshold: f64,
    /// Share of samples whose token is the full model's.
    pub agreement: f64,
    pub agreement_low: f64,
    pub agreement_high: f64,
    /// Share of samples that exit early.
    pub exited: f64,
    /// Agreement of those; none if no sample exits early.
    pub precision: Option<f64>,
    /// Blocks that are run, on average.
    pub blocks: f64,
    /// Multiply-adds as a share of the full model's, looks included.
    pub operations: f64,
    pub operations_low: f64,
    pub operations_high: f64,
    /// The part of `operations` that is looking.
    pub looking: f64,
}

/// Writes a table.
///
/// # Errors
/// [`StoreError`] if the file cannot be written.
pub fn write_rows<R: Serialize + DeserializeOwned>(path: &Path, rows: &[R]) -> Result<(), StoreError> {
    let fields = fields::<R>(path)?;
    let batch = serde_arrow::to_record_batch(&fields, &rows).map_err(wrong(path))?;
    let compression = Compression::ZSTD(ZstdLevel::default());
    table::write(path, &batch, WriterProperties::builder().set_compression(compression).build())
}

/// Reads a table; none if there is no such file.
///
/// # Errors
/// [`StoreError`] if it is not such a table.
pub fn read_rows<R: Serialize + DeserializeOwned>(path: &Path) -> Result<Option<Vec<R>>, StoreError> {
    if !path.is_file() {
        return Ok(None);
    }
    let fields = fields::<R>(path)?;
    let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
    let batch = table::read(path, &names)?;
    Ok(Some(serde_arrow::from_record_batch(&batch).map_err(wrong(path))?))
}

fn fields<R: DeserializeOwned>(path: &Path) -> Result<Vec<FieldRef>, StoreError> {
    let options = TracingOptions::default()
        .strings_as_large_utf8(false)
        .sequence_as_large_list(false)
        .enums_without_data_as_strings(true);
    let fields = Vec::<FieldRef>::from_type::<R>(options).map_err(wrong(path))?;
    Ok(fields.into_iter().map(without_dictionary).collect())
}

/// serde_arrow makes a dictionary of an enum; its words are a column of strings like any other.
fn without_dictionary(field: FieldRef) -> FieldRef {
    match field.data_type() {
        DataType::Dictionary(_, values) => {
            Arc::new(Field::new(field.name(), values.as_ref().clone(), field.is_nullable()))
        }
        _ => field,
    }
}

fn wrong(path: &Path) -> impl FnOnce(serde_arrow::Error) -> StoreError {
    move |error| StoreError::content(path, format!("is not the table that it should be: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lens::LensRow;

    fn columns<R: DeserializeOwned>() -> String {
        let fields = fields::<R>(Path::new("x")).unwrap();
        let text = |field: &FieldRef| {
            format!("{}:{}{}", field.name(), field.data_type(), if field.is_nullable() { "?" } else { "" })
        };
        fields.iter().map(text).collect::<Vec<_>>().join(" ")
    }

    /// The columns that scripts rely on.
    #[test]
    fn schemas_are_pinned() {
        assert_eq!(
            columns::<Transfer>(),
            "method:Utf8 solver:Utf8 rank:UInt32 jump:UInt32 level:UInt32 precision_1:Float64 \
             surprisal:Float64 mat_surprisal:Float64 kl:Float64 cosine:Float64 signed_square:Float64"
        );
        assert_eq!(
            columns::<Regret>(),
            "solver:Utf8 rank:UInt32 criterion:Utf8 jump:UInt32 metric:Utf8 value:Float64 best_jump:UInt32 \
             best:Float64 regret:Float64 regret_low:Float64 regret_high:Float64"
        );
        assert_eq!(
            columns::<LensRow>(),
            "method:Utf8 file:Utf8? level:UInt32 position:UInt32 input_id:Int64 input:Utf8 token_id:Int64 token:Utf8 \
             probability:Float64 top_ids:List(non-null Int64, field: 'element') \
             top_tokens:List(non-null Utf8, field: 'element') top_probabilities:List(non-null Float64, field: 'element') \
             true_id:Int64 true_token:Utf8 surprisal:Float64 rank:UInt32 kl:Float64? next_id:Int64? next:Utf8? \
             next_probability:Float64? stays_from:UInt32 exit_level:UInt32 threshold:Float64"
        );
        for (columns, expected) in [
            (columns::<Jump>(), "train_samples:UInt32 train_signed_square:Float64 train_cosine:Float64"),
            (
                columns::<Subset>(),
                "exact:Boolean jumps:List(non-null UInt32, field: 'element') parameters:UInt64",
            ),
            (columns::<FileAverage>(), "label:Utf8? method:Utf8 solver:Utf8? rank:UInt32? jump:UInt32?"),
            (columns::<Difference>(), "solver:Utf8? rank:UInt32? method:Utf8 other:Utf8 precision_1:Float64"),
            (columns::<OfClass>(), "other_solver:Utf8? by:Utf8 class:Utf8 level:UInt32? samples:UInt32"),
            (columns::<Exit>(), "schedule:Utf8 from:UInt32 every:UInt32 wanted:Float64 threshold:Float64"),
        ] {
            assert!(columns.contains(expected), "{columns}");
        }
    }

    #[test]
    fn rows_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("regret.parquet");
        assert_eq!(read_rows::<Regret>(&path).unwrap(), None);
        let row = Regret {
            solver: Solver::Adam,
            rank: 5,
            criterion: Criterion::Kl,
            jump: 3,
            metric: Measure::Surprisal,
            value: 2.0,
            best_jump: 4,
            best: 1.5,
            regret: 0.5,
            regret_low: 0.25,
            regret_high: f64::INFINITY,
        };
        write_rows(&path, std::slice::from_ref(&row)).unwrap();
        assert_eq!(read_rows(&path).unwrap(), Some(vec![row]));
        let error = read_rows::<Transfer>(&path).unwrap_err().to_string();
        assert!(error.contains("no column 'method'"), "{error}");
    }

    #[test]
    fn an_unknown_word_is_named_with_its_column_and_the_known_ones() {
        /// A regret as somebody else would write it.
        #[derive(Serialize, Deserialize)]
        struct Foreign {
            solver: Solver,
            rank: u32,
            criterion: String,
            jump: u32,
            metric: Measure,
            value: f64,
            best_jump: u32,
            best: f64,
            regret: f64,
            regret_low: f64,
            regret_high: f64,
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("regret.parquet");
        let row = Foreign {
            solver: Solver::Adam,
            rank: 5,
            criterion: "luck".into(),
            jump: 3,
            metric: Measure::Kl,
            value: 2.0,
            best_jump: 4,
            best: 1.5,
            regret: 0.5,
            regret_low: 0.25,
            regret_high: 0.75,
        };
        write_rows(&path, &[row]).unwrap();
        let error = read_rows::<Regret>(&path).unwrap_err().to_string();
        for part in ["regret.parquet", "criterion", "luck", "signed-square", "cosine", "mse", "kl"] {
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(error.lines().count(), 1, "{error}");
    }

    /// A table without a sample off position 0 has no value there.
    #[test]
    fn a_missing_average_comes_back_as_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("averages.parquet");
        let row = FileAverage {
            label: None,
            method: ShortcutKind::NNjtc,
            solver: Some(Solver::ClosedForm),
            rank: Some(5),
            jump: None,
            jump_eq5: None,
            d: None,
            parameters: 8064,
            precision_1: 0.5,
            precision_1_low: 0.4,
            precision_1_high: 0.6,
            precision_1_without_0: None,
            surprisal: 2.0,
            surprisal_low: 1.5,
            surprisal_high: 2.5,
            kl: 1.0,
            kl_low: 0.5,
            kl_high: 1.5,
        };
        write_rows(&path, std::slice::from_ref(&row)).unwrap();
        assert_eq!(read_rows(&path).unwrap(), Some(vec![row]));
    }
}
