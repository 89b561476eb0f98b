//! What the page's switches show and hide.

use serde::Serialize;

use crate::setting::{SampleSet, Setting};

/// A part of the page, and which switches show it.
#[derive(Debug, Serialize)]
pub struct Shown<T> {
    /// The settings that it belongs to, between spaces; none for all.
    settings: Option<String>,
    /// The samples that it is over; none for both.
    samples: Option<&'static str>,
    pub what: T,
}

impl<T> Shown<T> {
    /// What no switch hides.
    pub fn always(what: T) -> Self {
        Self { settings: None, samples: None, what }
    }

    /// What belongs to one setting.
    pub fn of(setting: &Setting, what: T) -> Self {
        Self { settings: Some(setting.id()), ..Self::always(what) }
    }

    /// What belongs to some settings.
    pub fn of_all<'a>(settings: impl IntoIterator<Item = &'a Setting<'a>>, what: T) -> Self {
        let ids: Vec<String> = settings.into_iter().map(Setting::id).collect();
        Self { settings: Some(ids.join(" ")), ..Self::always(what) }
    }

    /// The same for these samples alone.
    pub fn over(self, samples: SampleSet) -> Self {
        Self { samples: Some(samples.id()), ..self }
    }

    /// Something else that the same switches show.
    pub fn map<U>(&self, part: impl FnOnce(&T) -> U) -> Shown<U> {
        Shown { settings: self.settings.clone(), samples: self.samples, what: part(&self.what) }
    }
}
