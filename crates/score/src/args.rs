//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Parser;
use onejump_core::shortcut::LevelConvention;

/// Score every jump at every level by the signed square of its cosine, and choose the one jump.
#[derive(Parser)]
#[command(version)]
pub struct Args {
    /// Folder of hidden states that the jumps are scored on: the training samples. Of a shard's folder, the sums over its
    /// samples are written for --join, into the folder shard-i-of-n beside --out
    #[arg(long, value_name = "DIR")]
    pub hidden: PathBuf,
    /// The n-njtc shortcuts, from onejump-train; or owner/name[:file][@revision] on the hub
    #[arg(long, value_name = "FILE")]
    pub shortcuts: PathBuf,
    /// Parquet to write: jump, level, mean_cosine, mean_signed_square
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// safetensors to write: the chosen jump alone
    #[arg(long, value_name = "FILE")]
    pub ojfa: Option<PathBuf>,
    /// Take the sums of so many shards, which lie beside --out; of --hidden only the manifests are read, so that the states
    /// may be gone
    #[arg(long, value_name = "N", conflicts_with = "first")]
    pub join: Option<NonZeroUsize>,
    /// Only so many samples, from the first on
    #[arg(long, value_name = "N")]
    pub first: Option<usize>,
    /// Leave out the samples at position 0
    #[arg(long = "no-position-0")]
    pub without_position_0: bool,
    /// Which levels decide: exit (0 to K-1) or eq5 (1 to K, as Eq. 5 is printed)
    #[arg(long, alias = "levels", value_name = "exit|eq5", default_value_t = LevelConvention::Exit)]
    pub convention: LevelConvention,
    /// Seed of the texts that are drawn again to say how sure the choice is
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}
