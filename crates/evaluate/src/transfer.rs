//! Every jump at every exit level: `transfer.parquet`; and what follows from it: which criterion chooses
//! the one jump well (`jumps.parquet`, `regret.parquet`), and how many jumps it takes (`subsets.parquet`).

use onejump_core::observe::Observer;
use onejump_exit::SharedHead;
use onejump_models::device::Place;
use onejump_models::head::Head;
use onejump_store::analyses::{Criterion, Jump, Measure, Regret, Transfer, write_rows};
use onejump_store::hidden::Selection;
use strum::VariantArray;

use crate::EvaluateError;
use crate::bootstrap::{Bootstrap, PerSample, Quality, minus};
use crate::config::Config;
use crate::inputs::States;
use crate::jumps::{JumpSet, Pair, argmax};
use crate::methods::Methods;
use crate::run::open;
use crate::subsets::subsets;
use crate::sweep::sweep;

/// Applies every jump of each given file at every exit level, on the test samples and, for what is
/// chosen, on training samples.
pub(crate) fn transfer(config: &Config, observer: &dyn Observer) -> Result<usize, EvaluateError> {
    let (hidden, train, mut checkpoint) = open(config, observer)?;
    let first = config.train_samples.min(train.samples());
    let train = train.select(Selection { first: Some(first), ..Selection::default() })?;
    let head = SharedHead::new(&Head::load(&mut checkpoint, Place::CPU)?);
    let test = States::read_with_expected(hidden, "test", &head, &config.out, observer)?;
    let train =
        States::read_with_expected(train, &format!("train-first-{first}"), &head, &config.out, observer)?;
    let (train_lengths, test_lengths) = (train.hidden.lengths()?, test.hidden.lengths()?);
    let bootstrap = Bootstrap::new(&test.hidden.text_ids()?, config.seed)?;
    let (mut transfers, mut jumps, mut regrets, mut sets) = (vec![], vec![], vec![], vec![]);
    for path in &config.shortcuts {
        let methods = Methods::jumps(&test.hidden.manifest().inputs, path)?;
        let set = JumpSet::of(&methods)?;
        let criteria =
            sweep("training pairs", &train, &methods, &train.exit_levels(), observer, |outcomes| {
                Pair::of(&outcomes, &train_lengths)
            })?;
        let swept = sweep("test pairs", &test, &methods, &test.exit_levels(), observer, |outcomes| {
            let quality: Vec<Quality> = outcomes.iter().map(Quality::of).collect();
            (Pair::of(&outcomes, &test_lengths), quality)
        })?;
        let (pairs, qualities): (Vec<Vec<Pair>>, Vec<Vec<Vec<Quality>>>) =
            swept.into_iter().map(|levels| levels.into_iter().unzip()).unzip();
        let means: Vec<PerSample> = qualities.iter().map(|levels| PerSample::mean(levels.iter())).collect();
        transfers.extend(transfer_rows(&set, &pairs));
        jumps.extend(jump_rows(&set, &criteria, &means, &bootstrap, train.count())?);
        regrets.extend(regret_rows(&set, &criteria, &means, &bootstrap)?);
        sets.extend(subsets(&set, &criteria, &qualities, &bootstrap)?);
    }
    write_rows(&config.out.join("transfer.parquet"), &transfers)?;
    write_rows(&config.out.join("jumps.parquet"), &jumps)?;
    write_rows(&config.out.join("regret.parquet"), &regrets)?;
    write_rows(&config.out.join("subsets.parquet"), &sets)?;
    Ok(transfers.len())
}

/// The measures on test samples, and whether more of it is better.
const MEASURES: [(Measure, bool); 3] =
    [(Measure::Precision1, true), (Measure::Surprisal, false), (Measure::Kl, false)];

fn mean(levels: &[Pair], get: impl Fn(&Pair) -> f64) -> f64 {
    levels.iter().map(get).sum::<f64>() / levels.len() as f64
}

fn transfer_rows(set: &JumpSet, pairs: &[Vec<Pair>]) -> Vec<Transfer> {
    let row = |jump: usize, level: usize, pair: &Pair| Transfer {
        method: set.method,
        solver: set.solver,
        rank: set.rank,
        jump: jump as u32,
        level: level as u32,
        precision_1: pair.precision_1,
        surprisal: pair.surprisal,
        mat_surprisal: pair.mat_surprisal,
        kl: pair.kl,
        cosine: pair.cosine,
        signed_square: pair.signed_square,
    };
    let levels = |(jump, levels): (usize, &Vec<Pair>)| -> Vec<Transfer> {
        levels.iter().enumerate().map(|(level, pair)| row(jump, level, pair)).collect()
    };
    pairs.iter().enumerate().flat_map(levels).collect()
}

fn jump_rows(
    set: &JumpSet,
    criteria: &[Vec<Pair>],
    means: &[PerSample],
    bootstrap: &Bootstrap,
    train_samples: usize,
) -> Result<Vec<Jump>, EvaluateError> {
    let mut rows = Vec::with_capacity(means.len());
    for (jump, (levels, measured)) in criteria.iter().zip(means).enumerate() {
        let [precision, surprisal, kl] = measured.intervals(bootstrap)?;
        rows.push(Jump {
            solver: set.solver,
            rank: set.rank,
            jump: jump as u32,
            train_samples: train_samples as u32,
            train_signed_square: mean(levels, |pair| pair.signed_square),
            train_cosine: mean(levels, |pair| pair.cosine),
            train_mse: mean(levels, |pair| pair.mse),
            train_kl: mean(levels, |pair| pair.kl),
            train_signed_square_by_tokens: mean(levels, |pair| pair.signed_square_by_tokens),
            train_precision_1: mean(levels, |pair| pair.precision_1),
            precision_1: precision.mean,
            precision_1_low: precision.low,
            precision_1_high: precision.high,
            surprisal: surprisal.mean,
            surprisal_low: surprisal.low,
            surprisal_high: surprisal.high,
            kl: kl.mean,
            kl_low: kl.low,
            kl_high: kl.high,
        });
    }
    Ok(rows)
}

fn regret_rows(
    set: &JumpSet,
    criteria: &[Vec<Pair>],
    means: &[PerSample],
    bootstrap: &Bootstrap,
) -> Result<Vec<Regret>, EvaluateError> {
    let mut rows = Vec::new();
    for &criterion in Criterion::VARIANTS {
        let scores: Vec<f64> =
            criteria.iter().map(|levels| mean(levels, |pair| pair.by(criterion))).collect();
        let jump = argmax(&scores);
        for (index, (metric, more)) in MEASURES.into_iter().enumerate() {
            let column = |jump: usize| means[jump].columns()[index];
            let sign = if more { 1.0 } else { -1.0 };
            let averages: Vec<f64> = (0..means.len())
                .map(|jump| column(jump).iter().sum::<f64>() / column(jump).len() as f64)
                .collect();
            let best_jump = argmax(&averages.iter().map(|average| sign * average).collect::<Vec<_>>());
            let (chosen, best) = (column(jump), column(best_jump));
            let regret = bootstrap.interval(if more { minus(best, chosen) } else { minus(chosen, best) })?;
            rows.push(Regret {
                solver: set.solver,
                rank: set.rank,
                criterion,
                jump: jump as u32,
                metric,
                value: averages[jump],
                best_jump: best_jump as u32,
                best: averages[best_jump],
                regret: regret.mean,
                regret_low: regret.low,
                regret_high: regret.high,
            });
        }
    }
    Ok(rows)
}
