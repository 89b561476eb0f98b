//! Text as the languages of `tables.md` and `tables.tex` take it.

/// What would end a cell or begin markup is text.
pub fn markdown(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        if matches!(character, '|' | '*' | '_' | '<' | '`' | '\\' | '[' | '#') {
            escaped.push('\\');
        }
        escaped.push(if character.is_control() { ' ' } else { character });
    }
    escaped
}

/// What TeX would take for a command is text, and what it has no sign for is a command.
pub fn latex(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => escaped.extend(['\\', character]),
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '<' => escaped.push_str("$<$"),
            '>' => escaped.push_str("$>$"),
            '↑' => escaped.push_str("$\\uparrow$"),
            '↓' => escaped.push_str("$\\downarrow$"),
            '−' => escaped.push_str("$-$"),
            '…' => escaped.push_str("\\ldots{}"),
            '–' => escaped.push_str("--"),
            '§' => escaped.push_str("\\S{}"),
            '’' => escaped.push('\''),
            other => escaped.push(if other.is_control() { ' ' } else { other }),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_read_is_escaped() {
        assert_eq!(markdown("a|b_c\n"), "a\\|b\\_c ");
        assert_eq!(latex("a_b 21.3% ↑ §5"), "a\\_b 21.3\\% $\\uparrow$ \\S{}5");
    }
}
