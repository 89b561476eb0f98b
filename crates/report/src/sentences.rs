//! What a reader of the figures cannot see in them: why this jump, what it keeps, what position 0 does, and
//! how certain all that is.

use onejump_core::shortcut::ShortcutKind;
use onejump_store::analyses::Difference;

use crate::choice;
use crate::claims::Claim;
use crate::interval::Measured;
use crate::run::Run;
use crate::setting::{Metric, SampleSet, Setting};
use crate::words::{count, list, percent, points, share_of_levels};

/// Three or four sentences about one setting.
pub fn sentences(run: &Run, setting: &Setting) -> Vec<String> {
    let sentences = [
        setting.choice.map(choice::sentence),
        kept(setting),
        position_0(run, setting),
        certain(&run.analyses.differences, setting).or_else(|| sampling_error(run, setting)),
    ];
    sentences.into_iter().flatten().collect()
}

/// What the one jump keeps of a jump per level, and where it is ahead of doing nothing.
fn kept(setting: &Setting) -> Option<String> {
    let ojfa = setting.ojfa()?;
    let share = setting.kind(ShortcutKind::NNjtc).map(|full| {
        let share = ojfa.average.all.precision_1 / full.average.all.precision_1;
        format!("keeps {share:.0}% of the precision of one jump per level", share = 100.0 * share)
    });
    let ahead = setting.kind(ShortcutKind::Identity).map(|identity| {
        let ahead = ojfa.ahead_of(identity, SampleSet::All, Metric::Precision);
        format!("is more precise than the identity at {}", share_of_levels(&ahead.levels, ahead.of))
    });
    let above = setting.constant().map(|constant| {
        let ahead = ojfa.ahead_of(constant, SampleSet::All, Metric::Precision);
        format!("than a constant answer at {}", share_of_levels(&ahead.levels, ahead.of))
    });
    let parts: Vec<String> = [share, ahead, above].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("It {}.", list(&parts)))
}

/// Whether the samples at position 0 change the precision or a verdict.
fn position_0(run: &Run, setting: &Setting) -> Option<String> {
    let at_0 = run.summary.test_samples_at_0;
    let (all, without_0) = (setting.ojfa()?.average.all, setting.ojfa()?.average.without_0?);
    if at_0 == 0 {
        return None;
    }
    let change = |claim: Claim| {
        let [before, after] = SampleSet::BOTH.map(|samples| claim.verdict(setting, samples));
        (before != after).then(|| format!("“{}” ({}, then {})", claim.text(), before.words(), after.words()))
    };
    let changes: Vec<String> = Claim::ALL.into_iter().filter_map(change).collect();
    let verdicts = if changes.is_empty() {
        "no verdict".to_owned()
    } else {
        format!("the verdict on {}", list(&changes))
    };
    Some(format!(
        "Without the {} at position 0, which flatter every method, its precision is {} instead of {}; that changes \
         {verdicts}.",
        count(at_0, "test sample"),
        percent(without_0.precision_1),
        percent(all.precision_1)
    ))
}

/// What the one jump is certainly better and certainly worse than, in both measures.
fn certain(differences: &[Difference], setting: &Setting) -> Option<String> {
    let rows = differences.iter().filter(|row| {
        let place = (row.solver, row.rank.map(|rank| rank as usize));
        row.method == ShortcutKind::Ojfa && place == (Some(setting.solver), Some(setting.rank))
    });
    let rows: Vec<&Difference> = rows.collect();
    let others = |precise: bool| {
        let sure = rows.iter().filter(|row| {
            let signs = (row.precision().certain_sign(), row.surprisal().certain_sign());
            signs == (Some(precise), Some(!precise))
        });
        let named = sure.map(|row| format!("{} ({})", row.other, points(row.precision_1)));
        let named: Vec<String> = named.collect();
        if named.is_empty() { "none of the compared methods".to_owned() } else { list(&named) }
    };
    (!rows.is_empty()).then(|| {
        format!(
            "Certain in both measures, by a bootstrap over the test sentences (95%): it is better than {}, and worse \
             than {}.",
            others(true),
            others(false)
        )
    })
}

/// How finely a precision can be read.
fn sampling_error(run: &Run, setting: &Setting) -> Option<String> {
    let precision = setting.ojfa()?.average.all.precision_1;
    let samples = run.summary.test_samples.max(1) as f64;
    let error = (precision * (1.0 - precision) / samples).sqrt();
    Some(format!(
        "At one level, {} give its precision a standard error of {}: read nothing into smaller differences.",
        count(run.summary.test_samples, "test sample"),
        points(error)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{self, set};

    fn said(run: &Run) -> Vec<String> {
        sentences(run, &Setting::all(run)[0])
    }

    #[test]
    fn four_sentences_have_the_numbers() {
        let mut run = sample::run(12, &[5]);
        set(&mut run, "ojfa", 0.2, 5.0);
        set(&mut run, "n-njtc", 0.25, 4.0);
        set(&mut run, "identity", 0.1, 9.0);
        set(&mut run, "constant", 0.3, 6.0);
        for row in &mut run.levels {
            if row.method.is(ShortcutKind::Identity) && row.level > 8 {
                row.all.precision_1 = 0.9;
            }
        }
        let said = said(&run);
        assert_eq!(said.len(), 4);
        assert_eq!(
            said[1],
            "It keeps 80% of the precision of one jump per level, is more precise than the identity at 9 of the 12 \
             exit levels (levels 0–8) and than a constant answer at none of the 12 exit levels."
        );
        // √(0.2·0.8/3000) = 0.0073.
        assert!(said[3].contains("a standard error of 0.7 points"), "{}", said[3]);
    }

    #[test]
    fn position_0_is_said_in_every_case() {
        let mut run = sample::run(12, &[5]);
        assert!(said(&run)[2].ends_with("changes no verdict."), "{}", said(&run)[2]);
        for row in run.summary.averages.iter_mut().filter(|row| row.method.is(ShortcutKind::Ojfa)) {
            row.without_0.as_mut().unwrap().precision_1 = 0.0;
        }
        assert!(said(&run)[2].contains("is 0.0% instead of"), "{}", said(&run)[2]);
        assert!(said(&run)[2].contains("that changes the verdict on “"), "{}", said(&run)[2]);
        run.summary.test_samples_at_0 = 0;
        assert_eq!(said(&run).len(), 3);
    }

    #[test]
    fn what_is_certain_has_the_sign_of_both_measures() {
        let mut run = sample::run(12, &[5]);
        run.analyses = sample::analyses(12, &[5]);
        // Gains of −0.05 to 0.05 in steps of 0.02, with intervals of ±0.012: ±0.01 is not certain.
        assert_eq!(
            said(&run)[3],
            "Certain in both measures, by a bootstrap over the test sentences (95%): it is better than joint (3.0 \
             points) and joint-norms (5.0 points), and worse than identity (5.0 points) and jtc (3.0 points)."
        );
    }

    #[test]
    fn nothing_is_said_of_what_is_missing() {
        let mut run = sample::run(12, &[5]);
        run.summary.averages.retain(|row| row.method.is(ShortcutKind::Ojfa));
        assert_eq!(said(&run).len(), 3);
        run.summary.averages.clear();
        assert_eq!(said(&run).len(), 1);
    }
}
