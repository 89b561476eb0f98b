//! Values with their intervals.

use onejump_store::analyses::{Difference, FileAverage, Jump, OfClass, Subset};

use crate::words::{number, percent};

/// A value and the ends of its 95% interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

impl Interval {
    pub const fn new(value: f64, low: f64, high: f64) -> Self {
        Self { value, low, high }
    }

    /// "20.6% (19.8 to 21.4)".
    pub fn percent(self) -> String {
        self.text(percent(self.value), |end| number(100.0 * end, 1, ""))
    }

    /// "5.44 (5.36 to 5.52)".
    pub fn plain(self) -> String {
        self.text(number(self.value, 2, ""), |end| number(end, 2, ""))
    }

    fn text(self, value: String, end: fn(f64) -> String) -> String {
        format!("{value} ({} to {})", end(self.low), end(self.high))
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
    fn precision(&self) -> Interval;
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

/// The differences of a class.
impl Measured for OfClass {
    fn precision(&self) -> Interval {
        let Self { precision_1_difference: value, .. } = *self;
        Interval::new(value, self.precision_1_difference_low, self.precision_1_difference_high)
    }

    fn surprisal(&self) -> Interval {
        let Self { surprisal_difference: value, .. } = *self;
        Interval::new(value, self.surprisal_difference_low, self.surprisal_difference_high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_read_well() {
        assert_eq!(Interval::new(0.206, 0.198, 0.2141).percent(), "20.6% (19.8 to 21.4)");
        assert_eq!(Interval::new(-0.5, -0.7, 0.1).plain(), "−0.50 (−0.70 to 0.10)");
    }
}
