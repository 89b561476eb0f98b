//! Values with their intervals.

use onejump_store::analyses::{Difference, FileAverage, Jump, Subset};

use crate::words::{number, percent};

/// A value and the ends of its 95% interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The value.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// A value between two ends.
    pub const fn new(value: f64, low: f64, high: f64) -> Self {
        Self { value, low, high }
    }

    /// "20.6% (19.8 to 21.4)".
    pub fn percent(self) -> String {
        let end = |value: f64| number(100.0 * value, 1, "");
        format!("{} ({} to {})", percent(self.value), end(self.low), end(self.high))
    }

    /// "5.44 (5.36 to 5.52)".
    pub fn plain(self) -> String {
        let text = |value: f64| number(value, 2, "");
        format!("{} ({} to {})", text(self.value), text(self.low), text(self.high))
    }

    /// Whether the value is certainly above 0, or certainly below; none if it is neither.
    pub fn certain_sign(self) -> Option<bool> {
        match (self.low > 0.0, self.high < 0.0) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }
}

/// A row with the paper's two measures.
pub trait Measured {
    /// Precision@1.
    fn precision(&self) -> Interval;
    /// Surprisal.
    fn surprisal(&self) -> Interval;
}

macro_rules! measured {
    ($($row:ty),+) => {
        $(impl Measured for $row {
            fn precision(&self) -> Interval {
                Interval::new(self.precision_1, self.precision_1_low, self.precision_1_high)
            }

            fn surprisal(&self) -> Interval {
                Interval::new(self.surprisal, self.surprisal_low, self.surprisal_high)
            }
        })+
    };
}

measured!(FileAverage, Difference, Subset, Jump);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_read_well() {
        assert_eq!(Interval::new(0.206, 0.198, 0.2141).percent(), "20.6% (19.8 to 21.4)");
        assert_eq!(Interval::new(-0.5, -0.7, 0.1).plain(), "−0.50 (−0.70 to 0.10)");
    }
}
