//! The first paragraphs of the page: what came out, setting by setting.

use serde::Serialize;

use crate::claims::{Claim, Verdict};
use crate::run::Run;
use crate::setting::{Samples, Setting};
use crate::versus::versus;
use crate::words::{self, count, list, percent};

/// A setting in a few sentences.
#[derive(Debug, Serialize)]
pub struct Headline {
    /// The setting's name.
    pub setting: String,
    /// What was found.
    pub text: String,
}

/// The setting in two sentences and the count of claims that hold.
pub fn headline(setting: &Setting, run: &Run) -> Headline {
    Headline { setting: setting.name(), text: text(setting, run) }
}

fn text(setting: &Setting, run: &Run) -> String {
    let Some(ojfa) = &setting.ojfa else {
        return "No single jump was evaluated.".to_owned();
    };
    let blocks = run.summary.blocks;
    let mut text = format!("One jump replaces {blocks}. ");
    match setting.n_njtc.as_ref().and_then(|full| versus(ojfa, full, "the full n-njtc", Samples::All)) {
        Some(sentence) => text.push_str(&sentence),
        None => text.push_str(&format!(
            "{} averages {} precision and {} of surprisal.",
            ojfa.label(),
            percent(ojfa.average.all.precision_1),
            words::nats(ojfa.average.all.surprisal)
        )),
    }
    if let Some(constant) = &setting.constant {
        let all = constant.average.all;
        text.push_str(&format!(
            " The constant baseline has {} and {}.",
            percent(all.precision_1),
            words::nats(all.surprisal)
        ));
    }
    let verdicts =
        Claim::ALL.map(|claim| claim.verdict(setting, Samples::All, run.summary.hidden_size, blocks));
    let with = |wanted: Verdict| verdicts.iter().filter(|&&verdict| verdict == wanted).count();
    let phrase = |wanted: Verdict, one: &str, many: &str| {
        let number = with(wanted);
        (number > 0).then(|| format!("{number} {}", if number == 1 { one } else { many }))
    };
    let parts: Vec<String> = [
        phrase(Verdict::Holds, "holds", "hold"),
        phrase(Verdict::InPart, "holds in part", "hold in part"),
        phrase(Verdict::Fails, "does not hold", "do not hold"),
        phrase(Verdict::Untested, "was not evaluated", "were not evaluated"),
    ]
    .into_iter()
    .flatten()
    .collect();
    format!("{text} Of the paper’s {} claims below, {}.", verdicts.len(), list(&parts))
}

/// Whether the samples at position 0 change a verdict.
pub fn position_0(run: &Run, settings: &[Setting]) -> String {
    let summary = &run.summary;
    if summary.test_samples_at_0 == 0 {
        return "No test sample is at position 0, so leaving those out changes nothing.".to_owned();
    }
    let mut changes = Vec::new();
    for setting in settings {
        for claim in Claim::ALL {
            let of = |samples| claim.verdict(setting, samples, summary.hidden_size, summary.blocks);
            let (all, without_0) = (of(Samples::All), of(Samples::Without0));
            if all != without_0 && without_0 != Verdict::Untested {
                let now = without_0.text();
                changes.push(format!(
                    "“{}” at {} ({}, then {now})",
                    claim.text(),
                    setting.name(),
                    all.text()
                ));
            }
        }
    }
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
    use onejump_core::shortcut::ShortcutKind;

    #[test]
    fn position_0_is_said_in_every_case() {
        let mut run = sample::run(12, &[5]);
        let say = |run: &Run| position_0(run, &Setting::all(run));
        assert_eq!(say(&run), "Leaving out the 131 test samples at position 0 changes no verdict.");
        for row in run.summary.averages.iter_mut().filter(|row| row.method.is(ShortcutKind::Ojfa)) {
            row.without_0 =
                row.without_0.map(|mean| onejump_core::results::Metrics { precision_1: 0.0, ..mean });
        }
        assert!(
            say(&run).contains("changes 2 verdicts: “OJFA largely matches") || say(&run).contains("verdicts")
        );
        run.summary.test_samples_at_0 = 0;
        assert!(say(&run).starts_with("No test sample is at position 0"));
    }

    #[test]
    fn headlines_are_sentences_whatever_is_missing() {
        let mut run = sample::run(12, &[5]);
        let say = |run: &Run| text(&Setting::all(run)[0], run);
        assert!(say(&run).starts_with("One jump replaces 12. OJFA (jump 6) averages "));
        run.summary.averages.retain(|row| row.method.is(ShortcutKind::Ojfa));
        assert!(say(&run).ends_with("1 does not hold and 4 were not evaluated."), "{}", say(&run));
        run.summary.averages.clear();
        assert_eq!(say(&run), "No single jump was evaluated.");
    }
}
