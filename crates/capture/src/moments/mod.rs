//! The sums that a closed form needs, added up while the states are computed.
//!
//! A shard adds up consecutive parts: runs of them, one after the other, into the files of
//! [`onejump_store::moments`]. What is in memory is the sums of one run. They are saved when a run ends, now and then, and
//! when the capture is stopped.

mod products;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use onejump_core::files::FileError;
use onejump_core::lock::{self, Lock};
use onejump_core::manifest::CaptureInputs;
use onejump_store::moments::{
    self as store, Leaves, MomentsFile, MomentsHeader, Selected, Sums, Tree, leaves_of_shard,
};
use onejump_store::part::PartRows;

use crate::CaptureError;
use onejump_core::shard::Shard;

/// Unfinished sums are saved no more often than this.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);

/// And not before so many times as long has passed as saving them took.
const SAVE_SHARE: u32 = 20;

/// Held for a moment while files of sums are joined.
const JOINING: &str = ".moments.onejump.lock";

/// A writer's lock is named `.moments-0-of-2.onejump.lock`, after its shard.
const WRITER: &str = ".moments-";
/// How the name of a writer's lock ends.
const WRITER_END: &str = ".onejump.lock";

/// The sums of one shard of a capture, in a folder.
pub(crate) struct MomentsOutput {
    dir: PathBuf,
    leaves: Leaves,
    /// The runs of the shard.
    own: Range<usize>,
    selections: Vec<Selection>,
    adding: Mutex<Adding>,
    _writer: Lock,
}

struct Adding {
    /// For each selection.
    progress: Vec<Progress>,
    /// The parts that some sums lack, ascending: the order in which they are added.
    lacking: VecDeque<usize>,
    /// Those that came before their turn.
    early: BTreeMap<usize, PartRows>,
    saved: Instant,
    /// How long that took.
    took: Duration,
}

/// How far the sums of a selection are.
struct Progress {
    /// The runs of the shard that are finished.
    done: BTreeSet<usize>,
    running: Option<Running>,
}

/// The sums of an unfinished run of parts.
struct Running {
    leaf: usize,
    /// The first part that is not in them.
    next: usize,
    sums: Sums,
}

/// What is added up, and where it goes.
struct Selection {
    selected: Selected,
    tree: Tree,
    leaves: Leaves,
    inputs: CaptureInputs,
    /// The exit levels.
    levels: Vec<usize>,
}

impl MomentsOutput {
    /// Opens the folder for the sums of a shard, and goes on with what is there.
    ///
    /// # Errors
    /// [`CaptureError`] if it cannot be written, another process adds up parts of this shard, or it has the sums of another
    /// capture.
    pub fn open(
        dir: &Path,
        selected: &[Selected],
        inputs: &CaptureInputs,
        leaves: Leaves,
        shard: Shard,
    ) -> Result<Self, CaptureError> {
        if shard.count > store::LEAVES {
            return Err(CaptureError::MomentShards { count: shard.count, most: store::LEAVES });
        }
        let mut levels = inputs.stored_levels();
        if levels.pop() != Some(inputs.blocks) {
            return Err(CaptureError::MomentLevels { last: inputs.blocks });
        }
        fs::create_dir_all(dir).map_err(FileError::writing(dir))?;
        let _joining = lock::wait(&dir.join(JOINING))?;
        let (own, writer) = (leaves_of_shard(shard.index, shard.count), writer(dir, shard)?);
        let (mut selections, mut progress) = (Vec::new(), Vec::new());
        for &selected in selected {
            let (tree, inputs, levels) = (Tree::new(dir, selected, leaves), inputs.clone(), levels.clone());
            let selection = Selection { selected, tree, leaves, inputs, levels };
            selection.check(dir)?;
            selection.tree.join()?;
            progress.push(selection.progress(own.clone())?);
            selections.push(selection);
        }
        let lacks = |part: &usize| selections.iter().zip(&progress).any(|(one, at)| one.lacks(*part, at));
        let lacking = leaves.parts_of(own.clone()).filter(lacks).collect();
        let (early, took) = (BTreeMap::new(), Duration::ZERO);
        let adding = Adding { progress, lacking, early, saved: Instant::now(), took };
        Ok(Self { dir: dir.to_owned(), leaves, own, selections, adding: Mutex::new(adding), _writer: writer })
    }

