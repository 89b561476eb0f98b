//! What the numbers of one setting say, in sentences.

use onejump_core::results::{Choice, MethodName, Metrics};
use onejump_core::shortcut::{LevelConvention, ShortcutKind, parameters};

use crate::claims::{Claim, EARLY_DIVISOR, REDUCTION};
use crate::setting::{SampleSet, Setting};
use crate::versus::{less_surprised, levels_won, more_precise, versus};
use crate::words::{self, count, list, nats, percent, share_of_levels};

/// One question about a setting, answered over all samples and without those at position 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The question's name, or what the paper claims.
    pub topic: &'static str,
    /// The paper's claim that it decides.
    pub claim: Option<Claim>,
    /// The answer over all samples.
    pub all: String,
    /// The answer without the samples at position 0, where it depends on the samples.
    pub without_0: Option<String>,
}

/// The findings of one setting.
pub fn findings(setting: &Setting) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(choice) = setting.choice {
        let all = chosen(choice, setting.blocks);
        found.push(Finding { topic: "The chosen jump", claim: None, all, without_0: None });
    }
    type Question = fn(&Setting, SampleSet) -> Option<String>;
    let claimed: [(Claim, Question); 4] = [
        (Claim::MatchesFull, against_full),
        (Claim::BetterThanIdentityEarly, against_identity),
        (Claim::BetterThanArbitrary, against_arbitrary),
        (Claim::BetterThanJoint, against_joint),
    ];
    let others: [(&'static str, Question); 2] = [
        ("OJFA and the constant baseline", against_constant),
        ("Other methods and the constant baseline", others_against_constant),
    ];
    let claimed = claimed.map(|(claim, question)| (claim.text(), Some(claim), question));
    let others = others.map(|(topic, question)| (topic, None, question));
    for (topic, claim, question) in claimed.into_iter().chain(others) {
        if let Some(all) = question(setting, SampleSet::All) {
            found.push(Finding { topic, claim, all, without_0: question(setting, SampleSet::Without0) });
        }
    }
    let claim = Claim::FewerParameters;
    let all = reduction(setting.hidden_size, setting.rank, setting.blocks);
    found.push(Finding { topic: claim.text(), claim: Some(claim), all, without_0: None });
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
            "Jump {} has the highest score D, both over the exit {exit} and over {eq5}, as Eq. 5 is printed.",
            choice.jump
        );
    }
    let (decided, deciding) = match choice.levels {
        LevelConvention::Exit => (choice.jump_exit, "exit levels"),
        LevelConvention::Eq5 => (choice.jump_eq5, "levels of Eq. 5"),
    };
    format!(
        "The score D is highest for jump {} over the exit {exit} and for jump {} over {eq5}, as Eq. 5 is \
         printed. The {deciding} decide here: jump {decided}.",
        choice.jump_exit, choice.jump_eq5
    )
}

