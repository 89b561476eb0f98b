//! Sums over samples in place of the states: everything that a closed form needs, in a size that does not depend on the
//! number of samples.
//!
//! `moments.safetensors` has, for each exit level k, with h_k (H) the state of a sample there and t its target:
//!
//! | tensor, f64 | shape | what |
//! |---|---|---|
//! | `level.12.sum` | (H) | Σ h |
//! | `level.12.gram` | (H, H) | Σ hᵀh |
//! | `level.12.cross` | (H, H) | Σ hᵀt |
//! | `final.sum` | (H) | Σ t |
//! | `final.gram` | (H, H) | Σ tᵀt |
//!
//! So K exit levels take 16·K·H² bytes and a little: 0.16 GB for SmolLM2-135M, 8.6 GB for Llama2-7B. The metadata has the
//! number of samples, what they are a selection of, and the inputs of the capture. NumPy reads it with
//! `safetensors.numpy.load_file`.
//!
//! Floating-point sums depend on their order, so the order is fixed: the parts of a capture are [`LEAVES`] runs of
//! consecutive ones; the sums of a run are added up part after part, those of two neighbouring runs to each other, and so
//! on, as in a binary tree. Whoever computes some of the runs leaves as few files as the tree allows, and the last one
//! that comes joins them; the number of shards changes no byte.

mod file;
mod sums;
mod tree;

pub use file::{LevelValues, MomentsFile, MomentsHeader, write};
pub use sums::{LevelSums, Matrix, Panel, Sums, TargetSums};
pub use tree::{LEAVES, Leaves, Node, Tree, leaves_of_shard};

use onejump_core::target::Target;
use onejump_core::words::{UnknownWord, Word};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// Which samples the sums are over, and with which targets. Each selection needs sums of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Self>)]
pub enum Selected {
    /// All samples; the target is the final hidden state.
    All,
    /// The samples that are not at position 0.
    #[strum(serialize = "no-position-0")]
    NoPosition0,
    /// All samples; the target is the final hidden state scaled to a root mean square of 1.
    Normed,
    /// Both.
    #[strum(serialize = "normed-no-position-0")]
    NormedNoPosition0,
}

impl Word for Selected {
    const WHAT: &'static str = "selection of samples";
}

impl Selected {
    /// The selection of a training.
    pub fn of(target: Target, without_position_0: bool) -> Self {
        match (target, without_position_0) {
            (Target::PreNorm, false) => Self::All,
            (Target::PreNorm, true) => Self::NoPosition0,
            (Target::Normed, false) => Self::Normed,
            (Target::Normed, true) => Self::NormedNoPosition0,
        }
    }

    /// What the maps approximate.
    pub fn target(self) -> Target {
        if matches!(self, Self::Normed | Self::NormedNoPosition0) { Target::Normed } else { Target::PreNorm }
    }

    /// Whether the samples at position 0 are left out.
    pub fn without_position_0(self) -> bool {
        matches!(self, Self::NoPosition0 | Self::NormedNoPosition0)
    }

    /// How the names of its files begin: `moments`, `moments-no-position-0`.
    pub(crate) fn stem(self) -> String {
        if self == Self::All { "moments".to_owned() } else { format!("moments-{self}") }
    }

    /// The name of the file with the sums of a whole capture.
    pub fn file(self) -> String {
        format!("{}.safetensors", self.stem())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_pinned() {
        let names: Vec<String> = Selected::VARIANTS.iter().map(|selected| selected.file()).collect();
        let expected = ["moments", "moments-no-position-0", "moments-normed", "moments-normed-no-position-0"];
        assert_eq!(names, expected.map(|name| format!("{name}.safetensors")));
        for &selected in Selected::VARIANTS {
            assert_eq!(Selected::of(selected.target(), selected.without_position_0()), selected);
            assert_eq!(selected.to_string().parse(), Ok(selected));
        }
    }
}
