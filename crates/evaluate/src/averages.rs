//! Every file of shortcuts averaged over the exit levels, with intervals, and the paired differences
//! between methods: `averages.parquet` and `differences.parquet`.

use onejump_core::observe::Observer;
use onejump_core::results::{Method, MethodName};
use onejump_core::shortcut::{LevelConvention, ShortcutKind, Solver};
use onejump_exit::SharedHead;
use onejump_models::device::Place;
use onejump_models::head::Head;
use onejump_store::analyses::{Difference, FileAverage, write_rows};

use crate::EvaluateError;
use crate::bootstrap::{Bootstrap, PerSample, Quality, minus};
use crate::config::Config;
use crate::inputs::States;
use crate::methods::{Entry, Methods};
use crate::run::open;
use crate::sweep::sweep;

/// Evaluates all given files.
pub(crate) fn averages(config: &Config, observer: &dyn Observer) -> Result<usize, EvaluateError> {
    let (hidden, _, mut checkpoint) = open(config, observer)?;
    let methods = Methods::read(&hidden.manifest().inputs, &config.shortcuts, &config.ojfa, &[])?;
    let head = SharedHead::new(&Head::load(&mut checkpoint, Place::CPU)?);
    let states = States::read_with_expected(hidden, "test", &head, &config.out, observer)?;
    let swept = sweep("averages", &states, &methods, &states.exit_levels(), observer, |outcomes| {
        outcomes.iter().map(Quality::of).collect::<Vec<_>>()
    })?;
    let means: Vec<PerSample> = swept.iter().map(|levels| PerSample::mean(levels.iter())).collect();
    drop(swept);
    let bootstrap = Bootstrap::new(&states.hidden.text_ids()?, config.seed)?;
    let mut rows = Vec::with_capacity(means.len());
    for (entry, mean) in methods.entries.iter().zip(&means) {
        rows.push(row(&methods, entry, mean, &bootstrap, &states.positions)?);
    }
    write_rows(&config.out.join("averages.parquet"), &rows)?;
    let mut differences = Vec::new();
    for (entry, mean) in methods.entries.iter().zip(&means) {
        for (other, theirs) in methods.entries.iter().zip(&means) {
            if comparable(&methods, entry, other) {
                let kinds = (methods.kind(entry), methods.kind(other));
                differences.push(difference(&entry.method, mean, kinds, theirs, &bootstrap)?);
            }
        }
    }
    write_rows(&config.out.join("differences.parquet"), &differences)?;
    Ok(rows.len())
}

/// The single jumps are compared with every method of their rank and solver, or of no rank.
fn comparable(methods: &Methods, entry: &Entry, other: &Entry) -> bool {
    let (a, b) = (&entry.method, &other.method);
    let unlabelled = |entry| methods.card(entry).is_none_or(|card| card.label.is_none());
    // What is fitted to the head has gradient descent alone: the others' closed form is its measure.
    let to_head = |method: &Method| matches!(method.name, MethodName::Kind(kind) if kind.fitted_to_head());
    let solver = if to_head(a) { Some(Solver::ClosedForm) } else { a.solver };
    let same = |a: &Method, b: &Method| {
        b.rank.is_none() || a.rank == b.rank && (solver == b.solver || to_head(a) && to_head(b))
    };
    let single = a.rank.is_some() && (methods.is_one_map(entry) || methods.kind(entry).single_jump());
    single && a.name != b.name && same(a, b) && unlabelled(entry) && unlabelled(other)
}

/// A method minus another one; `kinds` are theirs in this order.
fn difference(
    ours: &Method,
    mean: &PerSample,
    (method, other): (ShortcutKind, ShortcutKind),
    theirs: &PerSample,
    bootstrap: &Bootstrap,
) -> Result<Difference, EvaluateError> {
    let [precision, surprisal] = [
        bootstrap.interval(minus(&mean.precision_1, &theirs.precision_1))?,
        bootstrap.interval(minus(&mean.surprisal, &theirs.surprisal))?,
    ];
    Ok(Difference {
        solver: ours.solver,
        rank: ours.rank.map(|rank| rank as u32),
        method,
        other,
        precision_1: precision.mean,
        precision_1_low: precision.low,
        precision_1_high: precision.high,
        surprisal: surprisal.mean,
        surprisal_low: surprisal.low,
        surprisal_high: surprisal.high,
    })
}

/// Average precision@1 of the samples that are not at position 0; none if there are no such samples.
fn without_position_0(precisions: &[f64], positions: &[u32]) -> Option<f64> {
    let kept = positions.iter().zip(precisions).filter(|(position, _)| **position > 0);
    let kept: Vec<f64> = kept.map(|(_, &precision)| precision).collect();
    (!kept.is_empty()).then(|| kept.iter().sum::<f64>() / kept.len() as f64)
}

fn row(
    methods: &Methods,
    entry: &Entry,
    mean: &PerSample,
    bootstrap: &Bootstrap,
    positions: &[u32],
) -> Result<FileAverage, EvaluateError> {
    let [precision, surprisal, kl] = mean.intervals(bootstrap)?;
    let method = &entry.method;
    let card = methods.card(entry);
    let choice = card.and_then(|card| card.choice.as_ref());
    let d = choice.and_then(|choice| choice.d(choice.levels).get(choice.level).copied());
    Ok(FileAverage {
        label: card.and_then(|card| card.label.clone()),
        method: methods.kind(entry),
        solver: method.solver,
        rank: method.rank.map(|rank| rank as u32),
        jump: method.jump.map(|jump| jump as u32),
        jump_eq5: choice.and_then(|choice| choice.best(LevelConvention::Eq5)).map(|jump| jump as u32),
        d,
        parameters: method.parameters,
        precision_1: precision.mean,
        precision_1_low: precision.low,
        precision_1_high: precision.high,
        precision_1_without_0: without_position_0(&mean.precision_1, positions),
        surprisal: surprisal.mean,
        surprisal_low: surprisal.low,
        surprisal_high: surprisal.high,
        kl: kl.mean,
        kl_low: kl.low,
        kl_high: kl.high,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_at_position_0_alone_leave_no_average() {
        assert_eq!(without_position_0(&[1.0, 0.25, 0.75], &[0, 3, 1]), Some(0.5));
        assert_eq!(without_position_0(&[1.0, 0.5], &[0, 0]), None);
    }
}
