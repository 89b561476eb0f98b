//! Single jumps beside a full matrix per level, by class of samples.

use onejump_core::shortcut::{ShortcutKind, Solver};
use serde::{Deserialize, Serialize};

use super::ClassBy;

/// `classes.parquet`: a single jump beside a full matrix per level (jtc), over the test samples of a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct OfClass {
    /// Kind of the single jump.
    pub method: ShortcutKind,
    /// How it was trained.
    pub solver: Option<Solver>,
    /// Its rank.
    pub rank: Option<u32>,
    /// How jtc was trained.
    pub other_solver: Option<Solver>,
    /// What the samples have in common.
    pub by: ClassBy,
    /// The class, in words.
    pub class: String,
    /// The exit level; none for the mean over all of them.
    pub level: Option<u32>,
    /// Samples of the class.
    pub samples: u32,
    /// Precision@1 of the single jump.
    pub precision_1: f64,
    /// Of jtc.
    pub other_precision_1: f64,
    /// The first minus the second.
    pub precision_1_difference: f64,
    pub precision_1_difference_low: f64,
    pub precision_1_difference_high: f64,
    /// Surprisal of the single jump.
    pub surprisal: f64,
    /// Of jtc.
    pub other_surprisal: f64,
    /// The first minus the second: below 0 is better.
    pub surprisal_difference: f64,
    pub surprisal_difference_low: f64,
    pub surprisal_difference_high: f64,
}
