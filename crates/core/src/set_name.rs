//! The name of a set of shortcuts: its file's, without the ending.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::shortcut::{ShortcutKind, Solver, default_rank};

/// What stands before the rank in a name.
const RANK: &str = "-r";

/// What a file of shortcuts holds: `n-njtc`, `joint-adam`, `ojfa-adam-r57`.
///
/// The closed form and the default rank are not named.
///
/// ```
/// use onejump_core::set_name::SetName;
/// use onejump_core::shortcut::{ShortcutKind, Solver};
///
/// let name = SetName::new(ShortcutKind::NNjtc, Solver::Adam, 57, 576);
/// assert_eq!(name.to_string(), "n-njtc-adam-r57");
/// assert_eq!("n-njtc-adam-r57".parse(), Ok(name));
/// assert_eq!(name.of_kind(ShortcutKind::Ojfa).file(), "ojfa-adam-r57.safetensors");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetName {
    /// What the maps are.
    pub kind: ShortcutKind,
    /// How they were found.
    pub solver: Solver,
    /// r where it is not ⌊H/100⌋; none also for kinds without a rank.
    pub rank: Option<usize>,
}

/// A text that names no set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' names no set of shortcuts; expected KIND, KIND-adam, KIND-rRANK or KIND-adam-rRANK")]
pub struct NoSetName(pub String);

impl SetName {
    /// The name of a set of this rank, for a model of this hidden size.
    pub fn new(kind: ShortcutKind, solver: Solver, rank: usize, hidden_size: usize) -> Self {
        let named = kind.low_rank() && rank != default_rank(hidden_size);
        Self { kind, solver, rank: named.then_some(rank) }
    }

    /// A set in closed form, of the default rank.
    pub const fn plain(kind: ShortcutKind) -> Self {
        Self { kind, solver: Solver::ClosedForm, rank: None }
    }

    /// The same solver and rank with another kind: the `ojfa` that was chosen from an `n-njtc`.
    pub const fn of_kind(self, kind: ShortcutKind) -> Self {
        Self { kind, ..self }
    }

    /// The rank for a model of this hidden size.
    pub fn rank(&self, hidden_size: usize) -> usize {
        self.rank.unwrap_or_else(|| default_rank(hidden_size))
    }

    /// The name of the file: `n-njtc.safetensors`.
    pub fn file(&self) -> String {
        format!("{self}.safetensors")
    }

    /// The set that a file's name stands for; none for a file that somebody named otherwise.
    pub fn of_file(path: &Path) -> Option<Self> {
        path.file_stem()?.to_str()?.parse().ok()
    }

    /// What follows the kind in the name, beginning with a dash; empty for a plain set.
    pub fn suffix(&self) -> String {
        let solver = if self.solver == Solver::Adam { "-adam" } else { "" };
        let rank = self.rank.map(|rank| format!("{RANK}{rank}")).unwrap_or_default();
        format!("{solver}{rank}")
    }
}

impl fmt::Display for SetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}{}", self.kind, self.suffix()))
    }
}

impl FromStr for SetName {
    type Err = NoSetName;

    fn from_str(text: &str) -> Result<Self, NoSetName> {
        let ranked = text.rsplit_once(RANK).and_then(|(rest, rank)| Some((rest, Some(rank.parse().ok()?))));
        let (rest, rank) = ranked.unwrap_or((text, None));
        let adam = rest.strip_suffix("-adam");
        let solver = if adam.is_some() { Solver::Adam } else { Solver::ClosedForm };
        let kind = adam.unwrap_or(rest).parse();
        let name = kind.map(|kind| Self { kind, solver, rank });
        // A spelling of our own alone: `njtc-r007` is somebody else's.
        name.ok().filter(|name| name.to_string() == text).ok_or_else(|| NoSetName(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    #[test]
    fn only_what_is_not_default_is_named() {
        let name = |kind, solver, rank| SetName::new(kind, solver, rank, 576).to_string();
        assert_eq!(name(ShortcutKind::NNjtc, Solver::ClosedForm, 5), "n-njtc");
        assert_eq!(name(ShortcutKind::NNjtc, Solver::Adam, 5), "n-njtc-adam");
        assert_eq!(name(ShortcutKind::Joint, Solver::Adam, 57), "joint-adam-r57");
        assert_eq!(name(ShortcutKind::Jtc, Solver::ClosedForm, 57), "jtc");
    }

    #[test]
    fn every_name_can_be_read_again() {
        for &kind in ShortcutKind::VARIANTS {
            for &solver in Solver::VARIANTS {
                for rank in [None, Some(1), Some(57)] {
                    let name = SetName { kind, solver, rank };
                    assert_eq!(name.to_string().parse(), Ok(name));
                }
            }
        }
        for text in ["", "joint-", "n-njtc-r", "n-njtc-r007", "n-njtc-r57-adam", "my-lens", "jtc-adam-adam"] {
            assert_eq!(text.parse::<SetName>(), Err(NoSetName(text.to_owned())));
        }
        assert_eq!(SetName::of_file(Path::new("run/joint-norms-r3.safetensors")).unwrap().rank(576), 3);
    }
}
