//! The paper's claims, each computed for one setting: does it hold here?

use onejump_core::results::Metrics;
use onejump_core::shortcut::{ShortcutKind, parameters};

use crate::setting::{Curve, Metric, SampleSet, Setting};
use crate::table::{Cell, Look, Table};

/// OJFA "largely matches" the full n-njtc (§6) if it keeps this share of its average precision, and this
/// share of the probability that it gives to the true top token: in surprisal, at most −ln 0.9 = 0.11 nats
/// more. The paper gives no number.
const LARGELY: f64 = 0.9;

/// "Over a 30x reduction in shortcut parameter costs" (abstract, §3.1).
const REDUCTION: f64 = 30.0;

/// Something that the paper says of OJFA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    BetterThanArbitrary,
    BetterThanJoint,
    BetterThanIdentityEarly,
    MatchesFull,
    FewerParameters,
}

/// Whether a claim holds. A claim is a set of comparisons, each of one metric with one rival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// In every comparison.
    Holds,
    /// In at least half of the comparisons.
    InPart,
    /// In fewer than half.
    Fails,
    /// Something that the claim speaks of was not evaluated.
    Untested,
}

impl Verdict {
    fn of(comparisons: impl IntoIterator<Item = bool>) -> Self {
        let comparisons: Vec<bool> = comparisons.into_iter().collect();
        let won = comparisons.iter().filter(|&&won| won).count();
        match comparisons.len() {
            0 => Self::Untested,
            all if won == all => Self::Holds,
            all if 2 * won >= all => Self::InPart,
            _ => Self::Fails,
        }
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::InPart => "in part",
            Self::Fails => "does not hold",
            Self::Untested => "not evaluated",
        }
    }

    fn cell(self) -> Cell {
        let (sign, look) = match self {
            Self::Holds => ("✓", Look::Holds),
            Self::InPart => ("◐", Look::Part),
            Self::Fails => ("✗", Look::Fails),
            Self::Untested => ("–", Look::Plain),
        };
        Cell { words: Some(self.words()), ..Cell::new(sign, look) }
    }
}

/// Whether the claims hold: a row for each, a column for each setting.
pub fn table(settings: &[Setting], samples: SampleSet) -> Table {
    let row = |claim: Claim| {
        let name = format!("{} ({})", claim.text(), claim.source());
        let marks = settings.iter().map(|setting| claim.verdict(setting, samples).cell());
        std::iter::once(name.into()).chain(marks).collect()
    };
    let head =
        std::iter::once("The one jump …".to_owned()).chain(settings.iter().map(Setting::name)).collect();
    let caption = format!("Do the paper’s claims hold here? ({})", samples.name());
    Table::of_rows(caption, head, Claim::ALL.map(row).into())
}

impl Claim {
    /// In the order of the paper.
    pub const ALL: [Self; 5] = [
        Self::BetterThanArbitrary,
        Self::BetterThanJoint,
        Self::BetterThanIdentityEarly,
        Self::MatchesFull,
        Self::FewerParameters,
    ];

