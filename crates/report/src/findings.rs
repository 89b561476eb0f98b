//! What the numbers of one setting say, in sentences.

use onejump_core::results::{Choice, Metrics};
use onejump_core::shortcut::{LevelConvention, ShortcutKind, parameters};
use serde::Serialize;

use crate::claims::{Claim, Mark, REDUCTION};
use crate::setting::{Curve, SampleSet, Setting};
use crate::versus::{Better, less_surprised, levels_won, more_precise, versus};
use crate::words::{self, count, list, nats, percent, share_of_levels};

/// One question about a setting, answered over all samples and without those at position 0.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// The question's name, or what the paper claims.
    topic: &'static str,
    /// Where the paper claims it.
    source: Option<&'static str>,
    verdict: Option<Mark>,
    verdict_without_0: Option<Mark>,
    all: String,
    /// The answer without the samples at position 0, where it depends on the samples.
    without_0: Option<String>,
}

type Question = fn(&Setting, SampleSet) -> Option<String>;

/// The findings of one setting.
pub fn findings(setting: &Setting) -> Vec<Finding> {
    let found = |topic, claim: Option<Claim>, [all, without_0]: [Option<String>; 2]| {
        let mark = |samples| claim.map(|claim| claim.verdict(setting, samples).mark());
        let (verdict, verdict_without_0) = (mark(SampleSet::All), mark(SampleSet::Without0));
        let source = claim.map(Claim::source);
        Some(Finding { topic, source, verdict, verdict_without_0, all: all?, without_0 })
    };
    let claimed = |claim: Claim, answers| found(claim.text(), Some(claim), answers);
    let ask = |question: Question| [SampleSet::All, SampleSet::Without0].map(|set| question(setting, set));
    let chosen = setting.choice.map(|choice| chosen(choice, setting.blocks));
    let findings = [
        found("The chosen jump", None, [chosen, None]),
        claimed(Claim::MatchesFull, ask(against_full)),
        claimed(Claim::BetterThanIdentityEarly, ask(against_identity)),
        claimed(Claim::BetterThanArbitrary, ask(against_arbitrary)),
        claimed(Claim::BetterThanJoint, ask(against_joint)),
        found("OJFA and the constant baseline", None, ask(against_constant)),
        found("Other methods and the constant baseline", None, ask(others_against_constant)),
        claimed(Claim::FewerParameters, [Some(reduction(setting)), None]),
    ];
    findings.into_iter().flatten().collect()
}

/// Which jump the scores chose, under both readings of Eq. 5.
fn chosen(choice: &Choice, blocks: usize) -> String {
    let over = |convention: LevelConvention| {
        let levels = convention.levels(blocks);
        format!("levels {}–{}", levels.start, levels.end.saturating_sub(1))
    };
    let (exit, eq5) = (over(LevelConvention::Exit), over(LevelConvention::Eq5));
    let Choice { jump, jump_exit, jump_eq5, .. } = choice;
    if jump_exit == jump_eq5 {
        return format!(
            "Jump {jump} has the highest score D, both over the exit {exit} and over {eq5}, as Eq. 5 is printed."
        );
    }
    let (decided, deciding) = match choice.levels {
        LevelConvention::Exit => (jump_exit, "exit levels"),
        LevelConvention::Eq5 => (jump_eq5, "levels of Eq. 5"),
    };
    format!(
        "The score D is highest for jump {jump_exit} over the exit {exit} and for jump {jump_eq5} over {eq5}, as \
         Eq. 5 is printed. The {deciding} decide here: jump {decided}."
    )
}

fn against_full(setting: &Setting, samples: SampleSet) -> Option<String> {
    let full = setting.kind(ShortcutKind::NNjtc)?;
    let mut text = versus(setting.ojfa()?, full, "the full n-njtc", samples)?;
    let both = full.mean(samples).zip(setting.constant().and_then(|constant| constant.mean(samples)));
    if both.is_some_and(|(full, constant)| full.precision_1 <= constant.precision_1) {
        text.push_str(" The full n-njtc itself is no more precise than the constant baseline.");
    }
    Some(text)
}

fn against_joint(setting: &Setting, samples: SampleSet) -> Option<String> {
    versus(setting.ojfa()?, setting.kind(ShortcutKind::Joint)?, "the joint shortcut", samples)
}

/// "is more precise than … at none of the 30 exit levels, and has the lower surprisal at all …".
fn ahead(ours: &Curve, theirs: &Curve, name: &str, samples: SampleSet) -> String {
    let at = |better| {
        let (won, all) = levels_won(ours, theirs, samples, better);
        share_of_levels(&won, all)
    };
    let (precise, calm) = (at(more_precise), at(less_surprised));
    format!("is more precise than {name} at {precise}, and has the lower surprisal at {calm}.")
}

fn against_identity(setting: &Setting, samples: SampleSet) -> Option<String> {
    let (ojfa, identity) = (setting.ojfa()?, setting.kind(ShortcutKind::Identity)?);
    let early = setting.early();
    let won = |better| {
        let (levels, all) = levels_won(ojfa, identity, samples, better);
        (all > 0).then_some(levels.into_iter().filter(|level| early.contains(level)).count())
    };
    Some(format!(
        "Identity {} Of the {} early levels, OJFA is more precise at {} and has the lower surprisal at {}.",
        ahead(identity, ojfa, "OJFA", samples),
        early.len(),
        won(more_precise)?,
        won(less_surprised)?
    ))
}

/// The averages of methods, by their names.
fn means<'b, 'a: 'b>(
    curves: impl Iterator<Item = &'b Curve<'a>>,
    samples: SampleSet,
) -> Vec<(String, Metrics)> {
    curves.filter_map(|curve| curve.mean(samples).map(|mean| (curve.label(), mean))).collect()
}

