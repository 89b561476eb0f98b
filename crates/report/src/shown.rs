//! What the page's switches show and hide, and a section of it.

use serde::Serialize;

use crate::figures::figure::Figure;
use crate::setting::{SampleSet, Setting};
use crate::table::Table;

/// A part of the page, and which switches show it.
#[derive(Debug, Serialize)]
pub struct Shown<T> {
    /// The settings that it belongs to, between spaces; none for all.
    settings: Option<String>,
    /// The samples that it is over; none for both.
    samples: Option<SampleSet>,
    pub what: T,
}

impl<T> Shown<T> {
    /// What no switch hides.
    pub fn always(what: T) -> Self {
        Self { settings: None, samples: None, what }
    }

    /// What belongs to some settings.
    pub fn of<'a>(settings: impl IntoIterator<Item = &'a Setting<'a>>, what: T) -> Self {
        let ids: Vec<String> = settings.into_iter().map(Setting::id).collect();
        Self { settings: Some(ids.join(" ")), ..Self::always(what) }
    }

    /// The same for these samples alone.
    pub fn over(self, samples: SampleSet) -> Self {
        Self { samples: Some(samples), ..self }
    }
}

/// A section of the page: what the numbers say, then figures, then tables.
#[derive(Debug, Serialize)]
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
