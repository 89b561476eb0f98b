//! A table, once for the page and for the files that a paper's author takes.

use serde::Serialize;

/// A table; the first cell of a row is its heading.
#[derive(Debug, Clone, Serialize)]
pub struct Table {
    pub caption: String,
    pub head: Vec<String>,
    pub groups: Vec<Group>,
}

/// Rows that may have a name in common.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    pub name: Option<String>,
    pub rows: Vec<Vec<Cell>>,
}

/// What stands in a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    pub text: String,
    pub look: Look,
    /// What `text` says without words, in words.
    pub words: Option<&'static str>,
}

/// How a cell stands out; the names are classes of the style sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Look {
    Plain,
    /// The one that was chosen.
    Chosen,
    Holds,
    Part,
    Fails,
}

impl Cell {
    pub fn new(text: impl Into<String>, look: Look) -> Self {
        Self { text: text.into(), look, words: None }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Look::Plain)
    }
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
        let cells = |row: R| columns.iter().map(|(_, cell)| cell(&row).into()).collect();
        Self::of_rows(
            caption,
            columns.iter().map(|(heading, _)| (*heading).to_owned()).collect(),
            rows.into_iter().map(cells).collect(),
        )
    }

    /// A table without names of groups.
    pub fn of_rows(caption: impl Into<String>, head: Vec<String>, rows: Vec<Vec<Cell>>) -> Self {
        Self { caption: caption.into(), head, groups: vec![Group { name: None, rows }] }
    }

    /// All rows, whatever their group.
    #[cfg(test)]
    pub fn rows(&self) -> impl Iterator<Item = &Vec<Cell>> {
        self.groups.iter().flat_map(|group| &group.rows)
    }
}
