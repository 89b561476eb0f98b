//! Which settings of the page's switch show which set of jumps.

use crate::analyses::JumpSet;
use crate::setting::Setting;
use crate::shown::Shown;

/// The sets of jumps, beside the settings of the page's switch.
pub struct Sets<'a> {
    pub settings: Vec<Setting<'a>>,
    pub sets: Vec<JumpSet>,
}

impl Sets<'_> {
    /// What belongs to a set: shown for the settings of its rank, and the first set's for those without any.
    pub fn shown<T>(&self, set: JumpSet, what: T) -> Shown<T> {
        let has = |rank: usize, set: &JumpSet| set.rank as usize == rank;
        let first = self.sets.first() == Some(&set);
        let settings = self.settings.iter().filter(|setting| {
            has(setting.rank, &set) || (first && !self.sets.iter().any(|set| has(setting.rank, set)))
        });
        Shown::of(settings, what)
    }
}
