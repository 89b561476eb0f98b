//! Numbers as people read them.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_of_three_digits() {
        assert_eq!([0, 999, 1_000, 11_010_048].map(thousands), ["0", "999", "1,000", "11,010,048"]);
    }
}
