//! Kinds of shortcuts, the solvers that train them, and how many parameters each keeps.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::words::{UnknownWord, Word};

/// The paper's rank is ⌊H/100⌋ (footnote 1).
pub const DEFAULT_RANK_DIVISOR: usize = 100;

/// BatchNorm's ε, as in PyTorch's `BatchNorm1d`.
pub const BATCH_NORM_EPS: f64 = 1e-5;

/// Temperature of the softmax over the scores (the paper's footnote 2).
pub const SCORE_TEMPERATURE: f64 = 5e-4;

/// The paper's rank for a hidden size: ⌊H/100⌋, at least 1.
pub fn default_rank(hidden_size: usize) -> usize {
    (hidden_size / DEFAULT_RANK_DIVISOR).max(1)
}

/// A map from the hidden state at a level to an approximation of the final hidden state.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Self>)]
pub enum ShortcutKind {
    /// The hidden state itself (Schwartz et al. 2020).
    Identity,
    /// A full H×H matrix without bias, one per level (Din et al. 2023).
    Jtc,
    /// A·B of rank r, one per level.
    Njtc,
    /// BatchNorm, then A·B of rank r, one per level (Seshadri 2024; Eq. 1).
    NNjtc,
    /// One n-njtc trained on the states of all exit levels together (the paper's §5).
    Joint,
    /// One A·B for all exit levels, with a BatchNorm per level: between `joint` and `n-njtc`.
    JointNorms,
    /// The one n-njtc that the score chose, applied at every exit level (the paper's §3.1).
    Ojfa,
    /// One n-njtc for all exit levels, fitted to what the model's head reads (not in the paper).
    OneJump,
    /// α·x + ((x·A) ⊙ s + t)·B of the state at length 1, x = h/‖h‖: one A·B for all exit levels, with a number α and two
    /// rows of r numbers for each, fitted to what the model's head reads (not in the paper).
    Residual,
    /// A full H×H matrix with a bias, one per level: a translator of a tuned lens (Belrose et al. 2023). Of a rank r it is the
    /// state beside a product of rank r.
    TunedLens,
    /// A full H×H matrix without bias, one per level: the mean Jacobian of the final hidden state, transposed for rows. It
    /// has none for level 0, where the state itself is read.
    JacobianLens,
}

impl ShortcutKind {
    /// The kinds that `onejump-train` trains.
    pub const TRAINED: [Self; 7] =
        [Self::NNjtc, Self::Njtc, Self::Jtc, Self::Joint, Self::JointNorms, Self::OneJump, Self::Residual];

    /// The name in file names, tables and on the command line.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether the exit levels have maps of their own, even if they share their matrices.
    pub fn per_level(self) -> bool {
        use ShortcutKind::{JacobianLens, Jtc, NNjtc, Njtc, TunedLens};
        matches!(self, Jtc | Njtc | NNjtc | TunedLens | JacobianLens) || self.shares_matrices()
    }

    /// Whether the exit levels have maps of their own with one A and one B for all.
    pub fn shares_matrices(self) -> bool {
        matches!(self, Self::JointNorms | Self::Residual)
    }

    /// Whether it is a single jump: one A·B for all exit levels, and no more than a few rows of r numbers for each.
    pub fn single_jump(self) -> bool {
        matches!(self, Self::Joint | Self::Ojfa) || self.fitted_to_head()
    }

    /// Whether training needs the model's head: the kinds that are fitted to what it reads.
    pub fn fitted_to_head(self) -> bool {
        matches!(self, Self::OneJump | Self::Residual)
    }

    /// Whether a BatchNorm comes before the matrices.
    pub fn has_norm(self) -> bool {
        matches!(self, Self::NNjtc | Self::Joint | Self::JointNorms | Self::Ojfa | Self::OneJump)
    }

    /// Whether the map is a product A·B of rank r.
    pub fn low_rank(self) -> bool {
        self.has_norm() || matches!(self, Self::Njtc | Self::Residual)
    }
}

impl Word for ShortcutKind {
    const WHAT: &'static str = "kind of shortcut";
}

/// How a shortcut's matrices were found.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Self>)]
pub enum Solver {
    /// The exact minimum of Eq. 2: reduced-rank regression.
    ClosedForm,
    /// The paper's gradient descent on Eq. 2.
    Adam,
}

