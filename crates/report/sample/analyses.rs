//! Invented tables of every further analysis, as many rows as `cargo xtask reproduce --beyond` makes.

use onejump_core::shortcut::{ShortcutKind, Solver, parameters};
use onejump_report::analyses::Analyses;
use onejump_store::analyses::{ClassBy, Criterion, ExitRule, LookSchedule, LookingHead, Measure};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::run::{BEST_JUMP, HIDDEN_SIZE};

/// Ranks of the sweep beside the run's own.
const SWEEP: [usize; 6] = [1, 4, 16, 64, 256, 576];

/// Agreements that thresholds are calibrated for.
const WANTED: [f64; 12] = [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.99, 0.995];

/// Names of variants, the first of which is long.
const VARIANTS: [&str; 5] = [
    "target after the norm of the final state",
    "half the data",
    "Adam, seed 0",
    "Adam, seed 1",
    "positions, seed 1",
];

/// What the single shortcuts are compared with.
const OTHERS: [ShortcutKind; 6] = [
    ShortcutKind::Identity,
    ShortcutKind::Jtc,
    ShortcutKind::Njtc,
    ShortcutKind::NNjtc,
    ShortcutKind::Joint,
    ShortcutKind::JointNorms,
];

/// What a jump is chosen by.
const CRITERIA: [Criterion; 6] = [
    Criterion::SignedSquare,
    Criterion::Cosine,
    Criterion::Mse,
    Criterion::Kl,
    Criterion::SignedSquareByTokens,
    Criterion::Precision1,
];

/// Half the width of every invented interval.
const HALF: f64 = 0.012;

/// A row with these fields, and with a value and the ends of its interval for each of `measures`.
///
/// # Panics
/// If the table of the row has other columns.
fn row<R: DeserializeOwned>(mut fields: Value, measures: &[(&str, f64)]) -> R {
    for (name, value) in measures {
        fields[name] = json!(value);
        fields[format!("{name}_low")] = json!(value - HALF);
        fields[format!("{name}_high")] = json!(value + HALF);
    }
    serde_json::from_value(fields).unwrap_or_else(|error| panic!("no row of this table: {error}"))
}

