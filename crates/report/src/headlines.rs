//! The first paragraphs of the page: what came out, setting by setting.

use onejump_core::shortcut::ShortcutKind;

use crate::claims::{Claim, Verdict};
use crate::run::Run;
use crate::setting::{SampleSet, Setting};
use crate::versus::versus;
use crate::words::{self, count, list, percent};

/// What was found in a setting: two sentences and the count of claims that hold.
pub fn headline(setting: &Setting) -> String {
    let Some(ojfa) = setting.ojfa() else {
        return "No single jump was evaluated.".to_owned();
    };
    let mut text = format!("One jump replaces {}. ", setting.blocks);
    let full = setting.kind(ShortcutKind::NNjtc);
    match full.and_then(|full| versus(ojfa, full, "the full n-njtc", SampleSet::All)) {
        Some(sentence) => text.push_str(&sentence),
        None => text.push_str(&format!(
            "{} averages {} precision and {} of surprisal.",
            ojfa.label(),
            percent(ojfa.average.all.precision_1),
            words::nats(ojfa.average.all.surprisal)
        )),
    }
    if let Some(constant) = setting.constant() {
        let all = constant.average.all;
        text.push_str(&format!(
            " The constant baseline has {} and {}.",
            percent(all.precision_1),
            words::nats(all.surprisal)
        ));
    }
    let verdicts = Claim::ALL.map(|claim| claim.verdict(setting, SampleSet::All));
    format!("{text} Of the paper’s {} claims below, {}.", verdicts.len(), tally(&verdicts))
}

/// "3 hold, 1 holds in part and 1 does not hold".
fn tally(verdicts: &[Verdict]) -> String {
    let phrases = [
        (Verdict::Holds, "holds", "hold"),
        (Verdict::InPart, "holds in part", "hold in part"),
        (Verdict::Fails, "does not hold", "do not hold"),
        (Verdict::Untested, "was not evaluated", "were not evaluated"),
    ];
    let phrases = phrases.into_iter().filter_map(|(wanted, one, many)| {
        match verdicts.iter().filter(|&&verdict| verdict == wanted).count() {
            0 => None,
            1 => Some(format!("1 {one}")),
            number => Some(format!("{number} {many}")),
        }
    });
    list(&phrases.collect::<Vec<_>>())
}

/// Whether the samples at position 0 change a verdict.
pub fn position_0(run: &Run, settings: &[Setting]) -> String {
    let summary = &run.summary;
    if summary.test_samples_at_0 == 0 {
        return "No test sample is at position 0, so leaving those out changes nothing.".to_owned();
    }
    let change = |setting: &Setting, claim: Claim| {
        let (all, without_0) = claim.verdicts(setting);
        let (before, after) = (all.mark().text, without_0?.mark().text);
        Some(format!("“{}” at {} ({before}, then {after})", claim.text(), setting.name()))
    };
    let changes: Vec<String> = settings
        .iter()
        .flat_map(|setting| Claim::ALL.into_iter().filter_map(|claim| change(setting, claim)))
        .collect();
    let left_out =
        format!("Leaving out the {} at position 0", count(summary.test_samples_at_0, "test sample"));
    match changes.len() {
        0 => format!("{left_out} changes no verdict."),
        number => format!("{left_out} changes {}: {}.", count(number, "verdict"), changes.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn position_0_is_said_in_every_case() {
        let mut run = sample::run(12, &[5]);
        let say = |run: &Run| position_0(run, &Setting::all(run));
        assert_eq!(say(&run), "Leaving out the 131 test samples at position 0 changes no verdict.");
        for row in run.summary.averages.iter_mut().filter(|row| row.method.is(ShortcutKind::Ojfa)) {
            row.without_0.as_mut().unwrap().precision_1 = 0.0;
        }
        assert!(say(&run).contains("verdicts: “"), "{}", say(&run));
        run.summary.test_samples_at_0 = 0;
        assert!(say(&run).starts_with("No test sample is at position 0"));
    }

    #[test]
    fn headlines_are_sentences_whatever_is_missing() {
        let mut run = sample::run(12, &[5]);
        let say = |run: &Run| headline(&Setting::all(run)[0]);
        assert!(say(&run).starts_with("One jump replaces 12. OJFA (jump 6) averages "));
        run.summary.averages.retain(|row| row.method.is(ShortcutKind::Ojfa));
        assert!(say(&run).ends_with("1 does not hold and 4 were not evaluated."), "{}", say(&run));
        run.summary.averages.clear();
        assert_eq!(say(&run), "No single jump was evaluated.");
    }
}
