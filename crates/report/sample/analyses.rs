//! Invented tables of every further analysis, as many rows as `cargo xtask reproduce --beyond` makes.

use onejump_core::shortcut::{ShortcutKind, Solver, parameters};
use onejump_report::analyses::Analyses;
use onejump_store::analyses::{
    Criterion, Difference, Exit, ExitRule, FileAverage, Jump, LookSchedule, LookingHead, Measure, Regret,
    Subset, Transfer,
};

use super::shape::{BEST_JUMP, HIDDEN_SIZE};

/// Ranks of the sweep beside the run's own.
const SWEEP: [usize; 6] = [1, 4, 16, 64, 256, 576];

/// Agreements that thresholds are calibrated for.
const WANTED: [f64; 12] = [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.99, 0.995];

/// Names of variants, the first of which is long.
const VARIANTS: [&str; 13] = [
    "target after the norm of the final state",
    "without position 0",
    "half the data",
    "stored in f16",
    "Adam, seed 0",
    "Adam, seed 1",
    "Adam, seed 2",
    "Adam, seed 3",
    "Adam, seed 4",
    "positions, seed 1",
    "positions, seed 2",
    "positions, seed 3",
    "positions, seed 4",
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

/// Half the width of every invented interval.
const HALF: f64 = 0.012;

/// What a quality in 0..1 is in precision, surprisal and KL divergence.
fn measured(quality: f64) -> (f64, f64, f64) {
    let precision = (0.08 + 0.5 * quality).clamp(0.0, 1.0);
    (precision, 7.0 - 6.0 * quality, 5.0 - 4.5 * quality)
}

/// The tables of a run with `blocks` blocks at these ranks, which are also [`super::run()`]'s.
pub fn analyses(blocks: usize, ranks: &[usize]) -> Analyses {
    let mut tables = Analyses::default();
    for &rank in ranks {
        set(&mut tables, blocks, rank);
    }
    averages(&mut tables, blocks, ranks);
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
        let mut sum = 0.0;
        for level in 0..blocks {
            let quality = quality(jump, level);
            let (precision_1, surprisal, kl) = measured(quality);
            sum += quality;
            tables.transfer.push(Transfer {
                method: ShortcutKind::NNjtc,
                solver,
                rank: rank as u32,
                jump: jump as u32,
                level: level as u32,
                precision_1,
                surprisal,
                mat_surprisal: 1.1 * surprisal,
                kl,
                cosine: 0.3 + quality,
                signed_square: quality,
            });
        }
        let mean = sum / blocks as f64;
        let (precision_1, surprisal, kl) = measured(mean);
        tables.jumps.push(Jump {
            solver,
            rank: rank as u32,
            jump: jump as u32,
            train_samples: 3000,
            train_signed_square: mean,
            train_cosine: 0.3 + mean,
            train_mse: 1e5 * (1.0 - mean),
            train_kl: kl - 0.1,
            precision_1,
            precision_1_low: precision_1 - HALF,
            precision_1_high: precision_1 + HALF,
            surprisal,
            surprisal_low: surprisal - HALF,
            surprisal_high: surprisal + HALF,
            kl,
            kl_low: kl - HALF,
            kl_high: kl + HALF,
        });
        for criterion in [Criterion::SignedSquare, Criterion::Kl] {
            tables.subsets.push(Subset {
                solver,
                rank: rank as u32,
                criterion,
                size: jump as u32 + 1,
                exact: jump < 5,
                jumps: (0..=jump as u32).collect(),
                parameters: (jump as u64 + 1) * parameters(ShortcutKind::Ojfa, HIDDEN_SIZE, rank, blocks),
                precision_1: precision_1 + 0.001 * jump as f64,
                precision_1_low: precision_1 - HALF,
                precision_1_high: precision_1 + HALF,
                surprisal,
                surprisal_low: surprisal - HALF,
                surprisal_high: surprisal + HALF,
                kl,
                kl_low: kl - HALF,
                kl_high: kl + HALF,
            });
        }
    }
    for (index, criterion) in
        [Criterion::SignedSquare, Criterion::Cosine, Criterion::Mse, Criterion::Kl].into_iter().enumerate()
    {
        for metric in [Measure::Precision1, Measure::Surprisal, Measure::Kl] {
            let regret = 0.01 * index as f64;
            tables.regret.push(Regret {
                solver,
                rank: rank as u32,
                criterion,
                jump: (blocks / 2 + index).min(blocks - 1) as u32,
                metric,
                value: 0.3 - regret,
                best_jump: (blocks / 2) as u32,
                best: 0.3,
                regret,
                regret_low: regret - HALF,
                regret_high: regret + HALF,
            });
        }
    }
}