    /// Whether the shard has a part.
    pub fn has(&self, part: usize) -> bool {
        self.own.contains(&self.leaves.of_part(part))
    }

    /// Whether some sums lack a part of the shard.
    pub fn lacks(&self, part: usize) -> bool {
        held(&self.adding).lacking.binary_search(&part).is_ok()
    }

    /// Adds a part, unless all sums have it. Parts may come in any order: those that come early wait.
    ///
    /// # Errors
    /// [`CaptureError`] if sums cannot be written.
    pub fn add(&self, part: usize, rows: PartRows) -> Result<(), CaptureError> {
        let adding = &mut *held(&self.adding);
        if adding.lacking.binary_search(&part).is_ok() {
            adding.early.insert(part, rows);
        }
        while let Some(next) = adding.lacking.front().copied()
            && let Some(rows) = adding.early.remove(&next)
        {
            for (selection, progress) in self.selections.iter().zip(&mut adding.progress) {
                if selection.lacks(next, progress) {
                    self.add_to(selection, progress, next, &rows)?;
                }
            }
            adding.lacking.pop_front();
        }
        if adding.saved.elapsed() >= SAVE_INTERVAL.max(adding.took * SAVE_SHARE) {
            self.save_all(adding)?;
        }
        Ok(())
    }

    fn add_to(
        &self,
        selection: &Selection,
        progress: &mut Progress,
        part: usize,
        rows: &PartRows,
    ) -> Result<(), CaptureError> {
        let leaf = self.leaves.of_part(part);
        let run = progress.running.get_or_insert_with(|| Running {
            leaf,
            next: part,
            sums: Sums::none(selection.inputs.hidden_size, selection.levels.iter().copied()),
        });
        products::add(&mut run.sums, rows, selection.inputs.blocks, selection.selected);
        run.next = part + 1;
        if run.next == self.leaves.parts_of(leaf..leaf + 1).end
            && let Some(mut run) = progress.running.take()
        {
            run.sums.mirror();
            let _joining = lock::wait(&self.dir.join(JOINING))?;
            store::write(&selection.tree.path(&(leaf..leaf + 1)), &selection.header(&run), &run.sums)?;
            remove(&selection.tree.unfinished(leaf))?;
            selection.tree.join()?;
            progress.done.insert(leaf);
        }
        Ok(())
    }

    /// Saves what is not finished, so that the same command goes on after it.
    ///
    /// # Errors
    /// [`CaptureError`] if it cannot be written.
    pub fn save(&self) -> Result<(), CaptureError> {
        self.save_all(&mut held(&self.adding))
    }

    fn save_all(&self, adding: &mut Adding) -> Result<(), CaptureError> {
        let started = Instant::now();
        for (selection, progress) in self.selections.iter().zip(&adding.progress) {
            if let Some(run) = &progress.running {
                store::write(&selection.tree.unfinished(run.leaf), &selection.header(run), &run.sums)?;
            }
        }
        (adding.saved, adding.took) = (Instant::now(), started.elapsed());
        Ok(())
    }

    /// The files that have all sums of the capture, those of other shards included; none before.
    pub fn finished(&self) -> Vec<PathBuf> {
        let whole = self.selections.iter().map(|selection| selection.tree.path(&(0..store::LEAVES)));
        whole.filter(|path| path.is_file()).collect()
    }
}

