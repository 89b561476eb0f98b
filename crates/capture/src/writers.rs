//! Who writes a folder: several shards may share it, but no two processes write the same part.

use std::fs;
use std::path::Path;

use onejump_core::files::{self, FileError};
use onejump_core::lock::{self, Lock};

use crate::config::Shard;

/// The lock that is held for a moment while the manifest or the list of writers changes.
const CHANGE: &str = ".onejump.lock";

/// A writer's lock is named `.writer-0-of-2.onejump.lock`, after its shard.
const WRITER: &str = ".writer-";
/// How the name of a writer's lock ends.
const WRITER_END: &str = ".onejump.lock";

/// The right to write the parts of one shard, as long as it lives.
pub(crate) struct Writer {
    /// Whether nobody else wrote in the folder when the right was taken.
    pub alone: bool,
    _lock: Lock,
}

impl Writer {
    /// Takes the right, unless another process writes a shard that shares parts with this one. Who takes it holds the
    /// right to [`change`] until the manifest is checked too, so that two who begin at once see each other.
    pub fn new(dir: &Path, shard: Shard, _change: &Lock) -> Result<Self, FileError> {
        let mut alone = true;
        for entry in fs::read_dir(dir).map_err(FileError::reading(dir))? {
            let entry = entry.map_err(FileError::reading(dir))?;
            let Some(other) = shard_of(&entry.file_name().to_string_lossy()) else { continue };
            if let Err(busy) = lock::check(&entry.path(), dir) {
                if overlap(shard, other) {
                    return Err(busy);
                }
                alone = false;
            }
        }
        if alone {
            files::remove_leftovers(dir, "")?;
        }
        Ok(Self { alone, _lock: lock::take(&dir.join(name(shard)), dir)? })
    }
}

/// The right to change the manifest, for a moment.
pub(crate) fn change(dir: &Path) -> Result<Lock, FileError> {
    lock::wait(&dir.join(CHANGE))
}

fn name(shard: Shard) -> String {
    format!("{WRITER}{}-of-{}{WRITER_END}", shard.index, shard.count)
}

fn shard_of(name: &str) -> Option<Shard> {
    let shard = name.strip_prefix(WRITER)?.strip_suffix(WRITER_END)?;
    shard.replace("-of-", "/").parse().ok()
}

/// Whether some part belongs to both: i + a·n = j + b·m has a solution exactly where gcd(n, m) divides i − j.
fn overlap(one: Shard, other: Shard) -> bool {
    let (mut divisor, mut rest) = (one.count, other.count);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    one.index.abs_diff(other.index).is_multiple_of(divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_overlap_where_they_share_a_part() {
        let shards: Vec<Shard> =
            (1..6).flat_map(|count| (0..count).map(move |index| Shard { index, count })).collect();
        for &one in &shards {
            assert_eq!(shard_of(&name(one)), Some(one));
            for &other in &shards {
                let parts = |shard: Shard| (0..60).filter(move |&part| shard.has(part, 1));
                let shared = parts(one).any(|part| parts(other).any(|theirs| theirs == part));
                assert_eq!(overlap(one, other), shared, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn shards_share_a_folder_unless_they_overlap() {
        let dir = tempfile::tempdir().unwrap();
        let writer =
            |shard: &str| Writer::new(dir.path(), shard.parse().unwrap(), &change(dir.path()).unwrap());
        fs::write(dir.path().join(".writer-0-of-1.onejump.lock"), "1").unwrap();
        fs::write(dir.path().join(".part-00000.parquet.x.onejump.tmp"), "half").unwrap();
        let first = writer("0/2").unwrap();
        assert!(!dir.path().join(".part-00000.parquet.x.onejump.tmp").exists());
        let second = writer("1/2").unwrap();
        for refused in ["0/2", "0/1", "2/3"] {
            let error = writer(refused).err().unwrap().to_string();
            assert!(error.contains("is being written by process"), "{error}");
        }
        drop((first, second));
        writer("0/1").unwrap();
    }
}
