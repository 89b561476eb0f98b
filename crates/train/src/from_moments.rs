//! Closed forms from sums that a capture wrote in place of the states.

use onejump_core::observe::{Observer, Task};
use onejump_core::shortcut::{ShortcutKind, Solver};
use onejump_shortcuts::file::{Maps, ShortcutFile};
use onejump_store::hidden::Selection;
use onejump_store::moments::{LevelValues, MomentsFile, Selected};
use onejump_tensor::threads;
use rayon::prelude::*;
use tch::Tensor;

use crate::TrainError;
use crate::card::{Source, file};
use crate::closed_form::{self, with_norm_per_level};
use crate::config::Config;
use crate::levels::Sharing;
use crate::moments::Moments;
use crate::trained::{Set, TrainedMap, TrainedSet};

/// Trains kinds, each with its rank or the default one.
pub(crate) fn train(
    config: &Config,
    kinds: &[(ShortcutKind, Option<usize>)],
    observer: &dyn Observer,
) -> Result<Vec<ShortcutFile>, TrainError> {
    let configs: Vec<Config> = kinds
        .iter()
        .map(|&(kind, rank)| {
            let config = Config { kind, rank, ..config.clone() };
            if let Some(reason) = impossible(&config) { Err(TrainError::Usage(reason)) } else { Ok(config) }
        })
        .collect::<Result<_, _>>()?;
    let mut sums = StoredSums::open(config)?;
    let (inputs, samples) = (sums.file.header().inputs.clone(), sums.samples);
    let ranks = configs.iter().map(|config| config.validated_rank(inputs.hidden_size, samples));
    let ranks = ranks.collect::<Result<Vec<_>, _>>()?;
    let sets: Vec<_> =
        configs.iter().zip(&ranks).map(|(config, &rank)| Set { kind: config.kind, rank }).collect();
    let trained = fit(config, &mut sums, &sets, observer)?;
    // Of a whole folder, as of states.
    let samples = Selection { first: None, ..config.selection }.to_string();
    let source = Source { inputs: &inputs, sha256: sums.file.fingerprint()?, samples };
    let files = configs.iter().zip(ranks).zip(trained);
    Ok(files.map(|((config, rank), trained)| file(config, &source, rank, trained)).collect())
}

/// Why sums are not enough.
fn impossible(config: &Config) -> Option<String> {
    let needs =
        |what: &str| Some(format!("{what}, which --moments does not have; give --hidden with states"));
    match config.kind {
        kind if kind.fitted_to_head() => {
            Some(format!("a {kind} is fitted to what the head makes of each sample, which --moments does not have; give --hidden with states"))
        }
        _ if config.solver == Solver::Adam => needs("--solver adam draws its steps from the samples"),
        _ if config.selection.first.is_some() => Some(
            "--first chooses among samples, and --moments has their sums; capture them with --limit, or give --hidden \
             with states"
                .into(),
        ),
        _ => None,
    }
}

/// H of a folder of sums.
pub(crate) fn hidden_size(config: &Config) -> Result<usize, TrainError> {
    Ok(StoredSums::open(config)?.file.header().inputs.hidden_size)
}

/// An open file of sums over all samples of a capture.
struct StoredSums {
    file: MomentsFile,
    samples: usize,
    /// Σ t (H), and Σ ‖t‖².
    targets: (Vec<f64>, f64),
}

impl StoredSums {
    fn open(config: &Config) -> Result<Self, TrainError> {
        let selected = Selected::of(config.target, config.selection.without_position_0);
        let path = config.hidden.join(selected.file());
        if !path.is_file() {
            return Err(TrainError::Usage(format!(
                "{} has no {}; onejump-capture --moments {selected} writes it once all shards are done",
                config.hidden.display(),
                selected.file()
            )));
        }
        let mut file = MomentsFile::open(&path)?;
        let header = file.header();
        let (parts, hidden) = (header.parts.clone(), header.inputs.hidden_size);
        if parts != (0..header.parts_total) {
            let (found, total) = (parts.len(), header.parts_total);
            let path = path.display();
            return Err(TrainError::Usage(format!(
                "{path}: has {found} of {total} parts; run onejump-capture again"
            )));
        }
        let samples = header.samples as usize;
        if samples < hidden {
            return Err(TrainError::Usage(format!(
                "{}: sums of {samples} samples do not determine a map of H = {hidden}; capture more, or give --hidden \
                 with states",
                path.display()
            )));
        }
        let (sum, gram) = file.targets()?;
        let squared = gram.iter().step_by(hidden + 1).sum();
        Ok(Self { file, samples, targets: (sum, squared) })
    }