fn against_full(setting: &Setting, samples: SampleSet) -> Option<String> {
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

fn against_joint(setting: &Setting, samples: SampleSet) -> Option<String> {
    versus(setting.ojfa.as_ref()?, setting.joint.as_ref()?, "the joint shortcut", samples)
}

fn against_identity(setting: &Setting, samples: SampleSet) -> Option<String> {
    let (ojfa, identity) = (setting.ojfa.as_ref()?, setting.identity.as_ref()?);
    let (precise, all) = levels_won(identity, ojfa, samples, more_precise);
    let (calm, _) = levels_won(identity, ojfa, samples, less_surprised);
    if all == 0 {
        return None;
    }
    let early = 0..ojfa.blocks().div_ceil(EARLY_DIVISOR);
    let won = |wins| {
        let (levels, _) = levels_won(ojfa, identity, samples, wins);
        levels.into_iter().filter(|level| early.contains(level)).count()
    };
    Some(format!(
        "Identity is more precise than OJFA at {}, and has the lower surprisal at {}. Of the {} early levels, \
         OJFA is more precise at {} and has the lower surprisal at {}.",
        share_of_levels(&precise, all),
        share_of_levels(&calm, all),
        early.len(),
        won(more_precise),
        won(less_surprised)
    ))
}

fn against_arbitrary(setting: &Setting, samples: SampleSet) -> Option<String> {
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

fn against_constant(setting: &Setting, samples: SampleSet) -> Option<String> {
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

fn others_against_constant(setting: &Setting, samples: SampleSet) -> Option<String> {
    let constant = setting.constant.as_ref()?.mean(samples)?;
    let baselines = setting.baselines().filter(|curve| curve.average.method.name != MethodName::Constant);
    let trained = setting.trained().filter(|curve| !curve.average.method.is(ShortcutKind::Ojfa));
    let others: Vec<(String, Metrics)> = baselines
        .chain(trained)
        .filter_map(|curve| curve.mean(samples).map(|mean| (curve.label(), mean)))
        .collect();
    let beating = |better: fn(&Metrics, &Metrics) -> bool, value: fn(&Metrics) -> String| -> String {
        let failing = others.iter().filter(|(_, mean)| !better(mean, &constant));
        let failing: Vec<String> = failing.map(|(name, mean)| format!("{name} ({})", value(mean))).collect();
        match (failing.len(), others.len()) {
            (0, 1) => "beats".to_owned(),
            (1, 1) => "does not beat".to_owned(),
            (0, _) => "all beat".to_owned(),
            (number, all) if number == all => "none beats".to_owned(),
            _ => format!("all but {} beat", list(&failing)),
        }
    };
    let who = match others.as_slice() {
        [] => return None,
        [(name, _)] => format!("Beside OJFA only {name} was evaluated, which"),
        _ => format!("Of the {} evaluated beside OJFA,", count(others.len(), "method")),
    };
    Some(format!(
        "{who} {} the constant’s average precision of {}, and {} its average surprisal of {}.",
        beating(more_precise, |mean| percent(mean.precision_1)),
        percent(constant.precision_1),
        beating(less_surprised, |mean| words::number(mean.surprisal, 2, "")),
        nats(constant.surprisal),
    ))
}

/// How many parameters the one jump saves.
fn reduction(hidden_size: usize, rank: usize, blocks: usize) -> String {
    let of = |kind| words::thousands(parameters(kind, hidden_size, rank, blocks));
    let mut text = format!(
        "OJFA keeps {} parameters where the full n-njtc keeps {}: {blocks} times fewer, one jump in place of \
         {blocks}.",
        of(ShortcutKind::Ojfa),
        of(ShortcutKind::NNjtc)
    );
    if blocks as f64 <= REDUCTION {
        text.push_str(&format!(
            " Over {REDUCTION} times fewer takes a model of more than {REDUCTION} blocks."
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Run;
    use crate::sample::{self, set};

    /// What is said of the first setting.
    fn said(run: &Run, question: fn(&Setting, SampleSet) -> Option<String>) -> String {
        question(&Setting::all(run)[0], SampleSet::All).unwrap()
    }

    #[test]
    fn a_match_with_something_useless_is_called_that() {
        let mut run = sample::run(12, &[5]);
        set(&mut run, "n-njtc", 0.09, 5.0);
        set(&mut run, "constant", 0.09, 6.0);
        let text = said(&run, against_full);
        assert!(text.ends_with("itself is no more precise than the constant baseline."), "{text}");
    }

    #[test]
    fn identity_wins_nowhere_somewhere_or_everywhere() {
        let mut run = sample::run(12, &[5]);
        set(&mut run, "ojfa", 0.5, 1.0);
        set(&mut run, "identity", 0.4, 2.0);
        assert_eq!(
            said(&run, against_identity),
            "Identity is more precise than OJFA at none of the 12 exit levels, and has the lower surprisal at \
             none of the 12 exit levels. Of the 6 early levels, OJFA is more precise at 6 and has the lower \
             surprisal at 6."
        );
        for row in run.levels.iter_mut().filter(|row| row.method.is(ShortcutKind::Identity) && row.level > 8)
        {
            row.all.precision_1 = 0.9;
        }
        assert!(said(&run, against_identity).contains("at 3 of the 12 exit levels (levels 9–11), and"));
        set(&mut run, "identity", 0.6, 0.5);
        let text = said(&run, against_identity);
        assert!(text.contains("at all 12 exit levels, and has the lower surprisal at all 12"), "{text}");
        assert!(text.ends_with("OJFA is more precise at 0 and has the lower surprisal at 0."), "{text}");
    }

    #[test]
    fn arbitrary_jumps_lose_win_or_both() {
        let mut run = sample::run(12, &[5]);
        set(&mut run, "ojfa", 0.2, 5.0);
        for (jump, precision) in [("jump-1", 0.1), ("jump-2", 0.15), ("jump-8", 0.25)] {
            set(&mut run, jump, precision, 4.0);
        }
        assert_eq!(
            said(&run, against_arbitrary),
            "In average precision, OJFA (20.0%) beats jump 1 (10.0%) and jump 2 (15.0%), but not jump 8 \
             (25.0%). In average surprisal, OJFA (5.00 nats) beats none of the 3 arbitrary jumps: jump 1 \
             (4.00), jump 2 (4.00) and jump 8 (4.00)."
        );
        run.summary
            .averages
            .retain(|row| ![MethodName::Jump(1), MethodName::Jump(2)].contains(&row.method.name));
        let text = said(&run, against_arbitrary);
        assert!(
            text.contains("OJFA (20.0%) does not beat the one arbitrary jump, jump 8 (25.0%)."),
            "{text}"
        );
        set(&mut run, "jump-8", 0.1, 9.0);
        let text = said(&run, against_arbitrary);
        assert!(text.ends_with("beats the one arbitrary jump, jump 8 (9.00)."), "{text}");
    }

    #[test]
    fn the_constant_beats_none_some_or_all() {
        let mut run = sample::run(12, &[5]);
        let ours = |run: &Run| said(run, others_against_constant);
        set(&mut run, "constant", 0.0, 99.0);
        let text = ours(&run);
        assert!(text.contains("all beat the constant’s") && text.contains("and all beat its"), "{text}");
        set(&mut run, "constant", 0.99, 0.001);
        let text = ours(&run);
        assert!(text.contains("none beats the constant’s") && text.contains("none beats its"), "{text}");
        let kept = ["constant", "identity", "ojfa"].map(|name| name.parse::<MethodName>().unwrap());
        run.summary.averages.retain(|row| kept.contains(&row.method.name));
        let text = ours(&run);
        assert!(
            text.starts_with("Beside OJFA only identity was evaluated, which does not beat the"),
            "{text}"
        );
    }

    #[test]
    fn the_choice_is_said_for_both_readings() {
        let run = sample::run(12, &[5]);
        let mut choice = run.summary.choices[0].clone();
        assert!(chosen(&choice, 12).ends_with("The exit levels decide here: jump 6."));
        (choice.levels, choice.jump) = (LevelConvention::Eq5, 7);
        assert!(chosen(&choice, 12).ends_with("The levels of Eq. 5 decide here: jump 7."));
        (choice.jump_exit, choice.jump) = (7, 7);
        let expected = "Jump 7 has the highest score D, both over the exit levels 0–11 and over levels 1–12, as \
                        Eq. 5 is printed.";
        assert_eq!(chosen(&choice, 12), expected);
    }

    #[test]
    fn the_reduction_is_the_number_of_blocks() {
        assert!(
            reduction(1600, 16, 48).ends_with("keeps 2,764,800: 48 times fewer, one jump in place of 48.")
        );
        assert!(reduction(576, 5, 30).ends_with("Over 30 times fewer takes a model of more than 30 blocks."));
    }
}
