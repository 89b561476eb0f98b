//! What the numbers of one setting say, in sentences.

use onejump_core::results::{Choice, Metrics};
use onejump_core::shortcut::{Kind, LevelConvention, parameters};

use crate::claims::Claim;
use crate::setting::{Curve, Samples, Setting};
use crate::words::{self, count, list, nats, percent, points, share_of_levels};

/// One question about a setting, answered over all samples and without those at position 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The question's name.
    pub topic: &'static str,
    /// The paper's claim that it decides.
    pub claim: Option<Claim>,
    /// The answer over all samples.
    pub all: String,
    /// The answer without the samples at position 0, where it depends on the samples.
    pub without_0: Option<String>,
}

/// The findings of one setting, for a model of H = `hidden_size` and K = `blocks`.
pub fn findings(setting: &Setting, hidden_size: usize, blocks: usize) -> Vec<Finding> {
    let fixed = |topic, claim, text: String| Finding { topic, claim, all: text, without_0: None };
    let mut found = Vec::new();
    found.extend(setting.choice.map(|choice| fixed("The chosen jump", None, chosen(choice, blocks))));
    type Question = fn(&Setting, Samples) -> Option<String>;
    let questions: [(&'static str, Option<Claim>, Question); 6] = [
        ("Against the full n-njtc", Some(Claim::MatchesFull), against_full),
        ("Against identity", Some(Claim::BetterThanIdentityEarly), against_identity),
        ("Against arbitrary jumps", Some(Claim::BetterThanArbitrary), against_arbitrary),
        ("Against the joint shortcut", Some(Claim::BetterThanJoint), against_joint),
        ("Against the constant baseline", None, against_constant),
        ("Other methods against the constant baseline", None, others_against_constant),
    ];
    for (topic, claim, question) in questions {
        if let Some(all) = question(setting, Samples::All) {
            let without_0 = question(setting, Samples::Without0);
            found.push(Finding { topic, claim, all, without_0 });
        }
    }
    found.push(fixed(
        "Parameters",
        Some(Claim::FewerParameters),
        reduction(hidden_size, setting.rank, blocks),
    ));
    found
}

/// Which jump the scores chose, under both readings of Eq. 5.
fn chosen(choice: &Choice, blocks: usize) -> String {
    let over = |convention: LevelConvention| {
        let levels = convention.levels(blocks);
        format!("levels {}–{}", levels.start, levels.end.saturating_sub(1))
    };
    let (exit, eq5) = (over(LevelConvention::Exit), over(LevelConvention::Eq5));
    if choice.jump_exit == choice.jump_eq5 {
        return format!(
            "Jump {} has the highest score D_m, both over the exit {exit} and over {eq5}, as Eq. 5 is printed.",
            choice.jump
        );
    }
    let (decided, deciding) = match choice.levels {
        LevelConvention::Exit => (choice.jump_exit, "exit levels"),
        LevelConvention::Eq5 => (choice.jump_eq5, "levels of Eq. 5"),
    };
    format!(
        "The score D_m is highest for jump {} over the exit {exit} and for jump {} over {eq5}, as Eq. 5 is \
         printed. The {deciding} decide here: jump {decided}.",
        choice.jump_exit, choice.jump_eq5
    )
}

/// "OJFA averages 21.3% precision against 22.8% for …", in both metrics.
pub fn versus(ours: &Curve, theirs: &Curve, name: &str, samples: Samples) -> Option<String> {
    let (a, b) = (ours.mean(samples)?, theirs.mean(samples)?);
    let precision = match difference(100.0 * (a.precision_1 - b.precision_1), 1) {
        0.0 => "no difference".to_owned(),
        by => {
            let direction = if by > 0.0 { "higher" } else { "lower" };
            let ratio = if b.precision_1 > 0.0 {
                format!(", {:.0}% of it", 100.0 * a.precision_1 / b.precision_1)
            } else {
                String::new()
            };
            format!("{} {direction}{ratio}", points(by / 100.0))
        }
    };
    let surprisal = match difference(a.surprisal - b.surprisal, 2) {
        0.0 => "no difference".to_owned(),
        by if by > 0.0 => format!("{} higher, which is worse", nats(by)),
        by => format!("{} lower, which is better", nats(-by)),
    };
    Some(format!(
        "{} averages {} precision against {} for {name} ({precision}), and {} of surprisal against {:.2} \
         ({surprisal}).",
        ours.label(),
        percent(a.precision_1),
        percent(b.precision_1),
        nats(a.surprisal),
        b.surprisal,
    ))
}

/// A difference as it is printed: what rounds to zero is zero.
fn difference(value: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    let rounded = (value * scale).round() / scale;
    if rounded == 0.0 { 0.0 } else { rounded }
}

fn against_full(setting: &Setting, samples: Samples) -> Option<String> {
    let full = setting.n_njtc.as_ref()?;
    let mut text = versus(setting.ojfa.as_ref()?, full, "the full n-njtc", samples)?;
    let constant = setting.constant.as_ref().and_then(|curve| curve.mean(samples));
    if constant.is_some_and(|constant| {
        full.mean(samples).is_some_and(|full| full.precision_1 <= constant.precision_1)
    }) {
        text.push_str(" The full n-njtc itself is no more precise than the constant baseline.");
    }
    Some(text)
}

fn against_joint(setting: &Setting, samples: Samples) -> Option<String> {
    versus(setting.ojfa.as_ref()?, setting.joint.as_ref()?, "the joint shortcut", samples)
}

/// The levels at which the first curve is better than the second, of those that have both.
pub(crate) fn levels_won(
    ours: &Curve,
    theirs: &Curve,
    samples: Samples,
    wins: fn(&Metrics, &Metrics) -> bool,
) -> (Vec<usize>, usize) {
    let both = |level| Some((level, ours.at(level, samples)?, theirs.at(level, samples)?));
    let pairs: Vec<_> = (0..ours.blocks()).filter_map(both).collect();
    let won = pairs.iter().filter(|(_, a, b)| wins(a, b)).map(|&(level, ..)| level).collect();
    (won, pairs.len())
}

pub(crate) fn more_precise(a: &Metrics, b: &Metrics) -> bool {
    a.precision_1 > b.precision_1
}

fn less_surprised(a: &Metrics, b: &Metrics) -> bool {
    a.surprisal < b.surprisal
}

fn against_identity(setting: &Setting, samples: Samples) -> Option<String> {
    let (ojfa, identity) = (setting.ojfa.as_ref()?, setting.identity.as_ref()?);
    let (precise, all) = levels_won(identity, ojfa, samples, more_precise);
    let (calm, _) = levels_won(identity, ojfa, samples, less_surprised);
    (all > 0).then(|| {
        format!(
            "Identity is more precise than OJFA at {}, and has the lower surprisal at {}.",
            share_of_levels(&precise, all),
            share_of_levels(&calm, all)
        )
    })
}

fn against_arbitrary(setting: &Setting, samples: Samples) -> Option<String> {
    let ojfa = setting.ojfa.as_ref()?.mean(samples)?;
    let rivals: Vec<(String, Metrics)> = setting
        .arbitrary
        .iter()
        .filter_map(|curve| curve.mean(samples).map(|metrics| (curve.label(), metrics)))
        .collect();
    if rivals.is_empty() {
        return None;
    }
    let precision = beaten(&rivals, |m| m.precision_1 < ojfa.precision_1, |m| percent(m.precision_1));
    let surprisal = beaten(&rivals, |m| m.surprisal > ojfa.surprisal, |m| format!("{:.2}", m.surprisal));
    Some(format!(
        "In average precision, OJFA ({}) {precision}. In average surprisal, OJFA ({}) {surprisal}.",
        percent(ojfa.precision_1),
        nats(ojfa.surprisal)
    ))
}

/// "beats jump 2 (12.1%) and jump 8 (20.0%), but not jump 20 (22.0%)".
fn beaten(
    rivals: &[(String, Metrics)],
    won: impl Fn(&Metrics) -> bool,
    value: impl Fn(&Metrics) -> String,
) -> String {
    let names = |keep: bool| -> Vec<String> {
        let kept = rivals.iter().filter(|(_, metrics)| won(metrics) == keep);
        kept.map(|(name, metrics)| format!("{name} ({})", value(metrics))).collect()
    };
    let (won, lost) = (names(true), names(false));
    match (won.len(), lost.len()) {
        (1, 0) => format!("beats the one arbitrary jump, {}", list(&won)),
        (0, 1) => format!("does not beat the one arbitrary jump, {}", list(&lost)),
        (_, 0) => format!("beats all {} arbitrary jumps: {}", won.len(), list(&won)),
        (0, _) => format!("beats none of the {} arbitrary jumps: {}", lost.len(), list(&lost)),
        _ => format!("beats {}, but not {}", list(&won), list(&lost)),
    }
}

fn against_constant(setting: &Setting, samples: Samples) -> Option<String> {
    let (ojfa, constant) = (setting.ojfa.as_ref()?, setting.constant.as_ref()?);
    let text = versus(ojfa, constant, "the constant baseline", samples)?;
    let (precise, all) = levels_won(ojfa, constant, samples, more_precise);
    let (calm, _) = levels_won(ojfa, constant, samples, less_surprised);
    Some(format!(
        "{text} OJFA is more precise than the constant at {}, and has the lower surprisal at {}.",
        share_of_levels(&precise, all),
        share_of_levels(&calm, all)
    ))
}

fn others_against_constant(setting: &Setting, samples: Samples) -> Option<String> {
    let constant = setting.constant.as_ref()?.mean(samples)?;
    let others = || {
        let baselines = setting.baselines().filter(|curve| curve.average.method.method != "constant");
        let trained = setting.trained().filter(|curve| !curve.average.method.is(Kind::Ojfa));
        baselines.chain(trained).filter_map(|curve| curve.mean(samples).map(|mean| (curve.label(), mean)))
    };
    let number = others().count();
    if number == 0 {
        return None;
    }
    let failing = |better: fn(&Metrics, &Metrics) -> bool, value: fn(&Metrics) -> String| -> String {
        let failing: Vec<String> = others()
            .filter(|(_, mean)| !better(mean, &constant))
            .map(|(name, mean)| format!("{name} ({})", value(&mean)))
            .collect();
        match failing.len() {
            0 => "all beat".to_owned(),
            all if all == number => "none beats".to_owned(),
            _ => format!("all but {} beat", list(&failing)),
        }
    };
    Some(format!(
        "Of the {} evaluated beside OJFA, {} the constant’s average precision of {}, and {} its average \
         surprisal of {}.",
        count(number, "method"),
        failing(more_precise, |mean| percent(mean.precision_1)),
        percent(constant.precision_1),
        failing(less_surprised, |mean| words::number(mean.surprisal, 2, "")),
        nats(constant.surprisal),
    ))
}

/// How many parameters the one jump saves.
fn reduction(hidden_size: usize, rank: usize, blocks: usize) -> String {
    let of = |kind| words::thousands(parameters(kind, hidden_size, rank, blocks));
    format!(
        "OJFA keeps {} parameters where the full n-njtc keeps {}: {blocks} times fewer, one jump in place of \
         {blocks}.",
        of(Kind::Ojfa),
        of(Kind::NNjtc)
    )
}