/// What a quality in 0..1 is in precision, surprisal and KL divergence.
fn measures(quality: f64) -> [(&'static str, f64); 3] {
    let precision = (0.08 + 0.5 * quality).clamp(0.0, 1.0);
    [("precision_1", precision), ("surprisal", 7.0 - 6.0 * quality), ("kl", 5.0 - 4.5 * quality)]
}

/// The tables of a run with `blocks` blocks at these ranks, which are also [`super::run()`]'s.
pub fn analyses(blocks: usize, ranks: &[usize]) -> Analyses {
    let mut tables = Analyses::default();
    for &rank in ranks {
        set(&mut tables, blocks, rank);
        differences(&mut tables, rank);
    }
    averages(&mut tables, blocks, ranks);
    classes(&mut tables, blocks, ranks);
    exits(&mut tables, blocks, ranks);
    tables
}

fn strength(rank: usize) -> f64 {
    0.1 + 0.06 * (rank as f64).ln_1p()
}

/// One set of jumps: the matrix, its averages, the choices, the sets of several.
fn set(tables: &mut Analyses, blocks: usize, rank: usize) {
    let solver = Solver::ClosedForm;
    let quality = |jump: usize, level: usize| {
        let (at, depth) = (jump as f64 / blocks as f64, level as f64 / blocks as f64);
        strength(rank) + 0.4 * depth - 0.5 * (depth - at).powi(2) - 0.2 * (at - BEST_JUMP).powi(2)
            + 0.02 * ((7 * jump + 3 * level) as f64).sin()
    };
    for jump in 0..blocks {
        for level in 0..blocks {
            let quality = quality(jump, level);
            let [(_, precision_1), (_, surprisal), (_, kl)] = measures(quality);
            let place = json!({
                "method": ShortcutKind::NNjtc, "solver": solver, "rank": rank, "jump": jump, "level": level,
                "precision_1": precision_1, "surprisal": surprisal, "mat_surprisal": 1.1 * surprisal, "kl": kl,
                "cosine": 0.3 + quality, "signed_square": quality,
            });
            tables.transfer.push(row(place, &[]));
        }
        let mean = (0..blocks).map(|level| quality(jump, level)).sum::<f64>() / blocks as f64;
        let criteria = json!({
            "solver": solver, "rank": rank, "jump": jump, "train_samples": 3000, "train_signed_square": mean,
            "train_cosine": 0.3 + mean, "train_mse": 1e5 * (1.0 - mean), "train_kl": 4.9 - 4.5 * mean,
            "train_signed_square_by_tokens": mean, "train_precision_1": mean,
        });
        tables.jumps.push(row(criteria, &measures(mean)));
        for criterion in [Criterion::SignedSquare, Criterion::Kl] {
            let subset = json!({
                "solver": solver, "rank": rank, "criterion": criterion, "size": jump + 1, "exact": jump < 5,
                "jumps": (0..=jump).collect::<Vec<_>>(),
                "parameters": (jump as u64 + 1) * parameters(ShortcutKind::Ojfa, HIDDEN_SIZE, rank, blocks),
            });
            tables.subsets.push(row(subset, &measures(mean + 0.002 * jump as f64)));
        }
    }
    for (index, criterion) in CRITERIA.into_iter().enumerate() {
        for metric in [Measure::Precision1, Measure::Surprisal, Measure::Kl] {
            let regret = 0.01 * index as f64;
            let choice = json!({
                "solver": solver, "rank": rank, "criterion": criterion, "metric": metric,
                "jump": (blocks / 2 + index).min(blocks - 1), "value": 0.3 - regret,
                "best_jump": blocks / 2, "best": 0.3,
            });
            tables.regret.push(row(choice, &[("regret", regret)]));
        }
    }
}

/// The single shortcuts minus other methods.
fn differences(tables: &mut Analyses, rank: usize) {
    for (method, solver) in [
        (ShortcutKind::Ojfa, Solver::ClosedForm),
        (ShortcutKind::Ojfa, Solver::Adam),
        (ShortcutKind::OneJump, Solver::Adam),
    ] {
        for (index, other) in OTHERS.into_iter().enumerate() {
            let pair = json!({ "solver": solver, "rank": rank, "method": method, "other": other });
            let gain = 0.02 * (index as f64 - 2.5);
            tables.differences.push(row(pair, &[("precision_1", gain), ("surprisal", -gain)]));
        }
    }
}

fn averages(tables: &mut Analyses, blocks: usize, ranks: &[usize]) {
    let mut add = |label: Option<&str>, kind: ShortcutKind, solver: Solver, rank: Option<usize>| {
        let trained = kind != ShortcutKind::Identity;
        let one = (kind == ShortcutKind::Ojfa).then_some(blocks / 2);
        let measures = measures(if trained { strength(rank.unwrap_or(HIDDEN_SIZE)) } else { 0.0 });
        let file = json!({
            "label": label, "method": kind, "solver": trained.then_some(solver), "rank": rank, "jump": one,
            "jump_eq5": one, "d": one.map(|_| 0.4),
            "parameters": if trained { parameters(kind, HIDDEN_SIZE, rank.unwrap_or(0), blocks) } else { 0 },
            "precision_1_without_0": measures[0].1 - 0.01,
        });
        tables.averages.push(row(file, &measures));
    };
    use ShortcutKind::{
        Identity, JacobianLens, Joint, JointNorms, Jtc, NNjtc, Njtc, Ojfa, OneJump, TunedLens,
    };
    add(None, Identity, Solver::ClosedForm, None);
    add(None, Jtc, Solver::ClosedForm, None);
    add(None, TunedLens, Solver::Adam, None);
    add(None, JacobianLens, Solver::ClosedForm, None);
    for &rank in ranks.iter().chain(&SWEEP) {
        for kind in [Njtc, NNjtc, Joint, JointNorms, Ojfa] {
            add(None, kind, Solver::ClosedForm, Some(rank));
        }
    }
    for (&rank, kind) in ranks.iter().flat_map(|rank| [NNjtc, Joint, OneJump, Ojfa].map(|kind| (rank, kind)))
    {
        add(None, kind, Solver::Adam, Some(rank));
    }
    for (label, kind) in VARIANTS.into_iter().flat_map(|label| [NNjtc, Ojfa].map(|kind| (label, kind))) {
        add(Some(label), kind, Solver::ClosedForm, ranks.first().copied());
    }
}

/// Single jumps beside jtc: below it at the last levels, and where tokens are rare.
fn classes(tables: &mut Analyses, blocks: usize, ranks: &[usize]) {
    const CLASSES: [(ClassBy, &str, f64); 4] = [
        (ClassBy::All, "all samples", -0.03),
        (ClassBy::Frequency, "the 10 commonest tokens", 0.05),
        (ClassBy::Frequency, "rarer tokens", -0.1),
        (ClassBy::Word, "goes on in a word", -0.06),
    ];
    for (&rank, (by, class, gain)) in ranks.iter().flat_map(|rank| CLASSES.map(|class| (rank, class))) {
        for (method, more) in [(ShortcutKind::OneJump, 0.0), (ShortcutKind::Residual, 0.01)] {
            for level in (0..blocks).map(Some).chain([None]) {
                let depth = level.map_or(0.0, |level| 0.1 - 0.2 * level as f64 / blocks as f64);
                let difference = gain + more + depth;
                let place = json!({
                    "method": method, "solver": Solver::Adam, "rank": rank, "other_solver": Solver::ClosedForm, "by": by,
                    "class": class, "level": level, "samples": 700, "precision_1": 0.4 + difference,
                    "other_precision_1": 0.4, "surprisal": 3.5 - difference, "other_surprisal": 3.5,
                });
                let measures =
                    [("precision_1_difference", difference), ("surprisal_difference", -difference)];
                tables.classes.push(row(place, &measures));
            }
        }
    }
}

fn exits(tables: &mut Analyses, blocks: usize, ranks: &[usize]) {
    use ShortcutKind::{Identity, Joint, JointNorms, Jtc, NNjtc, Ojfa, OneJump, TunedLens};
    let unranked = [Identity, Jtc, TunedLens].into_iter().map(|kind| (kind, None));
    let ranked = ranks
        .iter()
        .flat_map(|&rank| [NNjtc, Joint, JointNorms, OneJump, Ojfa].map(|kind| (kind, Some(rank))));
    for (index, (method, rank)) in unranked.chain(ranked).enumerate() {
        let heads = [LookingHead::Fused, LookingHead::Full];
        for head in heads.into_iter().filter(|&head| rank.is_some() || head == LookingHead::Full) {
            let looking = if head == LookingHead::Fused { 0.02 } else { 0.9 };
            for (rule, schedule, wanted) in plans() {
                let plan = json!({
                    "method": method, "solver": (method != Identity).then_some(Solver::ClosedForm), "rank": rank,
                    "jump": (method == Ojfa).then_some(22), "rule": rule, "head": head, "schedule": schedule,
                    "from": 3, "every": 2, "wanted": wanted, "threshold": wanted, "exited": 1.0 - wanted,
                    "precision": wanted, "blocks": blocks as f64 * wanted, "looking": looking,
                });
                let operations = 1.0 + looking - (1.0 - wanted) * (0.6 + 0.03 * index as f64);
                let measures = [("agreement", wanted - 0.004), ("operations", operations)];
                tables.exit.push(row(plan, &measures));
            }
        }
    }
}

/// Rules, schedules and agreements.
fn plans() -> impl Iterator<Item = (ExitRule, LookSchedule, f64)> {
    let rules = [ExitRule::Probability, ExitRule::Gap].into_iter();
    let schedules = rules.flat_map(|rule| [LookSchedule::Every, LookSchedule::Best].map(|when| (rule, when)));
    schedules.flat_map(|(rule, when)| WANTED.map(|wanted| (rule, when, wanted)))
}
