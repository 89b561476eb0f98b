//! Two methods beside each other.

use onejump_core::results::Metrics;

use crate::setting::{Curve, SampleSet};
use crate::words::{nats, percent, points};

/// "OJFA averages 21.3% precision against 22.8% for …", in both metrics.
pub fn versus(ours: &Curve, theirs: &Curve, name: &str, samples: SampleSet) -> Option<String> {
    let (a, b) = (ours.mean(samples)?, theirs.mean(samples)?);
    let precision = match difference(100.0 * (a.precision_1 - b.precision_1), 1) {
        0.0 => "no difference".to_owned(),
        by => {
            let direction = if by > 0.0 { "higher" } else { "lower" };
            let ratio = 100.0 * a.precision_1 / b.precision_1;
            let of_it = if b.precision_1 > 0.0 { format!(", {ratio:.0}% of it") } else { String::new() };
            format!("{} {direction}{of_it}", points(by / 100.0))
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

/// Whether the first is better than the second in one metric.
pub type Better = fn(&Metrics, &Metrics) -> bool;

/// The levels at which the first curve is better than the second, of those that have both.
pub fn levels_won(ours: &Curve, theirs: &Curve, samples: SampleSet, better: Better) -> (Vec<usize>, usize) {
    let both = |level| Some((level, ours.at(level, samples)?, theirs.at(level, samples)?));
    let pairs: Vec<_> = ours.exit_levels().filter_map(both).collect();
    let won = pairs.iter().filter(|(_, a, b)| better(a, b)).map(|&(level, ..)| level).collect();
    (won, pairs.len())
}

pub fn more_precise(a: &Metrics, b: &Metrics) -> bool {
    a.precision_1 > b.precision_1
}

pub fn less_surprised(a: &Metrics, b: &Metrics) -> bool {
    a.surprisal < b.surprisal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use crate::setting::Setting;
    use onejump_core::results::Average;

    #[test]
    fn a_comparison_says_which_way_it_goes() {
        let run = sample::run(12, &[5]);
        let setting = &Setting::all(&run)[0];
        let say = |ours: (f64, f64), theirs: (f64, f64)| {
            let average = |(precision_1, surprisal)| {
                let given = setting.ojfa().unwrap().average;
                let all = Metrics { precision_1, surprisal, ..given.all };
                Average { all, ..given.clone() }
            };
            let (ours, theirs) = (average(ours), average(theirs));
            let curve = |average| Curve::new(&run, average);
            versus(&curve(&ours), &curve(&theirs), "the full n-njtc", SampleSet::All).unwrap()
        };
        assert_eq!(
            say((0.15, 5.0), (0.2, 4.5)),
            "OJFA (jump 6) averages 15.0% precision against 20.0% for the full n-njtc (5.0 points lower, 75% of \
             it), and 5.00 nats of surprisal against 4.50 (0.50 nats higher, which is worse)."
        );
        let text = say((0.15, 5.0), (0.150_000_1, 5.25));
        assert!(
            text.contains("(no difference), and") && text.ends_with("(0.25 nats lower, which is better).")
        );
        let text = say((0.15, 5.0), (0.1, 5.0));
        assert!(text.contains("(5.0 points higher, 150% of it)") && text.ends_with("(no difference)."));
        assert!(say((0.15, 5.0), (0.0, 5.0)).contains("(15.0 points higher)"));
    }
}