impl Selection {
    fn header(&self, run: &Running) -> MomentsHeader {
        let parts = self.leaves.parts_of(run.leaf..run.leaf + 1).start..run.next;
        MomentsHeader::new(self.inputs.clone(), self.selected, &run.sums, parts, self.leaves.parts)
    }

    /// Whether a part is neither in a finished run nor in the one that is running.
    fn lacks(&self, part: usize, progress: &Progress) -> bool {
        let leaf = self.leaves.of_part(part);
        let running = progress.running.as_ref().is_some_and(|run| run.leaf == leaf && part < run.next);
        !running && !progress.done.contains(&leaf)
    }

    /// Refuses files of another capture.
    fn check(&self, dir: &Path) -> Result<(), CaptureError> {
        let fields = |inputs: &CaptureInputs| serde_json::to_value(inputs).unwrap_or_default();
        let nodes = self.tree.nodes().into_iter().map(|node| self.tree.path(&node));
        let unfinished = (0..store::LEAVES).map(|leaf| self.tree.unfinished(leaf));
        for path in nodes.chain(unfinished.filter(|path| path.is_file())) {
            let (there, here) = (fields(&MomentsFile::open(&path)?.header().inputs), fields(&self.inputs));
            let objects = [&there, &here].into_iter().filter_map(|fields| fields.as_object());
            let mut names = objects.flat_map(|fields| fields.keys().map(String::as_str));
            if let Some(field) = names.find(|&field| there[field] != here[field]) {
                return Err(CaptureError::OtherCapture {
                    dir: dir.to_owned(),
                    field: field.to_owned(),
                    there: there[field].to_string(),
                    here: here[field].to_string(),
                });
            }
        }
        Ok(())
    }

    /// Which of the shard's runs are finished, and the sums of one that was begun.
    fn progress(&self, own: Range<usize>) -> Result<Progress, CaptureError> {
        let nodes = self.tree.nodes();
        let is_done = |leaf: &usize| nodes.iter().any(|node| node.contains(leaf));
        let done: BTreeSet<usize> = own.clone().filter(is_done).collect();
        // Runs are added up one after the other, so only the first that is not finished can be gone on with. Others are of
        // another number of shards, and are computed again.
        let first = own
            .clone()
            .find(|&leaf| !done.contains(&leaf) && !self.leaves.parts_of(leaf..leaf + 1).is_empty());
        let mut running = None;
        for leaf in own {
            let path = self.tree.unfinished(leaf);
            if !path.is_file() {
                continue;
            }
            if first != Some(leaf) {
                remove(&path)?;
                continue;
            }
            let file = MomentsFile::open(&path)?;
            running = Some(Running { leaf, next: file.header().parts.end, sums: file.into_sums()? });
        }
        Ok(Progress { done, running })
    }
}

/// The right to add up the parts of a shard, unless another process adds up some of them.
fn writer(dir: &Path, shard: Shard) -> Result<Lock, CaptureError> {
    let name = |shard: Shard| format!("{WRITER}{}-of-{}{WRITER_END}", shard.index, shard.count);
    let own = leaves_of_shard(shard.index, shard.count);
    for entry in fs::read_dir(dir).map_err(FileError::reading(dir))? {
        let entry = entry.map_err(FileError::reading(dir))?;
        let found = entry.file_name().to_string_lossy().into_owned();
        let other = found.strip_prefix(WRITER).and_then(|rest| rest.strip_suffix(WRITER_END));
        let Some(Ok(other)) = other.map(|other| other.replace("-of-", "/").parse::<Shard>()) else {
            continue;
        };
        let theirs = leaves_of_shard(other.index, other.count);
        if own.start < theirs.end && theirs.start < own.end {
            lock::check(&entry.path(), dir)?;
        }
    }
    Ok(lock::take(&dir.join(name(shard)), dir)?)
}

/// Removes a file that may not be there.
fn remove(path: &Path) -> Result<(), CaptureError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError::writing(path)(error).into())
        }
        _ => Ok(()),
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
