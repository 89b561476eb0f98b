//! The command line.

use std::path::{Path, PathBuf};

use clap::Parser;
use onejump_core::levels::Levels;
use onejump_core::shortcut::{ShortcutKind, Solver};
use onejump_core::target::Target;
use onejump_store::hidden::Selection;
use onejump_train::{Config, DescentOptions};
use tch::Device;

/// Train shortcuts on stored hidden states, one per exit level (or one for all: joint), and write
/// them as safetensors.
#[derive(Parser)]
#[command(version, group = clap::ArgGroup::new("samples").required(true))]
pub struct Args {
    /// Folder of hidden states, from onejump-capture
    #[arg(long, value_name = "DIR", group = "samples")]
    pub hidden: Option<PathBuf>,
    /// Folder of sums over samples in place of their states, from onejump-capture --moments. They are enough for jtc, njtc,
    /// n-njtc, joint and joint-norms in closed form
    #[arg(long, value_name = "DIR", group = "samples")]
    pub moments: Option<PathBuf>,
    /// n-njtc, njtc, jtc, joint, joint-norms (one A·B with a BatchNorm per level), one-jump (one map for all levels,
    /// fitted to what the model's head reads), or residual (the same beside a multiple of the state). Several with commas between them: each level is read
    /// once for all
    #[arg(long, value_name = "KIND", value_delimiter = ',', required = true)]
    pub kind: Vec<ShortcutKind>,
    /// The safetensors file to write; for several kinds or ranks the folder for KIND.safetensors,
    /// KIND-rR.safetensors at ranks that are not the default, and so on
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// one-jump, residual: the model that the states come from; only its head is read
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// one-jump: the exit levels that it is for, such as 0..8 (both ends included); all without
    #[arg(long, value_name = "LEVELS")]
    pub levels: Option<Levels>,
    /// one-jump: read the final state of the token before too, beside the state of a level. Such a jump is for drafts alone
    /// (onejump-generate --mode speculative). Capture with --positions all: samples whose token before is not there are
    /// left out
    #[arg(long)]
    pub previous: bool,
    /// closed-form (the exact optimum) or adam (gradient descent: the paper's, or a one-jump's and a
    /// residual's on the divergence, from the closed form on) [default: closed-form; one-jump, residual: adam]
    #[arg(long)]
    pub solver: Option<Solver>,
    /// Rank r of A·B; H/100 by default. Several with commas between them
    #[arg(long, value_name = "R", value_delimiter = ',')]
    pub rank: Vec<usize>,
    /// Closed form: weight of a ridge term, relative to the mean square of the inputs
    #[arg(long, default_value_t = 0.0)]
    pub ridge: f64,
    /// adam: passes over the samples [default: 10; one-jump, residual: 2]
    #[arg(long)]
    pub epochs: Option<usize>,
    /// adam, for one-jump and residual: set so many samples aside, the last ones; the divergence on them says which epoch
    /// is kept and when to stop
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub held_out: usize,
    /// adam: samples in a step [default: 64; one-jump, residual: 1024]
    #[arg(long)]
    pub batch_size: Option<usize>,
    /// adam: learning rate of the first step; it falls to 0 along half a cosine [default: 0.01; one-jump, residual:
    /// 0.05, relative to the initial values]
    #[arg(long)]
    pub learning_rate: Option<f64>,
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
    /// Where gradient descent and the head that a jump is fitted to compute: cpu, cuda, cuda:N, or auto. It pays for large models; the
    /// closed form is always the CPU's
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// adam, for joint, one-jump and residual: let the states of all exit levels take this much memory; more are read in
    /// windows of samples, in another order [default: what is free]
    #[arg(long, value_name = "GB")]
    pub memory_limit: Option<f64>,
}

impl Args {
    /// What to train on which device, and how; the first kind decides what the defaults are.
    pub fn config(&self, device: Device) -> Config {
        let folder = self.moments.as_ref().or(self.hidden.as_ref());
        let config = Config::new(folder.map(PathBuf::as_path).unwrap_or(Path::new("")), self.kind[0]);
        Config {
            moments: self.moments.is_some(),
            solver: self.solver.unwrap_or(config.solver),
            ridge: self.ridge,
            target: self.target,
            selection: Selection {
                first: self.first,
                without_position_0: self.without_position_0,
                with_previous: self.previous,
            },
            levels: self.levels.clone(),
            label: self.label.clone(),
            adam: DescentOptions {
                epochs: self.epochs.unwrap_or(config.adam.epochs),
                held_out: self.held_out,
                batch_size: self.batch_size.unwrap_or(config.adam.batch_size),
                learning_rate: self.learning_rate.unwrap_or(config.adam.learning_rate),
                seed: self.seed,
                device,
            },
            model: self.model.clone(),
            memory: self.memory_limit.map(|gigabytes| (gigabytes * 1e9) as u64),
            ..config
        }
    }
}
