//! Keeps one strange article from ending the run.

use onejump_core::guard;

/// Deeper nesting than this is vandalism or damage, and would cost stack.
const MAX_NESTING: usize = 200;

/// Why an article was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MarkupError {
    /// Templates, links, tables or lists nested beyond reason.
    #[error("its markup is nested too deeply")]
    TooDeep,
    /// The parser found no end.
    #[error("its markup took too long to parse")]
    TimedOut,
    /// The parser panicked.
    #[error("its markup broke the parser")]
    Panicked,
}

/// Refuses markup whose tree could overflow the stack.
pub(super) fn check_nesting(wikitext: &str) -> Result<(), MarkupError> {
    let bytes = wikitext.as_bytes();
    let (mut depth, mut list) = (0_usize, 0_usize);
    let mut index = 0;
    while index < bytes.len() {
        list = if matches!(bytes[index], b'*' | b'#' | b':' | b';') { list + 1 } else { 0 };
        let step = match bytes.get(index..index + 2) {
            Some(b"{{" | b"[[" | b"{|") => {
                depth += 1;
                2
            }
            Some(b"}}" | b"]]" | b"|}") => {
                depth = depth.saturating_sub(1);
                2
            }
            _ => 1,
        };
        if depth > MAX_NESTING || list > MAX_NESTING {
            return Err(MarkupError::TooDeep);
        }
        index += step;
    }
    Ok(())
}

/// Runs a parse; a panic in it becomes an error, and is not reported on stderr.
pub(super) fn catch<T>(parse: impl FnOnce() -> Result<T, MarkupError>) -> Result<T, MarkupError> {
    guard::catch(parse).unwrap_or(Err(MarkupError::Panicked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        assert_eq!(catch::<()>(|| panic!("odd input")), Err(MarkupError::Panicked));
        assert_eq!(catch(|| Ok(1)), Ok(1));
    }
}
