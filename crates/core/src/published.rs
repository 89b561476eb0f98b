//! `config.json` of a folder of published shortcuts: what lies in it, and which file is meant where none is named.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files::{self, FileError};
use crate::shortcut::{ShortcutKind, Solver};

/// The file's name, on disk and on the hub.
pub const CONFIG: &str = "config.json";

/// The library that loads the folder, as the hub calls it.
pub const LIBRARY: &str = "onejump";

/// The ending of a file of shortcuts.
pub const ENDING: &str = ".safetensors";

/// `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// [`LIBRARY`].
    pub library_name: String,
    /// The version of Onejump that published it.
    pub onejump: String,
    /// The file that is meant where none is named.
    pub default: String,
    /// What the default file holds.
    pub kind: ShortcutKind,
    /// The model, as it was named when its states were captured.
    pub model: String,
    /// The model's id on the hub, if it is known.
    pub base_model: Option<String>,
    /// SHA-256 of the checkpoint that the states come from.
    pub model_sha256: String,
    /// `model_type` of the model's configuration.
    pub architecture: String,
    /// H.
    pub hidden_size: usize,
    /// K: the exit levels are 0 to K - 1.
    pub blocks: usize,
    /// The files of shortcuts.
    pub files: Vec<PublishedFile>,
}

/// A published file of shortcuts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublishedFile {
    /// Its name in the folder.
    pub file: String,
    /// What it holds.
    pub kind: ShortcutKind,
    /// How that was found.
    pub solver: Solver,
    /// r; none for a full map.
    pub rank: Option<usize>,
    /// Of a chosen jump: the level that it was trained at.
    pub jump: Option<usize>,
    /// Parameters kept for all exit levels.
    pub parameters: u64,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// What a `config.json` is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigOf {
    /// Published shortcuts.
    Shortcuts {
        /// The file that is meant where none is named.
        default: String,
    },
    /// A model of transformers.
    Model,
    /// Neither.
    Other,
}

impl ConfigOf {
    /// Reads only what tells one from the other, so that a newer version's shortcuts are found too.
    ///
    /// # Errors
    /// [`FileError`] if the file cannot be read, or is no JSON object.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        #[derive(Deserialize)]
        struct Keys {
            library_name: Option<String>,
            default: Option<String>,
            model_type: Option<String>,
        }
        let keys: Keys = files::read_json(path)?;
        let ours = keys.library_name.as_deref() == Some(LIBRARY);
        Ok(match (keys.default.filter(|_| ours), keys.model_type) {
            (Some(default), _) => Self::Shortcuts { default },
            (None, Some(_)) => Self::Model,
            (None, None) => Self::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_told_from_models() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(CONFIG);
        let published = Published {
            library_name: LIBRARY.into(),
            onejump: "0.1.0".into(),
            default: "ojfa-r5.safetensors".into(),
            kind: ShortcutKind::Ojfa,
            model: "tiny".into(),
            base_model: None,
            model_sha256: "m".into(),
            architecture: "llama".into(),
            hidden_size: 4,
            blocks: 3,
            files: Vec::new(),
        };
        files::write_json(&path, &published).unwrap();
        assert_eq!(files::read_json::<Published>(&path).unwrap(), published);
        let of = |text: Option<&str>| {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            ConfigOf::read(&path)
        };
        assert_eq!(of(None).unwrap(), ConfigOf::Shortcuts { default: "ojfa-r5.safetensors".into() });
        assert_eq!(of(Some(r#"{"model_type": "gpt2", "default": "x"}"#)).unwrap(), ConfigOf::Model);
        assert_eq!(of(Some(r#"{"library_name": "other", "default": "x"}"#)).unwrap(), ConfigOf::Other);
        assert!(of(Some("[")).is_err());
    }
}
