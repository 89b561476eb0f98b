//! Sets of levels, as people write them.

use std::fmt;
use std::str::FromStr;

/// Levels, each once, from the lowest to the highest: `0,6,12..18` (both ends included), `0..30/2` (every second one).
///
/// ```
/// use onejump_core::levels::Levels;
///
/// let levels: Levels = "12..14,0,6".parse()?;
/// assert_eq!(levels.as_slice(), [0, 6, 12, 13, 14]);
/// assert_eq!("0..7/3".parse::<Levels>()?.as_slice(), [0, 3, 6]);
/// assert!("5..2".parse::<Levels>().is_err());
/// # Ok::<(), onejump_core::levels::NoLevels>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Levels(Vec<usize>);

/// A text that is no set of levels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no set of levels; write 5, or 0,6,12..18 (both ends included), or 0..30/2 (every second one)"
)]
pub struct NoLevels(pub String);

/// More levels than any model has.
const MOST: usize = 10_000;

impl Levels {
    /// Some levels in any order.
    pub fn new(levels: impl IntoIterator<Item = usize>) -> Self {
        let mut levels: Vec<usize> = levels.into_iter().collect();
        levels.sort_unstable();
        levels.dedup();
        Self(levels)
    }

    /// From the lowest to the highest.
    pub fn as_slice(&self) -> &[usize] {
        &self.0
    }

    /// The level, where there is only one.
    pub fn single(&self) -> Option<usize> {
        if let [level] = self.0[..] { Some(level) } else { None }
    }
}

impl FromStr for Levels {
    type Err = NoLevels;

    fn from_str(text: &str) -> Result<Self, NoLevels> {
        let parts = text.split(',').map(part).collect::<Option<Vec<_>>>();
        parts.map(|parts| Self::new(parts.into_iter().flatten())).ok_or_else(|| NoLevels(text.to_owned()))
    }
}

/// `5`, `12..18` or `12..18/2`.
fn part(text: &str) -> Option<impl Iterator<Item = usize> + use<>> {
    let number = |text: &str| text.trim().parse().ok().filter(|&level| level < MOST);
    let (range, step) = text.split_once('/').map_or((text, Some(1)), |(range, step)| (range, number(step)));
    let (first, last) = match range.split_once("..") {
        Some((first, last)) => (number(first)?, number(last)?),
        // A step needs a range.
        None if range.len() == text.len() => (number(range)?, number(range)?),
        None => return None,
    };
    let step = step.filter(|&step| step > 0 && first <= last)?;
    Some((first..=last).step_by(step))
}

impl fmt::Display for Levels {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let levels: Vec<String> = self.0.iter().map(usize::to_string).collect();
        formatter.write_str(&levels.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_set_is_refused() {
        for text in ["", "x", "1,", "1..", "..3", "3..1", "1..5/0", "4/2", "-1", "1...3", "0..99999999999"] {
            let error = text.parse::<Levels>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("'{text}' is no set of levels")), "{error}");
        }
        assert_eq!("3, 1..2,2".parse::<Levels>().unwrap().to_string(), "1,2,3");
        assert_eq!("7".parse::<Levels>().unwrap().single(), Some(7));
    }
}
