//! A further section of the page, and its tables.

use serde::Serialize;

use crate::figures::figure::Figure;

/// A section of the page: what the numbers say, then figures, then tables.
#[derive(Debug, Serialize)]
pub struct Section {
    /// Its anchor.
    pub id: &'static str,
    pub title: &'static str,
    pub paragraphs: Vec<String>,
    pub figures: Vec<Figure>,
    pub tables: Vec<Table>,
}

/// A table; the first cell of a row is its heading.
#[derive(Debug, Serialize)]
pub struct Table {
    pub caption: String,
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// Whether it is folded away at first.
    pub folded: bool,
}

/// A column: its heading, and its cell of a row.
pub type Column<'a, R> = (&'static str, &'a dyn Fn(&R) -> String);

impl Table {
    /// A table with a line for each row.
    pub fn new<R>(
        caption: impl Into<String>,
        rows: impl IntoIterator<Item = R>,
        columns: &[Column<R>],
    ) -> Self {
        let cells = |row: R| columns.iter().map(|(_, cell)| cell(&row)).collect();
        Self {
            caption: caption.into(),
            head: columns.iter().map(|(heading, _)| (*heading).to_owned()).collect(),
            rows: rows.into_iter().map(cells).collect(),
            folded: false,
        }
    }
}
