//! The files of a capture whose sums are not all added up yet: runs of parts, and the tree in which they are joined.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use onejump_core::files::FileError;

use super::Selected;
use super::file::MomentsFile;
use crate::StoreError;

/// How many runs of parts a capture is summed up in, and so how many shards it can have at most. On the way as many
/// files of sums lie in the folder as the binary number of the finished runs has ones: 6 at most.
pub const LEAVES: usize = 64;

/// The runs of parts of a capture: the leaves of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaves {
    /// Parts in all.
    pub parts: usize,
    /// Parts that are computed together, and are in one run.
    pub together: usize,
}

impl Leaves {
    /// The parts of some consecutive runs.
    pub fn parts_of(self, leaves: Range<usize>) -> Range<usize> {
        let groups = self.parts.div_ceil(self.together);
        let edge = |leaf: usize| (leaf * groups / LEAVES * self.together).min(self.parts);
        edge(leaves.start)..edge(leaves.end)
    }

    /// The run that a part is in.
    pub fn of_part(self, part: usize) -> usize {
        (0..LEAVES).find(|&leaf| self.parts_of(leaf..leaf + 1).contains(&part)).unwrap_or(LEAVES)
    }
}

/// The runs of a shard: consecutive ones.
pub fn leaves_of_shard(index: usize, count: usize) -> Range<usize> {
    index * LEAVES / count..(index + 1) * LEAVES / count
}

/// A node of the tree: the runs below it. Their number is a power of two, and divides the first one's number.
pub type Node = Range<usize>;

/// The files of one selection in a folder.
#[derive(Debug, Clone)]
pub struct Tree {
    dir: PathBuf,
    selected: Selected,
    leaves: Leaves,
}

impl Tree {
    /// In a folder, which nothing is read of yet.
    pub fn new(dir: &Path, selected: Selected, leaves: Leaves) -> Self {
        Self { dir: dir.to_owned(), selected, leaves }
    }

    /// The file of a node: that of the root has all sums.
    pub fn path(&self, node: &Node) -> PathBuf {
        if *node == (0..LEAVES) {
            return self.dir.join(self.selected.file());
        }
        self.dir.join(format!("{}.{:02}-{:02}.safetensors", self.selected.stem(), node.start, node.end))
    }

    /// The file of a run that is not finished.
    pub fn unfinished(&self, leaf: usize) -> PathBuf {
        self.dir.join(format!("{}.{leaf:02}.unfinished.safetensors", self.selected.stem()))
    }

    /// The nodes whose files are there, from the largest to the smallest.
    pub fn nodes(&self) -> Vec<Node> {
        let sizes = (0..=LEAVES.trailing_zeros()).rev().map(|power| 1 << power);
        let nodes = sizes.flat_map(|size| (0..LEAVES).step_by(size).map(move |start| start..start + size));
        nodes.filter(|node| self.path(node).is_file()).collect()
    }

    /// Joins the files of neighbours, those that are there already and those that come of it. A run without parts needs no
    /// file. What a crash left behind is removed. Only one process may do so at a time.
    ///
    /// # Errors
    /// [`StoreError`] if a file cannot be read or written, or is of another capture.
    pub fn join(&self) -> Result<(), StoreError> {
        let mut size = 1;
        while size < LEAVES {
            for start in (0..LEAVES).step_by(2 * size) {
                let (left, right) = (start..start + size, start + size..start + 2 * size);
                self.join_two(&left, &right)?;
            }
            size *= 2;
        }
        Ok(())
    }

