//! What a run did, in lines for people to read.

use std::fmt;
use std::path::PathBuf;

use crate::dump::Skipped;
use crate::filter::{Reject, Rejected};

/// The counts of one run; `Display` shows them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Articles read.
    pub articles: u64,
    /// Pages that are not articles.
    pub skipped: Skipped,
    /// Articles whose markup could not be parsed.
    pub unreadable: u64,
    /// Sentences that passed the filter, repeats included.
    pub usable: u64,
    /// Sentences that repeat one that was drawn already.
    pub repeats: u64,
    /// Sentences that the filter left out.
    pub rejected: Rejected,
    /// Sentences in `train.txt`.
    pub train: usize,
    /// Sentences in `test.txt`.
    pub test: usize,
    /// The files.
    pub written: Vec<PathBuf>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Skipped { redirects, other, oversized } = self.skipped;
        writeln!(f, "articles read        {:>10}", self.articles)?;
        writeln!(f, "  of them unreadable {:>10}", self.unreadable)?;
        writeln!(
            f,
            "pages passed over    {:>10}  {redirects} redirects, {other} of other kinds, {oversized} oversized",
            redirects + other + oversized
        )?;
        writeln!(f, "sentences usable     {:>10}  {} of them repeat a drawn one", self.usable, self.repeats)?;
        writeln!(f, "sentences rejected   {:>10}", self.rejected.total())?;
        for reason in Reject::ALL {
            writeln!(f, "  {:<28} {:>8}", reason.label(), self.rejected.of(reason))?;
        }
        writeln!(
            f,
            "sentences drawn      {:>10}  {} train, {} test",
            self.train + self.test,
            self.train,
            self.test
        )?;
        for path in &self.written {
            writeln!(f, "wrote {}", path.display())?;
        }
        Ok(())
    }
}
