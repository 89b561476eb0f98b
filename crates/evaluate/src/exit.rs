//! Dynamic exit: the model stops at the first level whose shortcut is sure enough, by a threshold that
//! was calibrated on training samples. `exit.parquet`.

use onejump_core::observe::Observer;
use onejump_core::shortcut::ShortcutKind;
use onejump_exit::SharedHead;
use onejump_models::device::Place;
use onejump_models::head::Head;
use onejump_models::transformer::Outline;
use onejump_store::analyses::{Exit, ExitRule, LookSchedule, LookingHead, write_rows};
use onejump_store::hidden::Selection;
use rayon::prelude::*;

use crate::EvaluateError;
use crate::bootstrap::Bootstrap;
use crate::config::Config;
use crate::inputs::States;
use crate::methods::{Entry, Methods};
use crate::metrics::Outcome;
use crate::operations::{Before, Operations};
use crate::policy::{Looks, Plan, Schedule};
use crate::run::open;
use crate::sweep::sweep;

/// The agreements with the full model that thresholds are calibrated for. The report's table shows 90,
/// 95 and 99 %, its figure all.
const WANTED: [f64; 12] = [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.99, 0.995];

/// Both rules, in the order of the table.
const RULES: [ExitRule; 2] = [ExitRule::Gap, ExitRule::Probability];

/// The largest λ at which a level is still sure enough; `place` is t/N.
fn sureness(rule: ExitRule, (largest, second): (f64, f64), place: f64) -> f64 {
    /// τ.
    const DECAY: f64 = 4.0;
    match rule {
        ExitRule::Gap => (largest - second - 0.1 * (-DECAY * place).exp()) / 0.9,
        ExitRule::Probability => largest,
    }
}

/// Calibrates and measures every given method.
pub(crate) fn exit(config: &Config, observer: &dyn Observer) -> Result<usize, EvaluateError> {
    let (hidden, train, mut checkpoint) = open(config, observer)?;
    let first = config.train_samples.min(train.samples());
    let train = train.select(Selection { first: Some(first), ..Selection::default() })?;
    let methods = Methods::read(&hidden.manifest().inputs, &config.shortcuts, &config.ojfa, &[])?;
    let head = SharedHead::new(&Head::load(&mut checkpoint, Place::CPU)?);
    let test = States::read(hidden, "test", &head, &config.out, observer)?;
    let train = States::read(train, &format!("train-first-{first}"), &head, &config.out, observer)?;
    let context =
        test.positions.iter().map(|&position| f64::from(position) + 1.0).sum::<f64>() / test.count() as f64;
    let operations = Operations::new(&Outline::of(&checkpoint)?, context);
    let bootstrap = Bootstrap::new(&test.hidden.text_ids()?, config.seed)?;
    let confidences = |title, states: &States| {
        sweep(title, states, &methods, &states.exit_levels(), observer, |outcomes| {
            outcomes.iter().map(Confidence::of).collect::<Vec<_>>()
        })
    };
    let at_train = confidences("training samples", &train)?;
    let at_test = confidences("test samples", &test)?;
    let (train_places, test_places) = (places(&train)?, places(&test)?);
    let jobs: Vec<(usize, ExitRule)> =
        (0..methods.entries.len()).flat_map(|entry| RULES.map(|rule| (entry, rule))).collect();
    let cases: Vec<Case> = jobs
        .iter()
        .map(|&(entry, rule)| Case {
            entry: &methods.entries[entry],
            kind: methods.kind(&methods.entries[entry]),
            before: before(&methods, &methods.entries[entry]),
            rule,
            train: looks(rule, &at_train[entry], &train_places),
            test: looks(rule, &at_test[entry], &test_places),
        })
        .collect();
    // Thresholds are found on all processors; libtorch, which the intervals need, stays on this one.
    let planned: Vec<Vec<Planned>> = cases.par_iter().map(|case| case.plan(&operations)).collect();
    let mut rows = Vec::new();
    for (case, planned) in cases.iter().zip(&planned) {
        for plan in planned {
            rows.push(case.row(plan, &operations, &bootstrap)?);
        }
    }
    write_rows(&config.out.join("exit.parquet"), &rows)?;
    Ok(rows.len())
}

/// What a rule needs to know of one sample at one level.
#[derive(Debug, Clone, Copy)]
struct Confidence {
    probabilities: (f32, f32),
    agrees: bool,
}

impl Confidence {
    fn of(outcome: &Outcome) -> Self {
        let (largest, second) = outcome.probabilities;
        Self { probabilities: (largest as f32, second as f32), agrees: outcome.agrees() }
    }
}

/// t/N of each sample.
fn places(states: &States) -> Result<Vec<f64>, EvaluateError> {
    let lengths = states.hidden.lengths()?;
    let place = |(&position, &length): (&u32, &u32)| f64::from(position) / f64::from(length.max(1));
    Ok(states.positions.iter().zip(&lengths).map(place).collect())
}

