//! Makes sure that one strange article does not end the run.

use onejump_core::guard;

/// Deeper nesting than this is vandalism or damage, and could overflow the stack.
const MAX_NESTING: usize = 200;

/// Each bracket that is never closed doubles the parser's work: 200 bytes with 60 of them took 2 GB.
const MAX_UNCLOSED: usize = 12;

/// Formulas, programs and comments: the parser does not look for brackets inside them, though they may contain some.
const OPAQUE: [(&str, &str); 6] = [
    ("<!--", "-->"),
    ("<math", "</math>"),
    ("<nowiki", "</nowiki>"),
    ("<pre", "</pre>"),
    ("<source", "</source>"),
    ("<syntaxhighlight", "</syntaxhighlight>"),
];

/// Why an article was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MarkupError {
    /// Templates, links, tables or lists nested beyond reason.
    #[error("its markup is nested too deeply")]
    TooDeep,
    /// Too many brackets are never closed.
    #[error("its markup opens many brackets that it never closes")]
    Unclosed,
    /// The parser did not finish in time.
    #[error("its markup took too long to parse")]
    TimedOut,
    /// The parser panicked.
    #[error("its markup broke the parser")]
    Panicked,
}

/// Refuses markup whose tree could overflow the stack, or on which the parser would not finish.
pub(super) fn check_nesting(wikitext: &str) -> Result<(), MarkupError> {
    let bytes = wikitext.as_bytes();
    // Templates, links, tables.
    let (mut open, mut list) = ([0_usize; 3], 0_usize);
    let mut index = 0;
    while index < bytes.len() {
        list = if matches!(bytes[index], b'*' | b'#' | b':' | b';') { list + 1 } else { 0 };
        let braces = || bytes[index + 1..].iter().take_while(|&&byte| byte == b'}').count();
        let step = match bytes.get(index..index + 2) {
            Some(b"{{") => change(&mut open[0], 1),
            Some(b"}}") => change(&mut open[0], -1),
            Some(b"[[") => change(&mut open[1], 1),
            Some(b"]]") => change(&mut open[1], -1),
            Some(b"{|") => change(&mut open[2], 1),
            // "|}}" is the end of a template.
            Some(b"|}") if braces() % 2 == 1 => change(&mut open[2], -1),
            Some([b'<', _]) => opaque(&bytes[index..]),
            _ => 1,
        };
        if open.iter().sum::<usize>() > MAX_NESTING || list > MAX_NESTING {
            return Err(MarkupError::TooDeep);
        }
        index += step;
    }
    if open.iter().sum::<usize>() > MAX_UNCLOSED {
        return Err(MarkupError::Unclosed);
    }
    Ok(())
}

/// Counts a bracket, and returns how many bytes it has.
fn change(open: &mut usize, by: isize) -> usize {
    *open = open.saturating_add_signed(by);
    2
}

/// The length of the formula, program or comment that begins here; 1 if none does.
fn opaque(bytes: &[u8]) -> usize {
    let Some((start, end)) = OPAQUE.iter().find(|(start, _)| bytes.starts_with(start.as_bytes())) else {
        return 1;
    };
    // The parser does not take `<math{{` for a formula, and does look inside.
    let mut inside = bytes[start.len()..].iter().take_while(|&&byte| byte != b'>');
    let is_tag = bytes.get(start.len()).is_some_and(|byte| b"> \t\n".contains(byte));
    if *end != "-->" && !(is_tag && inside.all(|byte| !b"{[<".contains(byte))) {
        return 1;
    }
    let place = bytes.windows(end.len()).position(|window| window == end.as_bytes());
    place.map_or(1, |place| place + end.len())
}

/// Runs a parse; a panic in it becomes an error.
pub(super) fn catch<T>(parse: impl FnOnce() -> Result<T, MarkupError>) -> Result<T, MarkupError> {
    guard::catch(parse).unwrap_or(Err(MarkupError::Panicked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_are_counted_where_the_parser_sees_them() {
        let open = |text: &str| check_nesting(&text.repeat(MAX_UNCLOSED + 1)).is_err();
        for unclosed in ["{{a ", "[[b ", "{|\n", "<math{{></math>", "<math a={{></math>"] {
            assert!(open(unclosed), "{unclosed}");
        }
        for balanced in [
            "{{a|b=|}}",
            "{|\n|}",
            "{{{c|}}}",
            "[[a|b]]",
            "<math>{{a} \\over b}</math>",
            "<!-- {{ -->",
            "{{a|{|\n|}}}",
        ] {
            assert!(!open(balanced), "{balanced}");
        }
    }

    #[test]
    fn a_panic_is_an_error() {
        assert_eq!(catch::<()>(|| panic!("odd input")), Err(MarkupError::Panicked));
        assert_eq!(catch(|| Ok(1)), Ok(1));
    }
}
