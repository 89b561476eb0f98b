//! A further section of the page.

use crate::figures::figure::Figure;
use crate::shown::Shown;
use crate::table::Table;

/// A section of the page: what the numbers say, then figures, then tables.
#[derive(Debug)]
pub struct Section {
    /// Its anchor.
    pub id: &'static str,
    pub title: &'static str,
    pub paragraphs: Vec<Shown<String>>,
    pub figures: Vec<Shown<Figure>>,
    pub tables: Vec<Shown<Table>>,
    /// Whether the first table is not folded.
    pub open: bool,
}
