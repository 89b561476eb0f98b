//! Which column of a table holds the texts, and what to do where none does.

use super::chat::CHAT_COLUMNS;

/// The column that texts are read from where none is named: most data sets call it so.
pub const DEFAULT_COLUMN: &str = "text";

/// The column that is read of those that there are: the one that is asked for, or conversations where that is the default
/// and is not there. None where there is neither.
pub(super) fn chosen<'a>(column: &str, there: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let named = |name: &str| there.clone().find(|other| *other == name);
    named(column).or_else(|| CHAT_COLUMNS.into_iter().filter(|_| column == DEFAULT_COLUMN).find_map(named))
}

/// Why a file has no texts in a column, where it has others.
pub(super) fn no_column(column: &str, others: &[&str]) -> String {
    if others.is_empty() {
        return format!("has no column '{column}', nor any other");
    }
    format!("has no column '{column}'; give one of its columns with --column: {}", others.join(", "))
}