fn looks(rule: ExitRule, levels: &[Vec<Confidence>], places: &[f64]) -> Looks {
    let score = |(confidence, &place): (&Confidence, &f64)| {
        let (largest, second) = confidence.probabilities;
        sureness(rule, (f64::from(largest), f64::from(second)), place)
    };
    Looks {
        scores: levels.iter().map(|level| level.iter().zip(places).map(score).collect()).collect(),
        agrees: levels
            .iter()
            .map(|level| level.iter().map(|confidence| confidence.agrees).collect())
            .collect(),
    }
}

fn before(methods: &Methods, entry: &Entry) -> Before {
    match (methods.card(entry), entry.method.rank) {
        (None, _) => Before::Nothing,
        (Some(card), Some(rank)) if card.kind == ShortcutKind::Residual => Before::Residual(rank),
        (Some(_), Some(rank)) => Before::LowRank(rank),
        (Some(_), None) => Before::Matrix,
    }
}

/// One method under one rule.
struct Case<'a> {
    entry: &'a Entry,
    kind: ShortcutKind,
    before: Before,
    rule: ExitRule,
    train: Looks,
    test: Looks,
}

/// A plan with what it was made for.
struct Planned {
    plan: Plan,
    wanted: f64,
    head: LookingHead,
    looked: LookSchedule,
}

impl Case<'_> {
    fn plan(&self, operations: &Operations) -> Vec<Planned> {
        let heads: &[LookingHead] = match self.before {
            Before::LowRank(_) => &[LookingHead::Fused, LookingHead::Full],
            _ => &[LookingHead::Full],
        };
        let levels = self.train.scores.len();
        let mut planned = Vec::new();
        for &head in heads {
            let look = operations.look(head, self.before);
            let cost = |blocks: f64, looks: f64, exited: f64| {
                let model = operations.model() - operations.run(levels);
                blocks * operations.run(1) + looks * look + (1.0 - exited) * model
            };
            for (schedules, looked) in
                [(vec![Schedule::EVERY], LookSchedule::Every), (Schedule::all(levels), LookSchedule::Best)]
            {
                let plans = self.train.calibrate(&schedules, &WANTED, cost);
                let named = plans.into_iter().zip(WANTED);
                planned.extend(named.map(|(plan, wanted)| Planned { plan, wanted, head, looked }));
            }
        }
        planned
    }

    fn row(
        &self,
        planned: &Planned,
        operations: &Operations,
        bootstrap: &Bootstrap,
    ) -> Result<Exit, EvaluateError> {
        let Planned { plan, wanted, head, looked } = planned;
        let levels = self.test.scores.len();
        let look = operations.look(*head, self.before) / operations.model();
        let exits = self.test.exits(plan);
        let n = exits.len() as f64;
        let share = |blocks: usize, looks: usize| {
            let last = operations.model() - operations.run(levels);
            let rest = if blocks < levels { 0.0 } else { last };
            (operations.run(blocks) + rest) / operations.model() + looks as f64 * look
        };
        let agree: Vec<f64> = exits.iter().map(|exit| f64::from(u8::from(exit.agrees))).collect();
        let cost: Vec<f64> = exits.iter().map(|exit| share(exit.blocks, exit.looks)).collect();
        let early: Vec<_> = exits.iter().filter(|exit| exit.blocks < levels).collect();
        let precise = early.iter().filter(|exit| exit.agrees).count() as f64;
        let agreement = bootstrap.interval(agree)?;
        let cost = bootstrap.interval(cost)?;
        let mean = |value: fn(&crate::policy::Exited) -> usize| {
            exits.iter().map(|exit| value(exit) as f64).sum::<f64>() / n
        };
        let method = &self.entry.method;
        Ok(Exit {
            method: self.kind,
            solver: method.solver,
            rank: method.rank.map(|rank| rank as u32),
            jump: method.jump.map(|jump| jump as u32),
            rule: self.rule,
            head: *head,
            schedule: *looked,
            from: plan.schedule.from as u32,
            every: plan.schedule.every as u32,
            wanted: *wanted,
            threshold: plan.threshold,
            agreement: agreement.mean,
            agreement_low: agreement.low,
            agreement_high: agreement.high,
            exited: early.len() as f64 / n,
            precision: (!early.is_empty()).then(|| precise / early.len() as f64),
            blocks: mean(|exit| exit.blocks),
            operations: cost.mean,
            operations_low: cost.low,
            operations_high: cost.high,
            looking: mean(|exit| exit.looks) * look,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At position 0 the gap must be over 0.9·λ + 0.1; at the sentence's end over 0.9·λ + 0.1·e⁻⁴.
    #[test]
    fn the_gap_rule_is_din_et_als() {
        assert!((sureness(ExitRule::Gap, (0.8, 0.1), 0.0) - (0.7 - 0.1) / 0.9).abs() < 1e-12);
        assert!((sureness(ExitRule::Gap, (0.8, 0.1), 1.0) - (0.7 - 0.1 * (-4f64).exp()) / 0.9).abs() < 1e-12);
        assert_eq!(sureness(ExitRule::Probability, (0.8, 0.1), 0.5), 0.8);
    }
}
