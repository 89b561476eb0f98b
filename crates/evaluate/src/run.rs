//! A whole evaluation: all methods at all exit levels, then the tables.

use std::iter;

use onejump_core::files;
use onejump_core::lock;
use onejump_core::observe::Observer;
use onejump_core::results::{Average, Method, MethodName, Metrics, Summary};
use onejump_core::shard::Shard;
use onejump_exit::SharedHead;
use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::Place;
use onejump_models::head::Head;
use onejump_store::hidden::HiddenStates;
use onejump_store::tables::{PerLevel, write_per_level};
use onejump_store::truth::Truth;
use tch::{Kind, Tensor};

use crate::EvaluateError;
use crate::config::{Config, Part};
use crate::constant::Constant;
use crate::inputs::{States, check_model};
use crate::levels::FinalStates;
use crate::methods::Methods;
use crate::metrics::{Outcome, Tally, Variation};
use crate::shards;
use crate::sweep::sweep;
use crate::truth::truth;

/// Evaluates every method at every exit level, and writes `per_level.parquet` and `summary.json`; of a shard, the first
/// of them.
///
/// # Errors
/// [`EvaluateError`] if files are missing, damaged, or do not belong together.
pub fn evaluate(config: &Config, observer: &dyn Observer) -> Result<Summary, EvaluateError> {
    let (hidden, train, mut checkpoint) = open(config, observer)?;
    let blocks = hidden.blocks();
    let default_arbitrary = || vec![blocks / 6, blocks / 2, blocks * 5 / 6];
    let arbitrary = config.arbitrary.clone().unwrap_or_else(default_arbitrary);
    let methods = Methods::read(&hidden, &config.shortcuts, &config.ojfa, &arbitrary)?;
    let shard = match config.part {
        Part::Levels(shard) => Some(shard).filter(|&shard| shard != Shard::WHOLE),
        Part::Join(_) => None,
    };
    let out = shard.map_or(config.out.clone(), |shard| config.out.join(shard.folder()));
    let _lock = lock::folder(&out)?;
    let evaluation = shards::evaluation(config, [&hidden, &train], &arbitrary)?;

    // The model's own predictions are of no level: shards find them where one of them has written them.
    let head = SharedHead::new(&Head::load(&mut checkpoint, Place::CPU)?);
    let train_truth = truth(&train, &head, &config.out.join("truth-train.parquet"), observer)?;
    let states = States::read(hidden, "test", &head, &config.out, observer)?;
    let States { hidden, truth, positions, finals } = &states;
    let variation = variation(&finals.targets, positions)?;
    let vocab_size = head.head().vocab_size();

    let constant_method = Method::untrained(MethodName::Constant);
    let rows = if let Part::Join(count) = config.part {
        let trained = methods.entries.iter().map(|entry| &entry.method);
        let all: Vec<_> = iter::once(&constant_method).chain(trained).collect();
        shards::join(&config.out, count, &evaluation, &all, blocks)?
    } else {
        let levels = shards::levels(shard.unwrap_or(Shard::WHOLE), blocks);
        let constant = Constant::new(&train_truth.tokens, vocab_size);
        let constant = constant_tally(&constant, finals, truth, positions)?;
        let of = |method, tally| levels.iter().filter_map(move |&level| row(method, level, tally, variation));
        let mut rows: Vec<_> = of(&constant_method, &constant).collect();
        let tallies = sweep("evaluate", &states, &methods, &levels, observer, |outcomes| {
            Tally::of(positions, &outcomes)
        })?;
        for (entry, tallies) in methods.entries.iter().zip(&tallies) {
            let tallies = levels.iter().zip(tallies);
            rows.extend(tallies.filter_map(|(&level, tally)| row(&entry.method, level, tally, variation)));
        }
        rows
    };
    write_per_level(&out.join("per_level.parquet"), &rows)?;
    let inputs = &hidden.manifest().inputs;
    let summary = Summary {
        model: inputs.model.clone(),
        architecture: inputs.architecture.clone(),
        hidden_size: hidden.hidden_size(),
        blocks,
        vocab_size,
        train_samples: train.samples(),
        test_samples: hidden.samples(),
        test_samples_at_0: positions.iter().filter(|&&position| position == 0).count(),
        choices: methods.choices,
        averages: averages(&rows),
    };
    match shard {
        Some(shard) => shards::finish(&out, shard, &evaluation)?,
        None => files::write_json(&out.join("summary.json"), &summary)?,
    }
    Ok(summary)
}

/// The test and the training samples, and the checkpoint that they must come from.
pub(crate) fn open(
    config: &Config,
    observer: &dyn Observer,
) -> Result<(HiddenStates, HiddenStates, Checkpoint), EvaluateError> {
    let hidden = HiddenStates::open(&config.hidden)?;
    let train = config.train_hidden.clone().unwrap_or_else(|| config.hidden.with_file_name("train"));
    let train = HiddenStates::open(train)?;
    hidden.check_levels(0..=hidden.blocks())?;
    let checkpoint = Checkpoint::open_observed(&config.model, observer)?;
    check_model(&checkpoint, &[&hidden, &train])?;
    Ok((hidden, train, checkpoint))
}

fn constant_tally(
    constant: &Constant,
    finals: &FinalStates,
    truth: &Truth,
    positions: &[u32],
) -> Result<Tally, EvaluateError> {
    let tops = vec![i64::from(constant.top()); positions.len()];
    let mat_surprisals = finals.mat_surprisals(truth, 0, &tops)?;
    let mut tally = Tally::default();
    for (row, &token) in truth.tokens.iter().enumerate() {
        let outcome = Outcome {
            above: constant.above(token),
            surprisal: constant.surprisal(token),
            mat_surprisal: mat_surprisals[row],
            ..Outcome::default()
        };
        tally.add(positions[row], &outcome);
    }
    Ok(tally)
}

/// Σ‖h_K − mean h_K‖² over all samples, and over those whose position is not 0.
fn variation(targets: &Tensor, positions: &[u32]) -> Result<Variation, EvaluateError> {
    let of = |targets: &Tensor| -> Result<f64, EvaluateError> {
        let targets = targets.f_to_kind(Kind::Double)?;
        let mean = targets.f_mean_dim([0i64].as_slice(), true, Kind::Double)?;
        Ok(targets.f_sub(&mean)?.f_square_()?.f_sum(Kind::Double)?.double_value(&[]))
    };
    let kept: Vec<i64> = (0..positions.len() as i64).filter(|&row| positions[row as usize] > 0).collect();
    let without_0 =
        if kept.is_empty() { 0.0 } else { of(&targets.f_index_select(0, &Tensor::f_from_slice(&kept)?)?)? };
    Ok(Variation { all: of(targets)?, without_0 })
}

fn row(method: &Method, level: usize, tally: &Tally, variation: Variation) -> Option<PerLevel> {
    let (all, without_0) = tally.metrics(variation)?;
    Some(PerLevel { method: method.clone(), level, all, without_0 })
}

/// The means over the exit levels of each method, in the order of evaluation.
fn averages(rows: &[PerLevel]) -> Vec<Average> {
    rows.chunk_by(|a, b| a.method == b.method)
        .filter_map(|rows| {
            let all: Vec<Metrics> = rows.iter().map(|row| row.all).collect();
            let without_0: Option<Vec<Metrics>> = rows.iter().map(|row| row.without_0).collect();
            Some(Average {
                method: rows.first()?.method.clone(),
                all: Metrics::mean(&all)?,
                without_0: without_0.and_then(|metrics| Metrics::mean(&metrics)),
            })
        })
        .collect()
}
