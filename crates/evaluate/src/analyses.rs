//! The analyses that go further than the metrics, by name.

use onejump_core::lock;
use onejump_core::observe::Observer;
use onejump_core::words::{UnknownWord, Word};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::config::Config;
use crate::{EvaluateError, averages, classes, exit, transfer};

/// An analysis of the stored hidden states; each writes its tables into the output folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Self>)]
pub enum Analysis {
    /// All given files averaged over the exit levels, with intervals, and paired differences:
    /// `averages.parquet`, `differences.parquet`.
    Averages,
    /// Every jump of the given n-njtc files at every exit level, what that says of the choice, and sets
    /// of several jumps: `transfer.parquet`, `jumps.parquet`, `regret.parquet`, `subsets.parquet`.
    Transfer,
    /// Where single jumps lose to jtc, by position, kind of token and exit level: `classes.parquet`.
    Classes,
    /// Dynamic exit with all given files: `exit.parquet`.
    Exit,
}

impl Analysis {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl Word for Analysis {
    const WHAT: &'static str = "analysis";
}

/// Runs an analysis and returns how many rows its first table has.
///
/// # Errors
/// [`EvaluateError`] if files are missing, damaged, or do not belong together.
pub fn analyse(config: &Config, analysis: Analysis, observer: &dyn Observer) -> Result<usize, EvaluateError> {
    let _lock = lock::folder(&config.out)?;
    match analysis {
        Analysis::Averages => averages::averages(config, observer),
        Analysis::Transfer => transfer::transfer(config, observer),
        Analysis::Classes => classes::classes(config, observer),
        Analysis::Exit => exit::exit(config, observer),
    }
}
