//! From what was given to the tokens of a text.

use std::path::Path;

use onejump_core::files::FileError;
use onejump_core::sniff::{self, Odd};
use onejump_models::ModelError;
use onejump_models::checkpoint::Checkpoint;
use onejump_models::transformer::Outline;

use crate::LensError;
use crate::config::{Config, Input};
use crate::words::Words;

/// A text in tokens, and what they mean.
pub(crate) struct Text {
    pub tokens: Vec<i64>,
    pub words: Words,
}

impl Text {
    /// Reads and tokenises the text of a configuration.
    pub fn read(config: &Config, checkpoint: &Checkpoint, outline: &Outline) -> Result<Self, LensError> {
        let text = match &config.input {
            // Ids need no tokenizer: without one, they are shown as they are.
            Input::Ids(ids) => {
                let tokenizer = match checkpoint.tokenizer() {
                    Err(ModelError::NoTokenizer { .. }) => None,
                    tokenizer => Some(tokenizer?),
                };
                return checked(ids.clone(), Words::new(tokenizer), outline);
            }
            Input::Text(text) => text.clone(),
            Input::File(path) => read(path)?,
        };
        if text.trim().is_empty() {
            return Err(LensError::Empty);
        }
        let tokenizer = checkpoint.tokenizer()?;
        let encoding = tokenizer.encode(text, true).map_err(|error| LensError::Tokenizer {
            path: checkpoint.path().to_owned(),
            reason: error.to_string(),
        })?;
        checked(config.bos.tokens(&encoding, checkpoint.bos_id())?, Words::new(Some(tokenizer)), outline)
    }
}

fn checked(tokens: Vec<i64>, words: Words, outline: &Outline) -> Result<Text, LensError> {
    match tokens.len() {
        0 => Err(LensError::Empty),
        found if found > outline.context => {
            Err(LensError::Context { tokens: found, context: outline.context })
        }
        _ => Ok(Text { tokens, words }),
    }
}

/// A file of UTF-8 text, without its byte order mark and the line's end behind it.
fn read(path: &Path) -> Result<String, LensError> {
    let bytes = std::fs::read(path).map_err(FileError::reading(path))?;
    let refused = |reason: String| LensError::NoText { path: path.to_owned(), reason };
    match (std::str::from_utf8(sniff::unmarked(&bytes)), sniff::kind(&bytes)) {
        // These would pass as UTF-8. What else has a known beginning may be a text that begins so.
        (_, Some(odd @ (Odd::Utf16 | Odd::Utf32 | Odd::LfsPointer))) => Err(refused(odd.to_string())),
        (Ok(text), _) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
        (Err(_), Some(odd)) => Err(refused(odd.to_string())),
        (Err(error), None) => {
            let line = bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
            Err(refused(format!("line {line} is not UTF-8 text; save the file as UTF-8")))
        }
    }
}
