//! Hidden states and result tables as Parquet that pyarrow, polars, DuckDB and pandas read without a converter.
//!
//! | task | where |
//! |---|---|
//! | read one level of a captured folder | [`hidden::HiddenStates`] |
//! | the sums that a closed form needs, without the states | [`moments`] |
//! | write the parts of a folder | [`part::write_part`] |
//! | check a whole folder against its manifest | [`verify::verify`] |
//! | join the shards of a capture | [`merge::merge`] |
//! | the manifest of a capture whose shards are apart, or whose states are gone | [`merge::whole`] |
//! | join what the shards of a stage came to | [`partial`] |
//! | the tables of scores and metrics | [`tables`] |
//! | the tables of the analyses beyond the paper | [`analyses`] |
//! | the model's own predictions | [`truth`] |
//! | how each token of a text was found | [`trace`] |
//! | what each level says at each position of a text | [`lens`] |
//!
//! ```
//! use onejump_store::dtype::StoreDtype;
//! use onejump_store::part::{PartRows, read_level, write_part};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("part-00000.parquet");
//! let rows = PartRows {
//!     sample_ids: vec![0, 1],
//!     sentences: vec![Some("One jump.".into()), None],
//!     token_ids: vec![vec![5, 6, 7], vec![8]],
//!     positions: vec![2, 0],
//!     texts: None,
//!     levels: [(0, vec![0.5; 2 * 4]), (1, vec![-1.0; 2 * 4])].into(), // levels 0 and 1, each (N = 2, H = 4)
//! };
//! write_part(&path, &rows, 4, StoreDtype::F32)?;
//! assert_eq!(read_level(&path, 1, 4)?, vec![-1.0; 8]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate knows nothing of torch, of tokenizers, or of what a shortcut does.

pub mod analyses;
pub mod dtype;
mod error;
pub mod hidden;
pub mod lens;
pub mod merge;
pub mod moments;
pub mod part;
pub mod partial;
mod table;
pub mod tables;
pub mod trace;
pub mod truth;
pub mod verify;

pub use error::{PartFault, StoreError};