    fn join_two(&self, left: &Node, right: &Node) -> Result<(), StoreError> {
        let both = self.path(&(left.start..right.end));
        let [left, right] = [left, right].map(|node| {
            let path = self.path(node);
            (path.is_file().then_some(path), self.leaves.parts_of(node.clone()).is_empty())
        });
        match (left, right) {
            (left, right) if both.is_file() => {
                for path in [left.0, right.0].into_iter().flatten() {
                    fs::remove_file(&path).map_err(FileError::writing(&path))?;
                }
            }
            ((Some(left), _), (Some(right), _)) => {
                MomentsFile::open(&left)?.add(MomentsFile::open(&right)?, &both)?;
                for path in [left, right] {
                    fs::remove_file(&path).map_err(FileError::writing(&path))?;
                }
            }
            ((Some(one), _), (None, true)) | ((None, true), (Some(one), _)) => {
                fs::rename(&one, &both).map_err(FileError::writing(&both))?;
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moments::file::{MomentsHeader, write};
    use crate::moments::sums::Sums;
    use onejump_core::manifest::CaptureInputs;

    fn inputs() -> CaptureInputs {
        let inputs = serde_json::json!({
            "model": "tiny", "architecture": "llama", "model_sha256": "", "hidden_size": 2, "blocks": 1,
            "vocab_size": 3, "sentences": "", "sentences_sha256": "", "samples": 5, "truncated": 0, "seed": 0,
            "position_0": true, "bos": false, "dtype": "f32", "store_dtype": "f32", "onejump": "", "libtorch": "",
        });
        serde_json::from_value(inputs).unwrap()
    }

    #[test]
    fn every_part_is_in_one_run_and_every_run_in_one_shard() {
        for (parts, together) in [(0, 1), (1, 1), (5, 1), (64, 1), (1000, 1), (1000, 16), (17, 16)] {
            let leaves = Leaves { parts, together };
            let all: Vec<usize> = (0..LEAVES).flat_map(|leaf| leaves.parts_of(leaf..leaf + 1)).collect();
            assert!(all.into_iter().eq(0..parts));
            for part in 0..parts {
                assert!(leaves.parts_of(leaves.of_part(part)..leaves.of_part(part) + 1).contains(&part));
                assert_eq!(leaves.of_part(part), leaves.of_part(part / together * together));
            }
        }
        for count in 1..=LEAVES {
            let all: Vec<usize> = (0..count).flat_map(|index| leaves_of_shard(index, count)).collect();
            assert!(all.into_iter().eq(0..LEAVES));
        }
    }

    /// Values that are exact in no sum: whoever adds them in another order gets other bytes.
    fn leaf(tree: &Tree, leaf: usize) {
        let mut sums = Sums::none(2, [0]);
        sums.samples = 1;
        sums.targets.sum = vec![0.1 * leaf as f64, 1.0 / (leaf + 1) as f64];
        let parts = tree.leaves.parts_of(leaf..leaf + 1);
        if !parts.is_empty() {
            let header = MomentsHeader::new(inputs(), Selected::All, &sums, parts, tree.leaves.parts);
            write(&tree.path(&(leaf..leaf + 1)), &header, &sums).unwrap();
        }
    }

    #[test]
    fn the_order_in_which_runs_are_finished_changes_no_byte() {
        for parts in [1, 3, 40, 200] {
            let mut contents = Vec::new();
            for stride in [1, 3, 63, 37] {
                let dir = tempfile::tempdir().unwrap();
                let tree = Tree::new(dir.path(), Selected::All, Leaves { parts, together: 1 });
                let mut most = 0;
                for step in 0..LEAVES {
                    leaf(&tree, step * stride % LEAVES);
                    tree.join().unwrap();
                    most = most.max(tree.nodes().len());
                }
                assert!(stride > 1 || most <= 6);
                assert!(tree.nodes().into_iter().eq(std::iter::once(0..LEAVES)));
                assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
                let mut file = MomentsFile::open(&tree.path(&(0..LEAVES))).unwrap();
                assert_eq!(file.header().parts, 0..parts);
                let samples = file.header().samples;
                assert_eq!(samples, parts.min(LEAVES) as u64);
                file.targets().unwrap();
                contents.push(fs::read(tree.path(&(0..LEAVES))).unwrap());
            }
            assert!(contents.windows(2).all(|pair| pair[0] == pair[1]));
        }
    }

    #[test]
    fn what_a_crash_leaves_is_removed_and_what_does_not_fit_refused() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::new(dir.path(), Selected::All, Leaves { parts: 200, together: 1 });
        leaf(&tree, 0);
        leaf(&tree, 1);
        tree.join().unwrap();
        leaf(&tree, 0);
        tree.join().unwrap();
        assert!(tree.nodes().into_iter().eq(std::iter::once(0..2)));
        leaf(&tree, 2);
        fs::rename(tree.path(&(2..3)), tree.path(&(3..4))).unwrap();
        leaf(&tree, 2);
        let error = tree.join().unwrap_err().to_string();
        assert!(error.contains("03-04") && error.contains("does not go on"), "{error}");
    }
}
