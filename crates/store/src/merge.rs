//! Joins the shards of a capture, each a folder with a manifest of its own, into the folder of the whole.
//!
//! Parts are linked where the file system allows it, and copied otherwise, as from another disk; the shards stay as they
//! are. Nothing is joined before everything is known to belong together, and the manifest is written last: a merge that
//! was killed is repeated, and gives the same folder, which is that of an undivided capture to the byte.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use onejump_core::files::{self, FileError};
use onejump_core::layout::{MANIFEST, part_file, part_number};
use onejump_core::lock;
use onejump_core::manifest::{HiddenManifest, Part};
use onejump_core::observe::{self, Observer, Task};
use onejump_core::shard::Shard;
use rayon::prelude::*;

use crate::StoreError;
use crate::hidden::check_file;

/// What a merge did; `Display` says it in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merged {
    /// Samples in the whole folder.
    pub samples: usize,
    /// Parts in the whole folder.
    pub parts: usize,
    /// Parts that are now files of both folders.
    pub linked: usize,
    /// Parts that were copied.
    pub copied: usize,
}

impl fmt::Display for Merged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let there = self.parts - self.linked - self.copied;
        write!(f, "{} samples in {} parts: {} linked", self.samples, self.parts, self.linked)?;
        write!(f, ", {} copied, {there} there already", self.copied)
    }
}

/// Joins shards into the folder `out`; without any named, those in `out` itself.
///
/// # Errors
/// [`StoreError`] if shards are of different captures or devices, not finished, damaged or missing, or if `out` holds
/// something else. What is in `out` is then as it was, but for parts that were joined before a damaged one was found:
/// they are in no manifest, and the next merge takes them.
pub fn merge(out: &Path, shards: &[PathBuf], observer: &dyn Observer) -> Result<Merged, StoreError> {
    let sources = sources(out, shards)?;
    let parts = gather(&sources)?;
    check_gaps(&sources, &parts)?;
    let Some(first) = sources.first() else { return Err(StoreError::NoShards { dir: out.to_owned() }) };

    let _lock = lock::folder(out)?;
    let there = out.join(MANIFEST).is_file().then(|| HiddenManifest::read(out)).transpose()?;
    if let Some(there) = &there {
        first.same_capture(out, there)?;
        check_conflicts(out, there, &parts)?;
    }
    let merged = join(out, &parts, observer)?;
    let manifest = joined(&first.manifest, &parts);
    // A manifest that is there and the same keeps its time: nothing was changed.
    if there.as_ref() != Some(&manifest) {
        manifest.write(out)?;
    }
    Ok(Merged { samples: manifest.inputs.samples, ..merged })
}

/// The manifest of a whole capture: that of the folder, or of the shards in it together. The states need not be there any
/// more.
///
/// # Errors
/// [`StoreError`] if shards are of different captures, not finished or missing.
pub fn whole(dir: &Path) -> Result<HiddenManifest, StoreError> {
    if dir.join(MANIFEST).is_file() {
        let manifest = HiddenManifest::read(dir)?;
        if manifest.is_complete() {
            return Ok(manifest);
        }
    }
    let sources = sources(dir, &[])?;
    let parts = gather(&sources)?;
    check_gaps(&sources, &parts)?;
    let Some(first) = sources.first() else { return Err(StoreError::NoShards { dir: dir.to_owned() }) };
    Ok(joined(&first.manifest, &parts))
}

/// The manifests of the shards in the folder of the whole, finished and of one capture.
///
/// # Errors
/// As [`whole`], but for what is missing.
pub fn shards(dir: &Path) -> Result<Vec<HiddenManifest>, StoreError> {
    Ok(sources(dir, &[])?.into_iter().map(|source| source.manifest).collect())
}

/// The folders that parts are taken from: finished, and of one capture.
fn sources(out: &Path, shards: &[PathBuf]) -> Result<Vec<Source>, StoreError> {
    let mut folders = shards.to_vec();
    if folders.is_empty() {
        folders = shards_in(out)?;
        // Merged, and the shards removed: then the whole stands for itself.
        if folders.is_empty() {
            folders.push(out.to_owned());
        }
    }
    let sources = folders.iter().map(|dir| Source::open(dir)).collect::<Result<Vec<_>, _>>()?;
    if let Some(first) = sources.first() {
        sources.iter().skip(1).try_for_each(|source| source.same_capture(&first.dir, &first.manifest))?;
    }
    sources.iter().try_for_each(Source::check_finished)?;
    Ok(sources)
}

/// The manifest of all parts.
fn joined(one: &HiddenManifest, parts: &Parts) -> HiddenManifest {
    let parts = parts.values().map(|(_, part)| (*part).clone()).collect();
    HiddenManifest { shard: None, parts, ..one.clone() }
}