/// "jump 2 (12.1%)" for each of the methods that `keep` keeps.
fn listed(
    methods: &[(String, Metrics)],
    keep: impl Fn(&Metrics) -> bool,
    value: fn(&Metrics) -> String,
) -> Vec<String> {
    let kept = methods.iter().filter(|(_, mean)| keep(mean));
    kept.map(|(name, mean)| format!("{name} ({})", value(mean))).collect()
}

fn precision(mean: &Metrics) -> String {
    percent(mean.precision_1)
}

fn surprisal(mean: &Metrics) -> String {
    words::number(mean.surprisal, 2, "")
}

fn against_arbitrary(setting: &Setting, samples: SampleSet) -> Option<String> {
    let ojfa = setting.ojfa()?.mean(samples)?;
    let rivals = means(setting.arbitrary(), samples);
    if rivals.is_empty() {
        return None;
    }
    let rivals_beaten = |better: Better, value| {
        let won = listed(&rivals, |rival| better(&ojfa, rival), value);
        let lost = listed(&rivals, |rival| !better(&ojfa, rival), value);
        match (won.len(), lost.len()) {
            (1, 0) => format!("beats the one arbitrary jump, {}", list(&won)),
            (0, 1) => format!("does not beat the one arbitrary jump, {}", list(&lost)),
            (all, 0) => format!("beats all {all} arbitrary jumps: {}", list(&won)),
            (0, all) => format!("beats none of the {all} arbitrary jumps: {}", list(&lost)),
            _ => format!("beats {}, but not {}", list(&won), list(&lost)),
        }
    };
    Some(format!(
        "In average precision, OJFA ({}) {}. In average surprisal, OJFA ({}) {}.",
        percent(ojfa.precision_1),
        rivals_beaten(more_precise, precision),
        nats(ojfa.surprisal),
        rivals_beaten(less_surprised, surprisal)
    ))
}

fn against_constant(setting: &Setting, samples: SampleSet) -> Option<String> {
    let (ojfa, constant) = (setting.ojfa()?, setting.constant()?);
    let text = versus(ojfa, constant, "the constant baseline", samples)?;
    Some(format!("{text} OJFA {}", ahead(ojfa, constant, "the constant", samples)))
}

fn others_against_constant(setting: &Setting, samples: SampleSet) -> Option<String> {
    let constant = setting.constant()?.mean(samples)?;
    let others = setting.curves().filter(|curve| !curve.is_constant() && !curve.is(ShortcutKind::Ojfa));
    let others = means(others, samples);
    let who = match others.as_slice() {
        [] => return None,
        [(name, _)] => format!("Beside OJFA only {name} was evaluated, which"),
        _ => format!("Of the {} evaluated beside OJFA,", count(others.len(), "method")),
    };
    let beating = |better: Better, value| {
        let failing = listed(&others, |mean| !better(mean, &constant), value);
        match (failing.len(), others.len()) {
            (0, 1) => "beats".to_owned(),
            (1, 1) => "does not beat".to_owned(),
            (0, _) => "all beat".to_owned(),
            (number, all) if number == all => "none beats".to_owned(),
            _ => format!("all but {} beat", list(&failing)),
        }
    };
    Some(format!(
        "{who} {} the constant’s average precision of {}, and {} its average surprisal of {}.",
        beating(more_precise, precision),
        percent(constant.precision_1),
        beating(less_surprised, surprisal),
        nats(constant.surprisal),
    ))
}

/// How many parameters the one jump saves.
fn reduction(setting: &Setting) -> String {
    let blocks = setting.blocks;
    let of = |kind| words::thousands(parameters(kind, setting.hidden_size, setting.rank, blocks));
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
    use onejump_core::results::MethodName;

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
        for row in &mut run.levels {
            if row.method.is(ShortcutKind::Identity) && row.level > 8 {
                row.all.precision_1 = 0.9;
            }
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
        run.summary.averages.retain(|row| !matches!(row.method.name, MethodName::Jump(1 | 2)));
        let text = said(&run, against_arbitrary);
        assert!(text.contains("(20.0%) does not beat the one arbitrary jump, jump 8 (25.0%)."), "{text}");
        set(&mut run, "jump-8", 0.1, 9.0);
        let text = said(&run, against_arbitrary);
        assert!(text.ends_with("beats the one arbitrary jump, jump 8 (9.00)."), "{text}");
    }

    #[test]
    fn the_constant_beats_none_some_or_all() {
        let mut run = sample::run(12, &[5]);
        let says = |run: &Run, part: &str| {
            let text = said(run, others_against_constant);
            assert!(text.contains(part), "{text}");
        };
        set(&mut run, "constant", 0.0, 99.0);
        says(&run, "all beat the constant’s average precision of 0.0%, and all beat its");
        set(&mut run, "constant", 0.99, 0.001);
        says(&run, "none beats the constant’s average precision of 99.0%, and none beats its");
        let kept = ["constant", "identity", "ojfa"].map(|name| name.parse::<MethodName>().unwrap());
        run.summary.averages.retain(|row| kept.contains(&row.method.name));
        says(&run, "Beside OJFA only identity was evaluated, which does not beat the");
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
        let run = sample::run(30, &[5]);
        let setting = Setting::all(&run).remove(0);
        assert!(reduction(&setting).ends_with("Over 30 times fewer takes a model of more than 30 blocks."));
        let text = reduction(&Setting { hidden_size: 1600, rank: 16, blocks: 48, ..setting });
        assert!(text.ends_with("keeps 2,764,800: 48 times fewer, one jump in place of 48."), "{text}");
    }
}
