//! Training into files, each of which one process alone writes.

use std::path::{Path, PathBuf};

use onejump_core::lock;
use onejump_core::manifest::HiddenManifest;
use onejump_core::observe::Observer;
use onejump_core::set_name::SetName;
use onejump_core::shortcut::{ShortcutKind, default_rank};
use onejump_shortcuts::card::Card;
use onejump_shortcuts::file::ShortcutFile;

use crate::TrainError;
use crate::config::Config;
use crate::from_moments;
use crate::run::{train, train_together};
use crate::trained::Set;

/// A file that was written.
#[derive(Debug)]
pub struct WrittenFile {
    /// Where it lies.
    pub path: PathBuf,
    /// What it says of itself.
    pub card: Card,
}

/// Trains kinds at ranks; no ranks are the default one. One kind at one rank is written to `out`; of several, each
/// is written into the folder `out`, under its [`SetName`]. The kind and the rank of `config` are not looked at.
///
/// # Errors
/// As [`train`] and [`train_together`], and [`TrainError::File`] if another process writes one of the files.
pub fn train_files(
    config: &Config,
    kinds: &[ShortcutKind],
    ranks: &[usize],
    out: &Path,
    observer: &dyn Observer,
) -> Result<Vec<WrittenFile>, TrainError> {
    if let ([kind], [] | [_]) = (kinds, ranks) {
        let _lock = lock::file(out)?;
        let config = Config { kind: *kind, rank: ranks.first().copied(), ..config.clone() };
        return Ok(vec![write(train(&config, observer)?, out.to_owned())?]);
    }
    if out.is_file() {
        return Err(TrainError::Usage(format!(
            "{} is a file; several kinds or ranks need a folder for --out",
            out.display()
        )));
    }
    let hidden_size = hidden_size(config)?;
    let sets = different(kinds, ranks, default_rank(hidden_size));
    let path = |set: &Set| out.join(SetName::new(set.kind, config.solver, set.rank, hidden_size).file());
    let paths: Vec<_> = sets.iter().map(path).collect();
    let _locks = paths.iter().map(|path| lock::file(path)).collect::<Result<Vec<_>, _>>()?;
    let trained = train_together(config, &sets, observer)?;
    trained.into_iter().zip(paths).map(|(file, path)| write(file, path)).collect()
}

/// H of the folder, which names the files.
fn hidden_size(config: &Config) -> Result<usize, TrainError> {
    if config.moments {
        return from_moments::hidden_size(config);
    }
    Ok(HiddenManifest::read(&config.hidden)?.inputs.hidden_size)
}

/// Every kind at every rank, once. A kind without a rank is trained once.
fn different(kinds: &[ShortcutKind], ranks: &[usize], default_rank: usize) -> Vec<Set> {
    let mut sets = Vec::new();
    for &kind in kinds {
        let ranks = if kind.low_rank() && !ranks.is_empty() { ranks } else { &[default_rank] };
        for &rank in ranks {
            let set = Set { kind, rank };
            if !sets.contains(&set) {
                sets.push(set);
            }
        }
    }
    sets
}

fn write(file: ShortcutFile, path: PathBuf) -> Result<WrittenFile, TrainError> {
    file.write(&path)?;
    Ok(WrittenFile { path, card: file.card })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_is_trained_once() {
        let sets = different(&[ShortcutKind::Jtc, ShortcutKind::NNjtc], &[2, 3, 2], 5);
        let expected = [(ShortcutKind::Jtc, 5), (ShortcutKind::NNjtc, 2), (ShortcutKind::NNjtc, 3)];
        assert_eq!(sets, expected.map(|(kind, rank)| Set { kind, rank }));
        assert_eq!(different(&[ShortcutKind::Joint], &[], 5), [Set { kind: ShortcutKind::Joint, rank: 5 }]);
    }
}
