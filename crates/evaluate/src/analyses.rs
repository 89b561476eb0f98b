//! The analyses that go further than the metrics, by name.

use std::str::FromStr;

use onejump_core::lock;

use crate::run::Config;
use crate::{EvaluateError, averages, exit, transfer};

/// An analysis of the stored hidden states; each writes its tables into the output folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Analysis {
    /// All given files averaged over the exit levels, with intervals, and paired differences:
    /// `averages.parquet`, `differences.parquet`.
    Averages,
    /// Every jump of the given n-njtc files at every exit level, what that says of the choice, and sets
    /// of several jumps: `transfer.parquet`, `jumps.parquet`, `regret.parquet`, `subsets.parquet`.
    Transfer,
    /// Dynamic exit with all given files: `exit.parquet`.
    Exit,
}

impl Analysis {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Averages, Self::Transfer, Self::Exit];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Averages => "averages",
            Self::Transfer => "transfer",
            Self::Exit => "exit",
        }
    }
}

impl FromStr for Analysis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|analysis| analysis.name() == text);
        found.ok_or_else(|| format!("'{text}' is no analysis; known: {}", known()))
    }
}

/// Runs an analysis and returns how many rows its first table has.
///
/// # Errors
/// [`EvaluateError`] if files are missing, damaged, or do not belong together.
pub fn analyse(config: &Config, analysis: Analysis) -> Result<usize, EvaluateError> {
    let _lock = lock::folder(&config.out)?;
    match analysis {
        Analysis::Averages => averages::averages(config),
        Analysis::Transfer => transfer::transfer(config),
        Analysis::Exit => exit::exit(config),
    }
}