/// The folders of shards in the folder of the whole, in order.
fn shards_in(out: &Path) -> Result<Vec<PathBuf>, StoreError> {
    if !out.is_dir() {
        return Err(StoreError::NoFolder { dir: out.to_owned() });
    }
    let mut shards = Vec::new();
    for entry in fs::read_dir(out).map_err(FileError::reading(out))? {
        let name = entry.map_err(FileError::reading(out))?.file_name().to_string_lossy().into_owned();
        shards.extend(Shard::of_folder(&name));
    }
    if shards.is_empty() && !out.join(MANIFEST).is_file() {
        return Err(StoreError::NoShards { dir: out.to_owned() });
    }
    shards.sort_by_key(|shard| (shard.count, shard.index));
    Ok(shards.into_iter().map(|shard| out.join(shard.folder())).collect())
}

/// A folder that parts are taken from.
struct Source {
    dir: PathBuf,
    manifest: HiddenManifest,
}

/// The parts of the whole by number, each with its folder.
type Parts<'a> = BTreeMap<usize, (&'a Path, &'a Part)>;

impl Source {
    fn open(dir: &Path) -> Result<Self, StoreError> {
        if !dir.is_dir() {
            return Err(StoreError::NoFolder { dir: dir.to_owned() });
        }
        Ok(Self { dir: dir.to_owned(), manifest: HiddenManifest::read(dir)? })
    }

    fn same_capture(&self, dir: &Path, manifest: &HiddenManifest) -> Result<(), StoreError> {
        match manifest.inputs.difference(&self.manifest.inputs) {
            Some(difference) => {
                let (one, other, difference) = (dir.to_owned(), self.dir.clone(), Box::new(difference));
                Err(StoreError::OtherShard { one, other, difference })
            }
            None if manifest.samples_per_part != self.manifest.samples_per_part => Err(StoreError::content(
                &self.dir,
                format!(
                    "has {} samples in a part where {} has {}",
                    self.manifest.samples_per_part,
                    dir.display(),
                    manifest.samples_per_part
                ),
            )),
            None => Ok(()),
        }
    }

    fn check_finished(&self) -> Result<(), StoreError> {
        if self.manifest.is_finished() {
            return Ok(());
        }
        let (dir, parts, expected) =
            (self.dir.clone(), self.manifest.parts.len(), self.manifest.parts_expected());
        Err(match self.manifest.shard {
            Some(shard) => StoreError::UnfinishedShard { dir, parts, expected, shard },
            None => StoreError::Incomplete { dir, parts, total: expected },
        })
    }
}

/// Every part once, refusing two that should be equal and are not.
fn gather(sources: &[Source]) -> Result<Parts<'_>, StoreError> {
    let mut parts = Parts::new();
    for Source { dir, manifest } in sources {
        for part in &manifest.parts {
            let number = part_number(&part.file).filter(|&number| number < manifest.parts_total);
            let Some(number) = number else {
                return Err(StoreError::content(&dir.join(&part.file), "is no part of this capture"));
            };
            let (one, known) = *parts.entry(number).or_insert((dir, part));
            if known.sha256 != part.sha256 {
                return Err(differ(part, one, dir));
            }
        }
    }
    Ok(parts)
}

fn differ(part: &Part, one: &Path, other: &Path) -> StoreError {
    StoreError::PartsDiffer { file: part.file.clone(), one: one.to_owned(), other: other.to_owned() }
}

fn check_gaps(sources: &[Source], parts: &Parts) -> Result<(), StoreError> {
    let Some(manifest) = sources.first().map(|source| &source.manifest) else { return Ok(()) };
    let missing = |end: usize| (0..end).filter(|number| !parts.contains_key(number));
    let Some(first) = missing(manifest.parts_total).next() else { return Ok(()) };
    // Shards of one division are named; of several, a part has to do.
    let counts: Vec<_> =
        sources.iter().map(|source| source.manifest.shard.map(|shard| shard.count)).collect();
    let count =
        counts.first().copied().flatten().filter(|&count| counts.iter().all(|&other| other == Some(count)));
    let shards = count.map_or(Vec::new(), |count| {
        // The others are whole, so who lacks a part lacks its first one.
        let firsts = count.saturating_mul(manifest.together()).min(manifest.parts_total);
        let indices: BTreeSet<_> =
            missing(firsts).map(|number| number / manifest.together() % count).collect();
        indices.into_iter().map(|index| Shard { index, count }).collect()
    });
    Err(StoreError::MissingShards { part: part_file(first), shards })
}

