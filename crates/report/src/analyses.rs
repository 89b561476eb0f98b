//! The tables of the further analyses of a run, and their rows by set of jumps.

use std::path::Path;

use onejump_core::set_name::SetName;
use onejump_core::shortcut::{ShortcutKind, Solver};
use onejump_store::StoreError;
use onejump_store::analyses::{
    Difference, Exit, FileAverage, Jump, OfClass, Regret, Subset, Transfer, read_rows,
};

use crate::words;

/// The tables of `onejump-evaluate --analyses`, by the names of their files; empty where an analysis was not run.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Analyses {
    pub averages: Vec<FileAverage>,
    pub differences: Vec<Difference>,
    pub transfer: Vec<Transfer>,
    pub jumps: Vec<Jump>,
    pub regret: Vec<Regret>,
    pub subsets: Vec<Subset>,
    pub classes: Vec<OfClass>,
    pub exit: Vec<Exit>,
}

impl Analyses {
    /// Reads the tables that are in the folder of the results.
    ///
    /// # Errors
    /// [`StoreError`] if a file is there but not such a table.
    pub fn read(results: &Path) -> Result<Self, StoreError> {
        let path = |name: &str| results.join(format!("{name}.parquet"));
        Ok(Self {
            averages: read_rows(&path("averages"))?.unwrap_or_default(),
            differences: read_rows(&path("differences"))?.unwrap_or_default(),
            transfer: read_rows(&path("transfer"))?.unwrap_or_default(),
            jumps: read_rows(&path("jumps"))?.unwrap_or_default(),
            regret: read_rows(&path("regret"))?.unwrap_or_default(),
            subsets: read_rows(&path("subsets"))?.unwrap_or_default(),
            classes: read_rows(&path("classes"))?.unwrap_or_default(),
            exit: read_rows(&path("exit"))?.unwrap_or_default(),
        })
    }

    /// The sets of jumps, by rank.
    pub(crate) fn sets(&self) -> Vec<JumpSet> {
        let mut sets = distinct(self.jumps.iter().map(OfSet::set));
        sets.sort_by_key(|set| set.rank);
        sets
    }
}

/// The jumps of one file: the n-njtc of a solver and a rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JumpSet {
    pub solver: Solver,
    pub rank: u32,
}

impl JumpSet {
    /// "rank 5, closed form".
    pub fn name(self) -> String {
        words::setting(self.solver, self.rank as usize)
    }

    /// What figures about this set end their file names with: nothing for the `first` set of a run.
    pub fn suffix(self, first: bool) -> String {
        let rank = (!first).then_some(self.rank as usize);
        SetName { kind: ShortcutKind::NNjtc, solver: self.solver, rank }.suffix()
    }

    /// The rows of this set.
    pub fn rows<R: OfSet>(self, rows: &[R]) -> Vec<&R> {
        rows.iter().filter(|row| row.set() == self).collect()
    }
}

/// A row about a set of jumps.
pub(crate) trait OfSet {
    fn set(&self) -> JumpSet;
}

macro_rules! of_set {
    ($($row:ty),+) => {
        $(impl OfSet for $row {
            fn set(&self) -> JumpSet {
                JumpSet { solver: self.solver, rank: self.rank }
            }
        })+
    };
}

of_set!(Transfer, Jump, Regret, Subset);

/// The values without repetitions, in the order in which they first come.
pub(crate) fn distinct<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    values.into_iter().fold(Vec::new(), |mut kept, value| {
        if !kept.contains(&value) {
            kept.push(value);
        }
        kept
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_set_has_the_plain_file_names() {
        let set = JumpSet { solver: Solver::ClosedForm, rank: 57 };
        assert_eq!((set.suffix(true), set.suffix(false)), (String::new(), "-r57".to_owned()));
        assert_eq!(set.name(), "rank 57, closed form");
    }
}