fn averages(tables: &mut Analyses, blocks: usize, ranks: &[usize]) {
    let mut add = |label: Option<&str>, kind: ShortcutKind, solver: Solver, rank: Option<usize>| {
        let gain = if kind == ShortcutKind::Identity { 0.0 } else { strength(rank.unwrap_or(HIDDEN_SIZE)) };
        let (precision_1, surprisal, kl) = measured(gain);
        let trained = kind != ShortcutKind::Identity;
        tables.averages.push(FileAverage {
            label: label.map(str::to_owned),
            method: kind,
            solver: trained.then_some(solver),
            rank: rank.map(|rank| rank as u32),
            jump: (kind == ShortcutKind::Ojfa).then_some((blocks / 2) as u32),
            jump_eq5: (kind == ShortcutKind::Ojfa).then_some((blocks / 2) as u32),
            d: (kind == ShortcutKind::Ojfa).then_some(0.4),
            parameters: if trained { parameters(kind, HIDDEN_SIZE, rank.unwrap_or(0), blocks) } else { 0 },
            precision_1,
            precision_1_low: precision_1 - HALF,
            precision_1_high: precision_1 + HALF,
            precision_1_without_0: Some(precision_1 - 0.01),
            surprisal,
            surprisal_low: surprisal - HALF,
            surprisal_high: surprisal + HALF,
            kl,
            kl_low: kl - HALF,
            kl_high: kl + HALF,
        });
    };
    add(None, ShortcutKind::Identity, Solver::ClosedForm, None);
    add(None, ShortcutKind::Jtc, Solver::ClosedForm, None);
    add(None, ShortcutKind::TunedLens, Solver::Adam, None);
    for &rank in ranks.iter().chain(&SWEEP) {
        for kind in [
            ShortcutKind::Njtc,
            ShortcutKind::NNjtc,
            ShortcutKind::Joint,
            ShortcutKind::JointNorms,
            ShortcutKind::Ojfa,
        ] {
            add(None, kind, Solver::ClosedForm, Some(rank));
        }
        for kind in [ShortcutKind::NNjtc, ShortcutKind::Joint, ShortcutKind::OneJump, ShortcutKind::Ojfa] {
            if ranks.contains(&rank) {
                add(None, kind, Solver::Adam, Some(rank));
            }
        }
    }
    for label in VARIANTS {
        for kind in [ShortcutKind::NNjtc, ShortcutKind::Ojfa] {
            add(Some(label), kind, Solver::ClosedForm, ranks.first().copied());
        }
    }
    for &rank in ranks {
        for (method, solver) in [
            (ShortcutKind::Ojfa, Solver::ClosedForm),
            (ShortcutKind::Ojfa, Solver::Adam),
            (ShortcutKind::OneJump, Solver::Adam),
        ] {
            for (index, &other) in OTHERS.iter().enumerate() {
                let precision_1 = 0.02 * (index as f64 - 2.5);
                tables.differences.push(Difference {
                    solver: Some(solver),
                    rank: Some(rank as u32),
                    method,
                    other,
                    precision_1,
                    precision_1_low: precision_1 - HALF,
                    precision_1_high: precision_1 + HALF,
                    surprisal: -precision_1,
                    surprisal_low: -precision_1 - HALF,
                    surprisal_high: -precision_1 + HALF,
                });
            }
        }
    }
}

fn exits(tables: &mut Analyses, blocks: usize, ranks: &[usize]) {
    let ranked = [
        (ShortcutKind::NNjtc, None),
        (ShortcutKind::Joint, None),
        (ShortcutKind::JointNorms, None),
        (ShortcutKind::OneJump, None),
        (ShortcutKind::Ojfa, Some(22)),
    ];
    let unranked = [ShortcutKind::Identity, ShortcutKind::Jtc, ShortcutKind::TunedLens];
    let mut methods = unranked.map(|kind| (kind, None, None)).to_vec();
    methods.extend(ranks.iter().flat_map(|&rank| ranked.map(|(kind, jump)| (kind, jump, Some(rank as u32)))));
    for (index, (method, jump, rank)) in methods.into_iter().enumerate() {
        let heads = [LookingHead::Fused, LookingHead::Full];
        let heads = heads.into_iter().filter(|&head| rank.is_some() || head == LookingHead::Full);
        let rules = [ExitRule::Probability, ExitRule::Gap];
        let schedules = [LookSchedule::Every, LookSchedule::Best];
        for (head, rule, schedule, wanted) in heads.flat_map(|head| {
            rules.into_iter().flat_map(move |rule| {
                let schedules = schedules.into_iter();
                schedules.flat_map(move |schedule| WANTED.map(|wanted| (head, rule, schedule, wanted)))
            })
        }) {
            let looking = if head == LookingHead::Fused { 0.02 } else { 0.9 };
            let operations = 1.0 + looking - (1.0 - wanted) * (0.6 + 0.03 * index as f64);
            tables.exit.push(Exit {
                method,
                solver: (method != ShortcutKind::Identity).then_some(Solver::ClosedForm),
                rank,
                jump,
                rule,
                head,
                schedule,
                from: 3,
                every: 2,
                wanted,
                threshold: wanted,
                agreement: wanted - 0.004,
                agreement_low: wanted - 0.004 - HALF,
                agreement_high: wanted - 0.004 + HALF,
                exited: 1.0 - wanted,
                precision: Some(wanted),
                blocks: blocks as f64 * wanted,
                operations,
                operations_low: operations - HALF,
                operations_high: operations + HALF,
                looking,
            });
        }
    }
}