    fn level(&mut self, level: usize) -> Result<Moments, TrainError> {
        let LevelValues { sum, gram, cross } = self.file.level(level)?;
        let hidden = sum.len() as i64;
        let matrix = |values: Vec<f64>| Tensor::f_from_slice(&values)?.f_view([hidden, hidden]);
        Ok(Moments {
            samples: self.samples as f64,
            x: Tensor::f_from_slice(&sum)?,
            xx: matrix(gram)?,
            xy: matrix(cross)?,
            y: Tensor::f_from_slice(&self.targets.0)?,
            y_squared: self.targets.1,
        })
    }
}

/// The maps of each set. The sums of as many levels as threads fit them are in memory, beside those of all levels
/// together for a joint one.
fn fit(
    config: &Config,
    sums: &mut StoredSums,
    sets: &[Set],
    observer: &dyn Observer,
) -> Result<Vec<TrainedSet>, TrainError> {
    let blocks = sums.file.header().inputs.blocks;
    let per_level: Vec<Set> = sets.iter().copied().filter(|set| !is_joint(set.kind)).collect();
    let meter = observer.begin(Task { name: "train", unit: "levels", total: blocks as u64 });
    let mut by_set: Vec<Vec<TrainedMap>> = per_level.iter().map(|_| Vec::new()).collect();
    let together = sets.iter().any(|set| set.kind == ShortcutKind::Joint);
    let mut sum: Option<Moments> = None;
    let pool = threads::pool()?;
    let sharing = Sharing::of_matrices(sums.file.header().inputs.hidden_size);
    let at_once = if sharing == Sharing::LevelPerThread { pool.current_num_threads() } else { 1 };
    let levels: Vec<usize> = (0..blocks).collect();
    for group in levels.chunks(at_once) {
        observer.check()?;
        let moments = group.iter().map(|&level| sums.level(level)).collect::<Result<Vec<_>, _>>()?;
        let one = |moments: &Moments| {
            let fit = |set: &Set| closed_form::fit(set.kind, moments, set.rank, config.ridge);
            per_level.iter().map(fit).collect::<Result<Vec<_>, _>>()
        };
        let fitted: Vec<_> = if at_once == 1 {
            moments.iter().map(one).collect::<Result<_, _>>()?
        } else {
            // A tensor may be sent to another thread, but not shared with it.
            let copies: Vec<Moments> = moments.iter().map(Moments::shallow_clone).collect();
            let work = || copies.into_par_iter().with_max_len(1).map(|moments| one(&moments));
            pool.install(|| work().collect::<Result<_, _>>())?
        };
        for fitted in fitted {
            for (levels, fitted) in by_set.iter_mut().zip(fitted) {
                levels.push(TrainedMap { map: fitted.map, loss: fitted.loss, curve: None });
            }
        }
        for moments in moments.into_iter().filter(|_| together) {
            match &mut sum {
                Some(sum) => sum.add(&moments)?,
                none => *none = Some(moments),
            }
        }
        meter.advance(group.len() as u64);
    }
    let mut by_set = by_set.into_iter().map(TrainedSet::per_level);
    let mut trained = Vec::new();
    for set in sets {
        trained.extend(match (set.kind, &sum) {
            (ShortcutKind::JointNorms, _) => Some(joint_norms(config, sums, set.rank)?),
            (ShortcutKind::Joint, Some(sum)) => {
                let fitted = closed_form::fit(set.kind, sum, set.rank, config.ridge)?;
                Some(TrainedSet::one(TrainedMap { map: fitted.map, loss: fitted.loss, curve: None }))
            }
            _ => by_set.next(),
        });
    }
    Ok(trained)
}

fn is_joint(kind: ShortcutKind) -> bool {
    matches!(kind, ShortcutKind::Joint | ShortcutKind::JointNorms)
}

/// One A·B behind a norm per level; the sums are read twice.
fn joint_norms(config: &Config, sums: &mut StoredSums, rank: usize) -> Result<TrainedSet, TrainError> {
    let blocks = sums.file.header().inputs.blocks;
    let maps = with_norm_per_level((0..blocks).map(|level| sums.level(level)), rank, config.ridge)?;
    let loss = |(level, map)| closed_form::loss(map, &sums.level(level)?);
    let losses = maps.iter().enumerate().map(loss).collect::<Result<_, _>>()?;
    let maps = Maps::PerLevel(maps);
    Ok(TrainedSet { maps, previous: None, losses, curves: None, held_out: None, windows: 1 })
}
