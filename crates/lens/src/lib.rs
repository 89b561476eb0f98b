//! A text's way through the levels of a model: what each level would answer at each position, how surely, and from which
//! level on the answer stays.
//!
//! | task | where |
//! |---|---|
//! | look at a text | [`look`] with a [`Config`] |
//! | what a level says at a position | [`Cell`] |
//! | from which level an answer stays, where a threshold would let it go | [`Lens::ways`], [`Lens::overview`] |
//! | write it as a page, a figure, a table, or for a terminal | [`write`](write()), [`Format`]; `formats/` |
//! | tokens as people read them | [`Words`] |
//! | what a table's columns are | [`onejump_store::lens`] |
//!
//! ```no_run
//! use onejump_core::observe::Silent;
//! use onejump_lens::{Config, Format, Input, look, write};
//!
//! let mut config = Config::new("smollm2-135m", Input::Text("The capital of France is".into()));
//! config.shortcuts = vec!["ojfa.safetensors".into()];
//! let lens = look(&config, &Silent)?;
//! for (column, way) in lens.columns.iter().zip(lens.ways(&lens.methods[1])) {
//!     println!("{} {} from level {}", column.position, lens.words.shown(column.answer), way.stays_from);
//! }
//! write(&lens, Format::Html, "lens.html".as_ref())?;
//! # Ok::<(), onejump_lens::LensError>(())
//! ```
//!
//! Level K, the model itself, is always among the levels; the state as it is, the *logit lens*, among the methods. The model
//! runs once over the text. This crate trains nothing, and knows nothing of stored states or of the other stages.

mod cells;
mod config;
mod error;
mod formats;
mod lens;
mod methods;
mod reading;
#[cfg(test)]
mod sample;
mod scale;
mod text;
mod words;

pub use cells::{BEST, Cell, Likely};
pub use config::{
    Config, DEFAULT_THRESHOLD, Format, Input, MOST_HTML_CELLS, MOST_SVG_CELLS, MOST_TEXT_CELLS, Metric,
};
pub use error::LensError;
pub use formats::text::{Paint, grid};
pub use formats::{rendered, write};
pub use lens::{Column, Lens, Method, look};
pub use reading::{Overview, Way};
pub use words::Words;
