//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Measure shortcuts against the model's own predictions at every exit level. Of the model only the
/// head is read.
#[derive(Parser)]
#[command(version)]
pub struct Args {
    /// Folder of hidden states that are evaluated on: the test samples
    #[arg(long, value_name = "DIR")]
    pub hidden: PathBuf,
    /// Folder of the training samples, for the constant baseline [default: train beside --hidden]
    #[arg(long, value_name = "DIR")]
    pub train_hidden: Option<PathBuf>,
    /// The model that the states come from, named as for onejump-capture
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Files of shortcuts, from onejump-train
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub shortcuts: Vec<PathBuf>,
    /// Files of chosen jumps, from onejump-score
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub ojfa: Vec<PathBuf>,
    /// Jumps that are also applied at every level [default: at 1/6, 3/6 and 5/6 of the blocks]
    #[arg(long, value_name = "JUMPS", value_delimiter = ',')]
    pub arbitrary: Option<Vec<usize>>,
    /// Folder for per_level.parquet and summary.json
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}
