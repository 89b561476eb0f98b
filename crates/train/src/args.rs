//! The command line.

use std::path::PathBuf;

use clap::Parser;
use onejump_core::shortcut::{Kind, Solver};
use onejump_shortcuts::card::Target;
use onejump_train::adam::Options;

/// Train shortcuts on stored hidden states, one per exit level (or one for all: joint), and write
/// them as safetensors.
#[derive(Parser)]
#[command(version)]
pub struct Args {
    /// Folder of hidden states, from onejump-capture
    #[arg(long, value_name = "DIR")]
    pub hidden: PathBuf,
    /// n-njtc, njtc, jtc, joint, or joint-norms (one A·B with a BatchNorm per level)
    #[arg(long)]
    pub kind: Kind,
    /// The safetensors file to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// closed-form (the exact optimum) or adam (the paper's gradient descent)
    #[arg(long, default_value = "closed-form")]
    pub solver: Solver,
    /// Rank r of A·B; H/100 by default
    #[arg(long, value_name = "R")]
    pub rank: Option<usize>,
    /// Closed form: weight of a ridge term, relative to the mean square of the inputs
    #[arg(long, default_value_t = 0.0)]
    pub ridge: f64,
    /// adam: passes over the samples
    #[arg(long, default_value_t = Options::DEFAULT_EPOCHS)]
    pub epochs: usize,
    /// adam: samples in a step
    #[arg(long, default_value_t = Options::DEFAULT_BATCH_SIZE)]
    pub batch_size: usize,
    /// adam: learning rate of the first step; it falls to 0 along half a cosine
    #[arg(long, default_value_t = Options::DEFAULT_LEARNING_RATE)]
    pub learning_rate: f64,
    /// What the maps approximate: the final hidden state as it is (pre-norm), or scaled to a root mean
    /// square of 1 (normed)
    #[arg(long, default_value = "pre-norm")]
    pub target: Target,
    /// Only so many samples, from the first on
    #[arg(long, value_name = "N")]
    pub first: Option<usize>,
    /// Leave out the samples at position 0
    #[arg(long = "no-position-0")]
    pub without_position_0: bool,
    /// A name for the file's rows in tables, where it is one of several variants
    #[arg(long, value_name = "TEXT")]
    pub label: Option<String>,
    /// adam: seed of the initial weights and of the order of the samples
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}