/// Refuses a folder that lists another file as one of the parts: one of the two is wrong, and nobody knows which.
fn check_conflicts(out: &Path, there: &HiddenManifest, parts: &Parts) -> Result<(), StoreError> {
    let conflict = there.parts.iter().find_map(|part| {
        let (dir, ours) = parts.get(&part_number(&part.file)?)?;
        (ours.sha256 != part.sha256).then_some((part, *dir))
    });
    conflict.map_or(Ok(()), |(part, dir)| Err(differ(part, out, dir)))
}

/// Puts every part into `out`.
fn join(out: &Path, parts: &Parts, observer: &dyn Observer) -> Result<Merged, StoreError> {
    let total = parts.values().map(|(_, part)| part.bytes).sum();
    let meter = observer.begin(Task { name: "merge", unit: observe::BYTES, total });
    let (linked, copied) = (AtomicUsize::new(0), AtomicUsize::new(0));
    parts.par_iter().try_for_each(|(_, &(dir, part))| {
        observer.check()?;
        let path = out.join(&part.file);
        // What is there already is compared with its hash, as what is taken is.
        if check_file(out, part).is_err() {
            check_file(dir, part)?;
            match link(&dir.join(&part.file), &path) {
                Ok(()) => linked.fetch_add(1, Ordering::Relaxed),
                Err(_) => {
                    copy(&dir.join(&part.file), &path)?;
                    check_file(out, part)?;
                    copied.fetch_add(1, Ordering::Relaxed)
                }
            };
        }
        meter.advance(part.bytes);
        Ok::<_, StoreError>(())
    })?;
    let (linked, copied) = (linked.into_inner(), copied.into_inner());
    Ok(Merged { samples: 0, parts: parts.len(), linked, copied })
}

/// Makes the file of a shard the part too. A link appears whole, and takes the place of what was there.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    if to.exists() {
        let inode = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
        // The same file, which was checked: another name for it would change nothing.
        if inode(from)? == inode(to)? {
            return Ok(());
        }
    }
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let temporary = to.with_file_name(format!(".{name}.merge{}", files::TEMPORARY));
    fs::hard_link(from, &temporary)?;
    fs::rename(&temporary, to)
}

