//! An evaluation in shares of the exit levels, for several machines: what each writes, and how they are joined.

use std::path::{Path, PathBuf};

use onejump_core::files;
use onejump_core::results::Method;
use onejump_core::shard::Shard;
use onejump_store::hidden::HiddenStates;
use onejump_store::tables::{PerLevel, read_per_level};
use serde::{Deserialize, Serialize};

use crate::EvaluateError;
use crate::config::Config;

/// What a shard's folder says of itself beside its table.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Card {
    shard: Shard,
    /// A hash of what determines the whole table.
    evaluation: String,
}

/// The file of the card, which is written last.
const CARD: &str = "shard.json";

/// A hash of what determines the table: the states, the shortcuts, the jumps that are applied everywhere.
pub(crate) fn evaluation(
    config: &Config,
    states: [&HiddenStates; 2],
    arbitrary: &[usize],
) -> Result<String, EvaluateError> {
    let mut text = format!("{arbitrary:?}");
    for states in states {
        text.push_str(&format!(" {} {}", states.fingerprint(), states.manifest().inputs.model_sha256));
    }
    for file in config.shortcuts.iter().chain(&config.ojfa) {
        text.push_str(&format!(" {}", files::sha256_file(file)?));
    }
    Ok(files::sha256_bytes(text.as_bytes()))
}

/// The exit levels of a shard, ascending.
pub(crate) fn levels(shard: Shard, blocks: usize) -> Vec<usize> {
    (0..blocks).filter(|&level| shard.has(level, 1)).collect()
}

/// Says that a shard's table is whole, and of which evaluation it is.
pub(crate) fn finish(dir: &Path, shard: Shard, evaluation: &str) -> Result<(), EvaluateError> {
    let card = Card { shard, evaluation: evaluation.to_owned() };
    Ok(files::write_json(&dir.join(CARD), &card)?)
}

/// The rows of all levels, in the order of an evaluation that was not shared out, from so many shards in `out`.
pub(crate) fn join(
    out: &Path,
    count: usize,
    evaluation: &str,
    methods: &[&Method],
    blocks: usize,
) -> Result<Vec<PerLevel>, EvaluateError> {
    let shards: Vec<Shard> = (0..count).map(|index| Shard { index, count }).collect();
    let tables = shards.iter().map(|&shard| table(out, shard, evaluation)).collect::<Result<Vec<_>, _>>()?;
    let mut rows = Vec::with_capacity(methods.len() * blocks);
    for (place, &method) in methods.iter().enumerate() {
        for level in 0..blocks {
            let shard = level % count;
            let (dir, table) = &tables[shard];
            // The levels of a method follow each other.
            let row = table.get(place * levels(shards[shard], blocks).len() + level / count);
            match row.filter(|row| row.level == level && row.method == *method) {
                Some(row) => rows.push(row.clone()),
                None => return Err(unusable(dir, shards[shard], "lacks rows")),
            }
        }
    }
    Ok(rows)
}

fn table(out: &Path, shard: Shard, evaluation: &str) -> Result<(PathBuf, Vec<PerLevel>), EvaluateError> {
    let dir = out.join(shard.folder());
    let card = dir.join(CARD);
    if !card.is_file() {
        return Err(unusable(&dir, shard, "is not there, or not finished"));
    }
    if files::read_json::<Card>(&card)? != (Card { shard, evaluation: evaluation.to_owned() }) {
        return Err(unusable(&dir, shard, "is of another evaluation"));
    }
    let rows = read_per_level(&dir.join("per_level.parquet"))?;
    Ok((dir, rows))
}

fn unusable(dir: &Path, shard: Shard, what: &str) -> EvaluateError {
    EvaluateError::Usage(format!(
        "{} {what}; run onejump-evaluate with the same files and --shard {shard} instead of --join",
        dir.display()
    ))
}
