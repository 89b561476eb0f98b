//! The paper's claims, each computed for one setting: does it hold here?

use onejump_core::results::Metrics;
use onejump_core::shortcut::{ShortcutKind, parameters};

use crate::setting::{Curve, SampleSet, Setting};

/// The exit levels before ⌈K/2⌉ are the "early model stages" of §6, which gives no number.
pub const EARLY_DIVISOR: usize = 2;

/// OJFA "largely matches" the full n-njtc (§6) if it keeps this share of its average precision, and this
/// share of the probability that it gives to the true top token: in surprisal, at most −ln 0.9 = 0.11 nats
/// more. The paper gives no number.
pub const LARGELY: f64 = 0.9;

/// "Over a 30x reduction in shortcut parameter costs" (abstract, §3.1).
pub const REDUCTION: f64 = 30.0;

/// Something that the paper says of OJFA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// §5, Fig. 2.
    BetterThanArbitrary,
    /// §5, Fig. 2.
    BetterThanJoint,
    /// §6, Fig. 4.
    BetterThanIdentityEarly,
    /// §6, Fig. 4.
    MatchesFull,
    /// Abstract, §3.1, Fig. 1.
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
    fn of(comparisons: &[bool]) -> Self {
        let won = comparisons.iter().filter(|&&won| won).count();
        match comparisons.len() {
            0 => Self::Untested,
            all if won == all => Self::Holds,
            all if 2 * won >= all => Self::InPart,
            _ => Self::Fails,
        }
    }

    /// As it stands in tables.
    pub fn text(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::InPart => "holds in part",
            Self::Fails => "does not hold",
            Self::Untested => "not evaluated",
        }
    }
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

    /// What the paper says.
    pub fn text(self) -> &'static str {
        match self {
            Self::BetterThanArbitrary => "OJFA is better on average than arbitrary single jumps",
            Self::BetterThanJoint => "OJFA is better on average than one jointly trained shortcut",
            Self::BetterThanIdentityEarly => "OJFA is better than identity at early levels",
            Self::MatchesFull => "OJFA largely matches the full n-njtc",
            Self::FewerParameters => "OJFA keeps over 30 times fewer parameters",
        }
    }

    /// Where the paper says it.
    pub fn source(self) -> &'static str {
        match self {
            Self::BetterThanArbitrary | Self::BetterThanJoint => "§5, Fig. 2",
            Self::BetterThanIdentityEarly | Self::MatchesFull => "§6, Fig. 4",
            Self::FewerParameters => "§3.1, Fig. 1",
        }
    }

    /// Whether it holds in a setting.
    pub fn verdict(self, setting: &Setting, samples: SampleSet) -> Verdict {
        let Some(ojfa) = &setting.ojfa else { return Verdict::Untested };
        match self {
            Self::BetterThanArbitrary => Verdict::of(
                &setting.arbitrary.iter().flat_map(|rival| better(ojfa, rival, samples)).collect::<Vec<_>>(),
            ),
            Self::BetterThanJoint => Verdict::of(
                &setting.joint.iter().flat_map(|rival| better(ojfa, rival, samples)).collect::<Vec<_>>(),
            ),
            Self::BetterThanIdentityEarly => {
                let levels = 0..setting.blocks.div_ceil(EARLY_DIVISOR);
                let at = |curve: &Curve, level| curve.at(level, samples);
                let identity = setting.identity.as_ref();
                let pairs = levels.filter_map(|level| at(ojfa, level).zip(at(identity?, level)));
                Verdict::of(&pairs.flat_map(|(ours, theirs)| wins(&ours, &theirs)).collect::<Vec<_>>())
            }
            Self::MatchesFull => {
                let full = setting.n_njtc.as_ref().and_then(|curve| curve.mean(samples));
                let pair = ojfa.mean(samples).zip(full);
                Verdict::of(
                    &pair.into_iter().flat_map(|(ours, full)| matches(&ours, &full)).collect::<Vec<_>>(),
                )
            }
            Self::FewerParameters => {
                let of = |kind| parameters(kind, setting.hidden_size, setting.rank, setting.blocks) as f64;
                Verdict::of(&[of(ShortcutKind::NNjtc) / of(ShortcutKind::Ojfa) > REDUCTION])
            }
        }
    }
}

/// Precision and surprisal, averaged over the exit levels.
fn better(ours: &Curve, theirs: &Curve, samples: SampleSet) -> Vec<bool> {
    let pair = ours.mean(samples).zip(theirs.mean(samples));
    pair.map(|(ours, theirs)| wins(&ours, &theirs).to_vec()).unwrap_or_default()
}

fn wins(ours: &Metrics, theirs: &Metrics) -> [bool; 2] {
    [ours.precision_1 > theirs.precision_1, ours.surprisal < theirs.surprisal]
}

fn matches(ours: &Metrics, full: &Metrics) -> [bool; 2] {
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