/// Writes a file with the content of another.
fn copy(from: &Path, to: &Path) -> Result<(), FileError> {
    let mut source = File::open(from).map_err(FileError::reading(from))?;
    files::write_with(to, |writer| io::copy(&mut source, writer).map(drop).map_err(FileError::writing(to)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::folder;
    use crate::verify::verify;
    use onejump_core::manifest::DeviceKind;
    use onejump_core::observe::Silent;

    /// The whole of three parts, and its two shards in a folder beside it.
    struct Bench {
        whole: tempfile::TempDir,
        out: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let bench = Self { whole: folder(|_, _| {}), out: tempfile::tempdir().unwrap() };
            let manifest = HiddenManifest::read(bench.whole.path()).unwrap();
            for index in 0..2 {
                let shard = Shard { index, count: 2 };
                let dir = bench.shard(index);
                fs::create_dir(&dir).unwrap();
                let mut manifest = HiddenManifest { shard: Some(shard), ..manifest.clone() };
                manifest.parts.retain(|part| shard.has(part_number(&part.file).unwrap(), 1));
                for part in &manifest.parts {
                    fs::copy(bench.whole.path().join(&part.file), dir.join(&part.file)).unwrap();
                }
                manifest.write(&dir).unwrap();
            }
            bench
        }

        fn out(&self) -> &Path {
            self.out.path()
        }

        fn shard(&self, index: usize) -> PathBuf {
            self.out().join(Shard { index, count: 2 }.folder())
        }

        fn merge(&self, shards: &[PathBuf]) -> Result<Merged, String> {
            merge(self.out(), shards, &Silent).map_err(|error| error.to_string())
        }

        fn change(&self, index: usize, change: impl Fn(&mut HiddenManifest)) {
            let dir = self.shard(index);
            let mut manifest = HiddenManifest::read(&dir).unwrap();
            change(&mut manifest);
            manifest.write(&dir).unwrap();
        }

        #[track_caller]
        fn refused(&self, expected: &str) {
            let error = self.merge(&[]).unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(!self.out().join(MANIFEST).exists());
        }
    }

    /// The files of a folder without those of its shards.
    fn files_of(dir: &Path) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        entries.filter(|path| path.is_file()).map(|path| (name(&path), fs::read(&path).unwrap())).collect()
    }

    #[test]
    fn the_whole_is_that_of_an_undivided_capture_however_often_it_is_merged() {
        let bench = Bench::new();
        let merged = bench.merge(&[]).unwrap();
        assert_eq!(merged, Merged { samples: 5, parts: 3, linked: 3, copied: 0 });
        assert!(files_of(bench.out()) == files_of(bench.whole.path()));
        assert_eq!(verify(bench.out()).unwrap().problems().count(), 0);
        let again = bench.merge(&[bench.shard(1), bench.shard(0)]).unwrap();
        assert_eq!((again.linked, again.copied), (0, 0));
        // Cut short in the middle: parts without a manifest, one of them half written by another program.
        fs::remove_file(bench.out().join(MANIFEST)).unwrap();
        fs::remove_file(bench.out().join(part_file(0))).unwrap();
        fs::write(bench.out().join(part_file(0)), "half").unwrap();
        fs::write(bench.out().join(".part-00001.parquet.x.onejump.tmp"), "half").unwrap();
        assert_eq!(bench.merge(&[]).unwrap().linked, 1);
        assert!(files_of(bench.out()) == files_of(bench.whole.path()));
        // What was damaged in the whole is mended, the shard's file is not touched.
        fs::remove_file(bench.out().join(part_file(2))).unwrap();
        fs::write(bench.out().join(part_file(2)), "damaged").unwrap();
        assert_eq!(bench.merge(&[]).unwrap().linked, 1);
        for index in 0..2 {
            fs::remove_dir_all(bench.shard(index)).unwrap();
        }
        assert_eq!(bench.merge(&[]).unwrap().linked, 0);
        assert!(files_of(bench.out()) == files_of(bench.whole.path()));
    }

    #[test]
    fn a_copy_is_a_file_of_its_own() {
        let bench = Bench::new();
        let (from, to) = (bench.shard(0).join(part_file(0)), bench.out().join(part_file(0)));
        copy(&from, &to).unwrap();
        assert_eq!(fs::read(&from).unwrap(), fs::read(&to).unwrap());
        assert_ne!(fs::metadata(&from).unwrap().ino(), fs::metadata(&to).unwrap().ino());
        assert_eq!(bench.merge(&[]).unwrap().linked, 2);
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let device = Bench::new();
        for (index, kind) in [DeviceKind::Cpu, DeviceKind::Cuda].into_iter().enumerate() {
            device.change(index, |manifest| manifest.inputs.device = Some(kind));
        }
        device.refused("different captures (device \"cpu\" there, \"cuda\" here)");
        let seed = Bench::new();
        seed.change(1, |manifest| manifest.inputs.seed = 7);
        seed.refused("different captures (seed 0 there, 7 here)");
        let unfinished = Bench::new();
        unfinished.change(0, |manifest| drop(manifest.parts.pop()));
        unfinished.refused("shard-0-of-2: has 1 of its 2 parts; run onejump-capture with --shard 0/2 again");
        let gap = Bench::new();
        fs::remove_dir_all(gap.shard(1)).unwrap();
        gap.refused("shard 1/2 is missing");
        let damaged = Bench::new();
        fs::write(damaged.shard(1).join(part_file(1)), "damaged").unwrap();
        damaged.refused("part-00001.parquet: has 7 bytes");
        let foreign = Bench::new();
        foreign.change(0, |manifest| manifest.shard = Some(Shard { index: 1, count: 2 }));
        foreign.refused("lists part-00000.parquet, which does not belong to shard 1/2");
        let twice = Bench::new();
        twice.change(1, |manifest| {
            manifest.shard = None;
            manifest.parts.insert(0, Part { file: part_file(0), samples: 2, bytes: 3, sha256: "ab".into() });
            manifest.parts.push(Part { file: part_file(2), samples: 1, bytes: 3, sha256: "ab".into() });
        });
        twice.refused("part-00000.parquet is not the same file in");
        let none = tempfile::tempdir().unwrap();
        let error = merge(none.path(), &[], &Silent).unwrap_err().to_string();
        assert!(error.contains("holds no shard"), "{error}");
    }

    #[test]
    fn a_folder_of_another_capture_is_left_as_it_is() {
        let bench = Bench::new();
        let mut manifest = HiddenManifest::read(bench.whole.path()).unwrap();
        manifest.parts[0].sha256 = "ab".into();
        manifest.write(bench.out()).unwrap();
        let error = bench.merge(&[]).unwrap_err();
        assert!(error.contains("part-00000.parquet is not the same file in"), "{error}");
        manifest.inputs.seed = 3;
        manifest.write(bench.out()).unwrap();
        let error = bench.merge(&[]).unwrap_err();
        assert!(error.contains("(seed 3 there, 0 here)"), "{error}");
        assert_eq!(files_of(bench.out()).len(), 1);
    }

    #[test]
    fn one_merge_at_a_time() {
        let bench = Bench::new();
        let lock = lock::folder(bench.out()).unwrap();
        assert!(bench.merge(&[]).unwrap_err().contains("is being written by process"));
        drop(lock);
        bench.merge(&[]).unwrap();
    }
}
