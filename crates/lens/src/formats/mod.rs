//! A lens as people and programs take it: one file per format.

mod html;
mod json;
mod svg;
mod table;
pub mod text;

use std::path::Path;

use onejump_core::files;

use crate::LensError;
use crate::config::Format;
use crate::lens::Lens;

/// Writes a lens to a file, atomically.
///
/// # Errors
/// [`LensError`] if it cannot be written.
pub fn write(lens: &Lens, format: Format, path: &Path) -> Result<(), LensError> {
    match format {
        Format::Parquet => table::write(lens, path),
        _ => Ok(files::write_bytes(path, rendered(lens, format)?.as_bytes())?),
    }
}

/// A lens as text, with a line's end behind it: every format but [`Format::Parquet`].
///
/// # Errors
/// [`LensError::NoOut`] for a table, which is not text.
pub fn rendered(lens: &Lens, format: Format) -> Result<String, LensError> {
    match format {
        Format::Html => html::page(lens),
        Format::Svg => Ok(svg::figure(lens)),
        Format::Json => json::json(lens),
        Format::Text => Ok(text::grid(lens, &text::Paint::default())),
        Format::Parquet => Err(LensError::NoOut),
    }
}
