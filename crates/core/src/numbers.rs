//! Numbers as people read them, and the largest of some.

/// "57,600".
pub fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The place of the largest value, the first among equals; none without values.
pub fn largest(values: &[f64]) -> Option<usize> {
    (0..values.len()).reduce(|best, place| if values[place] > values[best] { place } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equals_is_the_largest() {
        assert_eq!(largest(&[0.5, 2.0, 2.0, -1.0]), Some(1));
        assert_eq!(largest(&[]), None);
    }

    #[test]
    fn groups_are_of_three_digits() {
        assert_eq!([0, 999, 1_000, 11_010_048].map(thousands), ["0", "999", "1,000", "11,010,048"]);
    }
}
