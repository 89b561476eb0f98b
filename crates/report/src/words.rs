//! Numbers as people read them.

pub use onejump_core::numbers::thousands;
use onejump_core::shortcut::Solver;

/// What stands where there is no number.
pub const NONE: &str = "–";

/// "21.3%".
pub fn percent(share: f64) -> String {
    number(100.0 * share, 1, "%")
}

/// "1.5 points", for a difference of shares, without its sign.
pub fn points(difference: f64) -> String {
    number(100.0 * difference.abs(), 1, " points")
}

/// "4.95 nats".
pub fn nats(value: f64) -> String {
    number(value, 2, " nats")
}

/// A number with so many decimals, a true minus, and its unit.
pub fn number(value: f64, decimals: usize, unit: &str) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let digits = format!("{:.decimals$}", value.abs());
    let negative = value < 0.0 && digits.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    format!("{}{digits}{unit}", if negative { "−" } else { "" })
}

/// "1 level", "3 levels".
pub fn count(number: usize, noun: &str) -> String {
    format!("{} {noun}{}", thousands(number as u64), if number == 1 { "" } else { "s" })
}

/// "a", "a and b", "a, b and c".
pub fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// "level 24", "levels 24–29", "levels 0, 3–5 and 29", for ascending levels.
pub fn levels(levels: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &level in levels {
        match runs.last_mut() {
            Some((_, end)) if *end + 1 == level => *end = level,
            _ => runs.push((level, level)),
        }
    }
    let runs: Vec<String> = runs
        .into_iter()
        .map(|(start, end)| if start == end { start.to_string() } else { format!("{start}–{end}") })
        .collect();
    format!("level{} {}", if levels.len() == 1 { "" } else { "s" }, list(&runs))
}

/// "none of the 30 exit levels", "all 30 exit levels", "6 of the 30 exit levels (levels 24–29)".
pub fn share_of_levels(some: &[usize], all: usize) -> String {
    match some.len() {
        0 => format!("none of the {all} exit levels"),
        number if number == all => format!("all {all} exit levels"),
        number => format!("{number} of the {all} exit levels ({})", levels(some)),
    }
}

/// "rank 5, closed form".
pub fn setting(with: Solver, rank: usize) -> String {
    format!("rank {rank}, {}", solver(with))
}

/// The solver's name in a sentence.
pub fn solver(solver: Solver) -> &'static str {
    match solver {
        Solver::ClosedForm => "closed form",
        Solver::Adam => "Adam",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(percent(0.2134), "21.3%");
        assert_eq!(points(-0.0149), "1.5 points");
        assert_eq!(nats(f64::NAN), NONE);
        assert_eq!(number(-0.5, 2, ""), "−0.50");
        assert_eq!(number(-0.001, 2, ""), "0.00");
        assert_eq!([0, 999, 1_000, 11_010_048].map(thousands), ["0", "999", "1,000", "11,010,048"]);
        assert_eq!([count(1, "level"), count(0, "level")], ["1 level", "0 levels"]);
    }

    #[test]
    fn levels_are_ranges() {
        assert_eq!(levels(&[24]), "level 24");
        assert_eq!(levels(&[24, 25, 26]), "levels 24–26");
        assert_eq!(levels(&[0, 3, 4, 5, 29]), "levels 0, 3–5 and 29");
        assert_eq!(share_of_levels(&[], 30), "none of the 30 exit levels");
        assert_eq!(share_of_levels(&[0, 1], 2), "all 2 exit levels");
        assert_eq!(share_of_levels(&[1], 2), "1 of the 2 exit levels (level 1)");
    }
}
