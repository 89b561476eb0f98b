//! Writes equal texts in one way: in Unicode's NFC, with single spaces and without invisible characters.

use unicode_normalization::UnicodeNormalization;

/// Normalises a paragraph.
pub(crate) fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    let mut space = false;
    for character in text.nfc() {
        if character.is_whitespace() {
            space = true;
        } else if !is_invisible(character) {
            if space && !tidy.is_empty() {
                tidy.push(' ');
            }
            space = false;
            tidy.push(character);
        }
    }
    tidy
}

/// Soft hyphens, joiners, direction marks, byte order marks.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::tidy;

    #[test]
    fn spaces_are_single_and_accents_composed() {
        assert_eq!(tidy("  Cafe\u{301}\u{A0}\n is\t\u{200B} open\u{AD}ed. "), "Café is opened.");
    }
}