impl Solver {
    /// The name in tables and on the command line.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl Word for Solver {
    const WHAT: &'static str = "solver";
}

/// Parameters that a kind keeps for early exit from all `blocks` exit levels.
///
/// An n-njtc has 2·H·r for A and B and 4·H for BatchNorm's weight, bias, running mean and running
/// variance (the paper's Fig. 1: 0.02·H² + 4·H at r = H/100).
pub fn parameters(kind: ShortcutKind, hidden_size: usize, rank: usize, blocks: usize) -> u64 {
    let (h, r, k) = (hidden_size as u64, rank as u64, blocks as u64);
    match kind {
        ShortcutKind::Identity => 0,
        ShortcutKind::Jtc => k * h * h,
        ShortcutKind::TunedLens if r > 0 => k * (2 * h * r + h),
        ShortcutKind::TunedLens => k * (h * h + h),
        ShortcutKind::JacobianLens => k.saturating_sub(1) * h * h,
        ShortcutKind::Njtc => k * 2 * h * r,
        ShortcutKind::NNjtc => k * (2 * h * r + 4 * h),
        ShortcutKind::JointNorms => 2 * h * r + k * 4 * h,
        ShortcutKind::Joint | ShortcutKind::Ojfa | ShortcutKind::OneJump => 2 * h * r + 4 * h,
        ShortcutKind::Residual => 2 * h * r + k * (2 * r + 1),
    }
}

/// Over which levels D_m is averaged (Eq. 5 sums over k = 1..K; the prose speaks of exit levels).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Self>)]
pub enum LevelConvention {
    /// The exit levels 0..K-1: where the jump is used. The default.
    Exit,
    /// The levels 1..K, as Eq. 5 is printed.
    Eq5,
}

impl Word for LevelConvention {
    const WHAT: &'static str = "convention of levels";
}

impl LevelConvention {
    /// The name in files and on the command line.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The levels that the mean runs over, for a model of `blocks` blocks.
    pub fn levels(self, blocks: usize) -> std::ops::Range<usize> {
        match self {
            Self::Exit => 0..blocks,
            Self::Eq5 => 1..blocks + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counts that the paper prints in §4.
    #[test]
    fn parameter_counts_are_the_papers() {
        for (hidden_size, blocks, one, full) in
            [(1600, 48, 57_600, 2_764_800), (3072, 32, 196_608, 6_291_456), (4096, 32, 344_064, 11_010_048)]
        {
            let rank = default_rank(hidden_size);
            assert_eq!(parameters(ShortcutKind::Ojfa, hidden_size, rank, blocks), one);
            assert_eq!(parameters(ShortcutKind::NNjtc, hidden_size, rank, blocks), full);
        }
        // SmolLM2-135M at rank 57: a residual has 1.02 times the parameters of a one-jump.
        assert_eq!(parameters(ShortcutKind::Residual, 576, 57, 30), 2 * 576 * 57 + 30 * (1 + 57 + 57));
        assert_eq!(parameters(ShortcutKind::OneJump, 576, 57, 30), 67_968);
        // Of peers: 12 blocks with H = 768.
        assert_eq!(parameters(ShortcutKind::TunedLens, 768, 0, 12), 12 * (768 * 768 + 768));
        assert_eq!(parameters(ShortcutKind::TunedLens, 768, 7, 12), 12 * (2 * 768 * 7 + 768));
        assert_eq!(parameters(ShortcutKind::JacobianLens, 768, 0, 12), 11 * 768 * 768);
    }

    #[test]
    fn names_survive_a_round_trip() {
        for &kind in ShortcutKind::VARIANTS {
            assert_eq!(kind.name().parse::<ShortcutKind>(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        for &solver in Solver::VARIANTS {
            assert_eq!(solver.name().parse::<Solver>(), Ok(solver));
            assert_eq!(serde_json::to_value(solver).unwrap(), solver.name());
        }
        assert_eq!(ShortcutKind::NNjtc.name(), "n-njtc");
        let unknown = "lstm".parse::<Solver>().unwrap_err();
        assert_eq!(unknown.to_string(), "'lstm' is no solver; known: closed-form, adam");
    }

    #[test]
    fn level_conventions_have_k_levels() {
        assert_eq!(LevelConvention::Exit.levels(30), 0..30);
        assert_eq!(LevelConvention::Eq5.levels(30), 1..31);
    }
}
