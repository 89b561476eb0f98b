//! An evaluation in shares, of the exit levels or of the samples, for several machines or for states that are never all in
//! one place: the sums of each share, and how they are joined. An evaluation that is not shared out is one share.

use std::path::Path;

use onejump_core::files;
use onejump_core::layout::EVALUATION_SHARE;
use onejump_core::manifest::HiddenManifest;
use onejump_core::results::Method;
use onejump_core::shard::Shard;
use onejump_store::partial::{Partial, Shards};
use onejump_store::tables::PerLevel;

use crate::EvaluateError;
use crate::config::Config;
use crate::metrics::{TALLY, Tally};
use crate::variation::Variations;

/// The program, as messages name it.
const PROGRAM: &str = "onejump-evaluate";

/// A hash of what determines the sums beside the test states: the training states, the shortcuts, the jumps that are applied
/// everywhere.
pub(crate) fn work(
    config: &Config,
    train: &HiddenManifest,
    arbitrary: &[usize],
) -> Result<String, EvaluateError> {
    let mut text = format!("{arbitrary:?} {} {}", train.fingerprint(), train.inputs.model_sha256);
    for file in config.shortcuts.iter().chain(&config.ojfa) {
        text.push_str(&format!(" {}", files::sha256_file(file)?));
    }
    Ok(files::sha256_bytes(text.as_bytes()))
}

/// The exit levels of a shard, ascending.
pub(crate) fn levels(shard: Shard, blocks: usize) -> Vec<usize> {
    (0..blocks).filter(|&level| shard.has(level, 1)).collect()
}

/// So many shards in a folder.
pub(crate) fn shards(out: &Path, count: usize) -> Shards<'_> {
    Shards { dir: out, file: EVALUATION_SHARE, count, program: PROGRAM }
}

/// Adds the sums of all methods over the samples of a part, at one level.
pub(crate) fn add(partial: &mut Partial, part: usize, level: usize, tallies: &[Tally]) {
    let values = tallies.iter().flat_map(|tally| tally.values()).collect();
    partial.add(part, &level_name(level), values);
}

/// Adds how far the final states of a part lie apart.
pub(crate) fn add_variations(partial: &mut Partial, part: usize, variations: &Variations) {
    partial.add(part, "variation", variations.values());
}

fn level_name(level: usize) -> String {
    format!("level.{level:02}")
}

/// What all shares come to.
pub(crate) struct Joined {
    /// The metrics of every method at every level.
    pub rows: Vec<PerLevel>,
    /// Samples at position 0.
    pub at_0: usize,
}

/// How an evaluation was shared out: what lacks something is named by it.
pub(crate) struct Shares<'a> {
    pub shards: &'a Shards<'a>,
    /// By levels, rather than by samples.
    pub by_level: bool,
}

/// The metrics of all methods at the given levels, from the sums over the parts of the test states.
pub(crate) fn joined(
    partial: &Partial,
    manifest: &HiddenManifest,
    methods: &[&Method],
    levels: &[usize],
    shares: &Shares,
) -> Result<Joined, EvaluateError> {
    let lacks = |part: usize, level: usize| {
        let share = if shares.by_level { level } else { part / manifest.together() };
        let shard = Shard { index: share % shares.shards.count, count: shares.shards.count };
        EvaluateError::from(shares.shards.unusable(shard, &format!("lacks level {level} of part {part}")))
    };
    let parts: Vec<usize> = manifest.numbered_parts().map(|(number, _)| number).collect();
    let mut variations = Variations::new(manifest.inputs.hidden_size);
    for &part in &parts {
        let count = variations.values().len();
        let values = partial.values(part, "variation", count).ok_or_else(|| lacks(part, 0))?;
        variations.add(&Variations::of_values(values));
    }
    let variation = variations.variation();
    let mut tallies = vec![vec![Tally::default(); levels.len()]; methods.len()];
    for (place, &level) in levels.iter().enumerate() {
        for &part in &parts {
            let values = partial.values(part, &level_name(level), methods.len() * TALLY);
            let values = values.ok_or_else(|| lacks(part, level))?;
            let (values, _) = values.as_chunks::<TALLY>();
            for (tallies, values) in tallies.iter_mut().zip(values) {
                tallies[place].join(&Tally::of_values(values));
            }
        }
    }
    let at_0 = tallies.first().and_then(|tallies| tallies.first()).map_or(0, Tally::at_0);
    let mut rows = Vec::with_capacity(methods.len() * levels.len());
    for (&method, tallies) in methods.iter().zip(&tallies) {
        for (&level, tally) in levels.iter().zip(tallies) {
            if let Some((all, without_0)) = tally.metrics(variation) {
                rows.push(PerLevel { method: method.clone(), level, all, without_0 });
            }
        }
    }
    Ok(Joined { rows, at_0 })
}
