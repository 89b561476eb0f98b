//! A further section of the page, and its tables.

use serde::Serialize;

use crate::figures::figure::Figure;

/// A section of the page.
#[derive(Debug)]
pub struct Section {
    /// Its anchor.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What the numbers say.
    pub paragraphs: Vec<String>,
    /// Its figures.
    pub figures: Vec<Figure>,
    /// Its tables.
    pub tables: Vec<Table>,
}

/// A table; the first cell of a row is its heading.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// What it shows.
    pub caption: String,
    /// The headings of its columns.
    pub head: Vec<&'static str>,
    /// Its rows.
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
            head: columns.iter().map(|(heading, _)| *heading).collect(),
            rows: rows.into_iter().map(cells).collect(),
            folded: false,
        }
    }

    /// The same table, folded away at first if `folded`.
    #[must_use]
    pub fn folded(self, folded: bool) -> Self {
        Self { folded, ..self }
    }
}
