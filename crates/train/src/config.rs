//! What to train and how.

use std::path::PathBuf;

use onejump_core::levels::Levels;
use onejump_core::shortcut::{ShortcutKind, Solver, default_rank};
use onejump_core::target::Target;
use onejump_store::hidden::Selection;
use tch::Device;

use crate::TrainError;

/// What to train and how.
#[derive(Debug, Clone)]
pub struct Config {
    /// A folder of hidden states, or of sums over them.
    pub hidden: PathBuf,
    /// Whether the folder has sums, from `onejump-capture --moments`, in place of states: they are enough for the closed
    /// forms.
    pub moments: bool,
    /// What to train.
    pub kind: ShortcutKind,
    /// How.
    pub solver: Solver,
    /// r; ⌊H/100⌋ by default.
    pub rank: Option<usize>,
    /// Weight of the closed form's ridge term, relative to the mean square of the inputs.
    pub ridge: f64,
    /// What the maps approximate.
    pub target: Target,
    /// Which samples they are trained on.
    pub selection: Selection,
    /// The exit levels that a one-jump is trained for; all without.
    pub levels: Option<Levels>,
    /// A name for the file's rows in tables.
    pub label: Option<String>,
    /// Options of gradient descent.
    pub adam: DescentOptions,
    /// The model that the states come from: a one-jump and a residual are fitted to its head. Other kinds need none.
    pub model: Option<String>,
    /// Bytes that the states of all exit levels together may take while gradient descent reads them, which joint,
    /// one-jump and residual do. Where they are more, the descent reads a window of samples at a time. What the machine has free,
    /// by default.
    pub memory: Option<u64>,
}

impl Config {
    /// Every option at its default: a one-jump and a residual by gradient descent, the others in closed form.
    pub fn new(hidden: impl Into<PathBuf>, kind: ShortcutKind) -> Self {
        Self {
            hidden: hidden.into(),
            moments: false,
            kind,
            solver: default_solver(kind),
            rank: None,
            ridge: 0.0,
            target: Target::default(),
            selection: Selection::default(),
            levels: None,
            label: None,
            adam: DescentOptions::of(kind),
            model: None,
            memory: None,
        }
    }

    /// The exit levels of a model with K blocks from whose states a map is trained.
    pub(crate) fn exit_levels(&self, blocks: usize) -> Vec<usize> {
        self.levels.as_ref().map_or_else(|| (0..blocks).collect(), |levels| levels.as_slice().to_vec())
    }

    /// The rank, once every option makes sense for so many samples of hidden size H.
    pub(crate) fn validated_rank(&self, size: usize, samples: usize) -> Result<usize, TrainError> {
        let usage = |reason: String| Err(TrainError::Usage(reason));
        if !ShortcutKind::TRAINED.contains(&self.kind) {
            let known = ShortcutKind::TRAINED.map(ShortcutKind::name).join(", ");
            return usage(format!("'{}' is not trained; known: {known}", self.kind));
        }
        let rank = self.rank.unwrap_or_else(|| default_rank(size));
        if self.levels.is_some() && self.kind != ShortcutKind::OneJump {
            return usage(format!(
                "--levels is for a one-jump, one map for some levels; '{}' is trained at all of them",
                self.kind
            ));
        }
        if self.selection.with_previous && self.kind != ShortcutKind::OneJump {
            return usage(format!(
                "--previous is for a one-jump; '{}' reads the state of a level alone",
                self.kind
            ));
        }
        if rank == 0 || rank > size {
            return usage(format!("rank {rank} is impossible: it must be 1 to H = {size}"));
        }
        if self.ridge < 0.0 || !self.ridge.is_finite() {
            return usage(format!("a ridge of {} is impossible: it must be 0 or more", self.ridge));
        }
        if self.ridge > 0.0 && self.solver == Solver::Adam {
            return usage("--ridge belongs to the closed form; leave it out with --solver adam".into());
        }
        if self.kind == ShortcutKind::JointNorms && self.solver == Solver::Adam {
            return usage("joint-norms has the closed form alone; leave out --solver adam".into());
        }
        let adam = &self.adam;
        if adam.held_out > 0 && (!self.kind.fitted_to_head() || self.solver != Solver::Adam) {
            return usage(format!(
                "--held-out says when to stop a one-jump's or a residual's descent; '{}' by {} has none",
                self.kind, self.solver
            ));
        }
        if self.solver == Solver::Adam
            && (adam.epochs == 0
                || adam.batch_size < 2
                || adam.learning_rate <= 0.0
                || !adam.learning_rate.is_finite())
        {
            return usage(
                "gradient descent needs 1 epoch, 2 samples in a batch, and a learning rate above 0".into(),
            );
        }
        let needed = adam.held_out + 2;
        if samples < needed {
            return usage(format!(
                "{} has {samples} samples; training needs {needed}",
                self.hidden.display()
            ));
        }
        Ok(rank)
    }
}

/// The solver of a kind where none is asked for.
pub fn default_solver(kind: ShortcutKind) -> Solver {
    if kind.fitted_to_head() { Solver::Adam } else { Solver::ClosedForm }
}

/// Options of gradient descent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DescentOptions {
    /// Passes over the training samples.
    pub epochs: usize,
    /// Samples that a descent on the divergence sets aside, the last ones, to measure it on after every epoch: the jump of
    /// the best epoch is kept, and two epochs in a row that are no better end the descent.
    pub held_out: usize,
    /// Samples in a step.
    pub batch_size: usize,
    /// Learning rate of the first step; it falls to 0 along half a cosine.
    pub learning_rate: f64,
    /// Seed of the initial weights and of the order of the samples.
    pub seed: u64,
    /// Where its steps are computed, and what is needed of the head. Moments and the closed form stay on
    /// the processors.
    pub device: Device,
}

impl DescentOptions {
    /// The paper's descent on Eq. 2; the paper does not say how many passes it took. The learning rate is
    /// for targets scaled to a mean square of 1.
    pub const EQ_2: Self =
        Self { epochs: 10, held_out: 0, batch_size: 64, learning_rate: 1e-2, seed: 0, device: Device::Cpu };

    /// A one-jump's or a residual's descent on the divergence; its samples are pairs of a sample and an exit level, and its
    /// learning rate is relative to the size of the initial values.
    pub const DIVERGENCE: Self =
        Self { epochs: 2, held_out: 0, batch_size: 1024, learning_rate: 0.05, seed: 0, device: Device::Cpu };

    /// The defaults for a kind.
    pub fn of(kind: ShortcutKind) -> Self {
        if kind.fitted_to_head() { Self::DIVERGENCE } else { Self::EQ_2 }
    }

    /// The options as a line for the file's metadata. `windows` is in how many the samples were read.
    pub fn describe(&self, windows: usize) -> String {
        let windows = if windows > 1 { format!(", {windows} windows of samples") } else { String::new() };
        let device = if self.device == Device::Cpu { "" } else { ", on a GPU" };
        let held_out =
            if self.held_out > 0 { format!(", {} samples held out", self.held_out) } else { String::new() };
        format!(
            "epochs {}, batch size {}, learning rate {} with cosine decay to 0{held_out}{windows}{device}",
            self.epochs, self.batch_size, self.learning_rate
        )
    }
}
