//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Parser;
use onejump_core::shard::Shard;
use onejump_evaluate::{Analysis, DEFAULT_TRAIN_SAMPLES};

/// Measure shortcuts against the model's own predictions at every exit level. Of the model only the
/// head is read.
#[derive(Parser)]
#[command(version)]
pub struct Args {
    /// Folder of hidden states that are evaluated on: the test samples. Of a shard's folder the sums over its samples are
    /// written for --join, into the folder shard-i-of-n of --out
    #[arg(long, value_name = "DIR")]
    pub hidden: PathBuf,
    /// Folder of the training samples, for the constant baseline [default: train beside --hidden]
    #[arg(long, value_name = "DIR")]
    pub train_hidden: Option<PathBuf>,
    /// The model that the states come from, named as for onejump-capture
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Files of shortcuts, from onejump-train; or owner/name[:file][@revision] on the hub
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub shortcuts: Vec<PathBuf>,
    /// Files of chosen jumps, from onejump-score; or as --shortcuts on the hub
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub ojfa: Vec<PathBuf>,
    /// Jumps that are also applied at every level [default: at 1/6, 3/6 and 5/6 of the blocks]
    #[arg(long, value_name = "JUMPS", value_delimiter = ',')]
    pub arbitrary: Option<Vec<usize>>,
    /// Instead of the metrics, analyses that go further: averages (with intervals), transfer (every jump
    /// at every level), classes (where single jumps lose to jtc, and on what tokens), exit (dynamic exit)
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub analyses: Vec<Analysis>,
    /// Analyses: training samples by which jumps and thresholds are chosen, from the first on
    #[arg(long, value_name = "N", default_value_t = DEFAULT_TRAIN_SAMPLES)]
    pub train_samples: usize,
    /// Analyses: seed of the bootstrap
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Only every n-th exit level, from level i on: i/n, into the folder shard-i-of-n of --out
    #[arg(long, value_name = "i/n", default_value_t = Shard::WHOLE, conflicts_with = "analyses")]
    pub shard: Shard,
    /// Take the sums of all levels and samples from so many shards in --out; the states are not read, and may be gone
    #[arg(long, value_name = "N", conflicts_with_all = ["shard", "analyses"])]
    pub join: Option<NonZeroUsize>,
    /// Only the model's own predictions of the training samples in --hidden, a folder or that of a shard: an evaluation with
    /// the same --out then needs no training states
    #[arg(long, conflicts_with_all = ["shard", "analyses", "join", "shortcuts", "ojfa"])]
    pub truth: bool,
    /// Folder for per_level.parquet and summary.json, or for the tables of the analyses
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}
