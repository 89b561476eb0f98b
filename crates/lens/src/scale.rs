//! Numbers as people read them, and as colours.

use onejump_core::numbers::thousands;

use crate::cells::Cell;
use crate::config::Metric;

/// How much of the full colour a cell has, from 0 to 1: all where the level is sure, or says what the model says; none
/// where it knows nothing. A level that finds all V tokens alike has a surprisal of ln V.
pub(crate) fn share(metric: Metric, cell: &Cell, vocab_size: usize) -> f64 {
    let most = (vocab_size as f64).ln().max(f64::MIN_POSITIVE);
    let share = match metric {
        Metric::Probability => cell.answer().probability,
        Metric::Surprisal => 1.0 - cell.surprisal / most,
        Metric::Rank => 1.0 - (cell.rank as f64).ln() / most,
        Metric::Kl => 1.0 - cell.kl.unwrap_or(most) / most,
    };
    share.clamp(0.0, 1.0)
}

/// What stands at the two ends of a metric's colours: where there is none, and where it is full.
pub(crate) fn ends(metric: Metric, vocab_size: usize) -> (String, String) {
    let most = format!("{:.1} nats", (vocab_size as f64).ln());
    match metric {
        Metric::Probability => ("0".to_owned(), "100 %".to_owned()),
        Metric::Surprisal | Metric::Kl => (most, "0 nats".to_owned()),
        Metric::Rank => (format!("rank {}", thousands(vocab_size as u64)), "rank 1".to_owned()),
    }
}

/// What a metric is, in a few words.
pub(crate) fn title(metric: Metric) -> &'static str {
    match metric {
        Metric::Probability => "probability of the level’s answer",
        Metric::Surprisal => "surprisal of the model’s answer",
        Metric::Rank => "rank of the model’s answer",
        Metric::Kl => "KL from the model’s distribution",
    }
}

/// "93.1 %"; never 0 or 100 where it is not.
pub(crate) fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    if share <= 0.0 {
        "0 %".to_owned()
    } else if share >= 1.0 {
        "100 %".to_owned()
    } else if percent < 0.1 {
        "<0.1 %".to_owned()
    } else {
        format!("{:.1} %", percent.min(99.9))
    }
}

/// A share as a bar of eight letters, an eighth of a letter at a time.
pub(crate) fn bar(share: f64) -> String {
    const LETTERS: usize = 8;
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share * (8 * LETTERS) as f64).round() as usize;
    let bar = "█".repeat(eighths / 8) + PARTS[eighths % 8];
    format!("{bar:<LETTERS$}")
}

/// "0.07 nats".
pub(crate) fn nats(value: f64) -> String {
    format!("{:.2} nats", value.max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::Likely;

    #[test]
    fn colours_end_where_nothing_is_known() {
        let mut cell = Cell {
            best: vec![Likely { token: 3, probability: 0.25 }],
            surprisal: 0.0,
            rank: 1,
            kl: Some(0.0),
            next: None,
        };
        let shares = |cell: &Cell| {
            [Metric::Probability, Metric::Surprisal, Metric::Rank, Metric::Kl]
                .map(|metric| share(metric, cell, 100))
        };
        assert_eq!(shares(&cell), [0.25, 1.0, 1.0, 1.0]);
        (cell.surprisal, cell.rank, cell.kl) = (50.0, 100, Some(7.0));
        assert_eq!(shares(&cell), [0.25, 0.0, 0.0, 0.0]);
        (cell.surprisal, cell.rank) = (100f64.ln() / 2.0, 10);
        assert!((shares(&cell)[1] - 0.5).abs() < 1e-12 && (shares(&cell)[2] - 0.5).abs() < 1e-12);
    }

    #[test]
    fn bars_are_as_long_as_shares() {
        assert_eq!(
            [bar(0.0), bar(1.0), bar(0.5), bar(0.3)],
            ["        ", "████████", "████    ", "██▍     "]
        );
    }

    #[test]
    fn shares_are_never_rounded_to_all_or_nothing() {
        let read = [0.0, 1e-9, 0.0123, 0.931, 0.9999, 1.0].map(percent);
        assert_eq!(read, ["0 %", "<0.1 %", "1.2 %", "93.1 %", "99.9 %", "100 %"]);
    }
}