    /// What the paper says of the one jump.
    pub fn text(self) -> &'static str {
        match self {
            Self::BetterThanArbitrary => "beats arbitrary single jumps",
            Self::BetterThanJoint => "beats joint training",
            Self::BetterThanIdentityEarly => "beats the identity early on",
            Self::MatchesFull => "largely matches a jump per level",
            Self::FewerParameters => "has over 30 times fewer parameters",
        }
    }

    /// Where the paper says it.
    pub fn source(self) -> &'static str {
        match self {
            Self::BetterThanArbitrary | Self::BetterThanJoint => "§5",
            Self::BetterThanIdentityEarly | Self::MatchesFull => "§6",
            Self::FewerParameters => "§3.1",
        }
    }

    /// Whether it holds in a setting.
    pub fn verdict(self, setting: &Setting, samples: SampleSet) -> Verdict {
        let Some(ojfa) = setting.ojfa() else { return Verdict::Untested };
        // OJFA's averages and a rival's.
        let pair = |rival: &Curve| ojfa.mean(samples).zip(rival.mean(samples));
        let pair_of = |kind| setting.kind(kind).and_then(pair).into_iter();
        match self {
            Self::BetterThanArbitrary => Verdict::of(setting.arbitrary().filter_map(pair).flat_map(wins)),
            Self::BetterThanJoint => Verdict::of(pair_of(ShortcutKind::Joint).flat_map(wins)),
            Self::BetterThanIdentityEarly => {
                let identity = setting.kind(ShortcutKind::Identity);
                let at = |level| ojfa.at(level, samples).zip(identity?.at(level, samples));
                Verdict::of(setting.early().filter_map(at).flat_map(wins))
            }
            Self::MatchesFull => Verdict::of(pair_of(ShortcutKind::NNjtc).flat_map(matches)),
            Self::FewerParameters => {
                let of = |kind| parameters(kind, setting.hidden_size, setting.rank, setting.blocks) as f64;
                Verdict::of([of(ShortcutKind::NNjtc) / of(ShortcutKind::Ojfa) > REDUCTION])
            }
        }
    }
}

fn wins((ours, theirs): (Metrics, Metrics)) -> [bool; 2] {
    Metric::BOTH.map(|metric| metric.better(&ours, &theirs))
}

fn matches((ours, full): (Metrics, Metrics)) -> [bool; 2] {
    [ours.precision_1 >= LARGELY * full.precision_1, ours.surprisal <= full.surprisal - LARGELY.ln()]
}

#[cfg(test)]
mod tests {
    use onejump_core::results::MethodName;

    use super::*;
    use crate::run::Run;
    use crate::sample::{self, set};

    fn verdicts(run: &Run, samples: SampleSet) -> [Verdict; 5] {
        let settings = Setting::all(run);
        Claim::ALL.map(|claim| claim.verdict(&settings[0], samples))
    }

    #[test]
    fn all_claims_hold_on_a_run_like_the_papers() {
        let mut run = sample::run(48, &[5]);
        set(&mut run, "ojfa", 0.30, 4.0);
        set(&mut run, "n-njtc", 0.31, 3.92);
        for rival in ["jump-2", "jump-6", "jump-40", "joint", "identity"] {
            set(&mut run, rival, 0.1, 9.0);
        }
        assert_eq!(verdicts(&run, SampleSet::All), [Verdict::Holds; 5]);
    }

    #[test]
    fn each_claim_can_fail_or_hold_in_part() {
        let mut run = sample::run(30, &[5]);
        set(&mut run, "ojfa", 0.1, 6.0);
        set(&mut run, "n-njtc", 0.2, 4.0);
        set(&mut run, "identity", 0.2, 4.0);
        for rival in ["jump-2", "jump-4", "jump-26"] {
            set(&mut run, rival, 0.2, 5.0);
        }
        set(&mut run, "joint", 0.05, 5.0);
        use Verdict::{Fails, InPart};
        assert_eq!(verdicts(&run, SampleSet::All), [Fails, InPart, Fails, Fails, Fails]);
        set(&mut run, "ojfa", 0.185, 4.5);
        assert_eq!(verdicts(&run, SampleSet::All)[3], InPart);
    }

    #[test]
    fn what_was_not_evaluated_is_not_judged() {
        let mut run = sample::run(30, &[5]);
        run.summary
            .averages
            .retain(|row| row.method.name == MethodName::Constant || row.method.is(ShortcutKind::Ojfa));
        use Verdict::{Fails, Untested};
        assert_eq!(verdicts(&run, SampleSet::All), [Untested, Untested, Untested, Untested, Fails]);
        run.summary.averages.retain(|row| !row.method.is(ShortcutKind::Ojfa));
        run.summary.averages.truncate(1);
        assert_eq!(verdicts(&run, SampleSet::All), [Untested; 5]);
    }
}
