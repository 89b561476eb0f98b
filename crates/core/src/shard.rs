//! Shares of a capture, for several machines or GPUs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A share of the parts: every `count`-th, or `count`-th group that is computed together, from `index` on. Written
/// `i/n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Shard {
    /// From 0.
    pub index: usize,
    /// How many shards there are.
    pub count: usize,
}

impl Shard {
    /// All parts.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Whether a part belongs to this shard, where parts are computed `together` at a time.
    pub fn has(self, part: usize, together: usize) -> bool {
        part / together.max(1) % self.count == self.index
    }

    /// How many of the first `parts` parts belong to this shard.
    pub fn parts(self, parts: usize, together: usize) -> usize {
        let together = together.max(1);
        let groups = parts.div_ceil(together);
        let ours = groups.saturating_sub(self.index).div_ceil(self.count);
        // The last group of all may be smaller than the others.
        let last_is_ours = groups > 0 && (groups - 1) % self.count == self.index;
        let missing = if last_is_ours { (together - parts % together) % together } else { 0 };
        (ours * together).saturating_sub(missing)
    }

    /// The name of its folder, in the folder of the whole.
    pub fn folder(self) -> String {
        format!("{FOLDER}{}-of-{}", self.index, self.count)
    }

    /// The shard whose folder has this name.
    pub fn of_folder(name: &str) -> Option<Self> {
        name.strip_prefix(FOLDER)?
            .replace("-of-", "/")
            .parse()
            .ok()
            .filter(|shard: &Self| shard.folder() == name)
    }
}

/// How the names of shards' folders begin.
const FOLDER: &str = "shard-";

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (index, count) = text.split_once('/')?;
            Some(Self { index: index.parse().ok()?, count: count.parse().ok()? })
        };
        parse()
            .filter(|shard| shard.index < shard.count)
            .ok_or_else(|| format!("'{text}' is no shard; give i/n with i from 0 to n-1, for instance 0/2"))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

impl TryFrom<String> for Shard {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_computed_together_is_in_one_shard() {
        let shard = Shard { index: 1, count: 2 };
        let of = |together| (0..8).filter(|&part| shard.has(part, together)).collect::<Vec<_>>();
        assert_eq!(of(1), [1, 3, 5, 7]);
        assert_eq!(of(3), [3, 4, 5]);
    }

    #[test]
    fn shards_share_all_parts_and_count_theirs() {
        for (parts, together, count) in (0..20).flat_map(|parts| {
            (1..5).flat_map(move |together| (1..6).map(move |count| (parts, together, count)))
        }) {
            let shards = || (0..count).map(|index| Shard { index, count });
            for shard in shards() {
                let counted = (0..parts).filter(|&part| shard.has(part, together)).count();
                assert_eq!(
                    shard.parts(parts, together),
                    counted,
                    "{shard} of {parts} parts, {together} together"
                );
            }
            assert!((0..parts).all(|part| shards().filter(|shard| shard.has(part, together)).count() == 1));
        }
        assert_eq!(Shard { index: 2, count: 3 }.parts(usize::MAX, 1), usize::MAX / 3);
    }

    #[test]
    fn names_are_pinned() {
        let shard: Shard = "1/12".parse().unwrap();
        assert_eq!((shard.folder().as_str(), shard.to_string().as_str()), ("shard-1-of-12", "1/12"));
        assert_eq!(Shard::of_folder("shard-1-of-12"), Some(shard));
        for name in ["shard-2-of-2", "shard-01-of-2", "shard-1-of", "1-of-2", "shard-1/2"] {
            assert_eq!(Shard::of_folder(name), None, "{name}");
        }
        assert_eq!(serde_json::to_string(&shard).unwrap(), r#""1/12""#);
        assert!(serde_json::from_str::<Shard>(r#""2/2""#).is_err());
    }
}
