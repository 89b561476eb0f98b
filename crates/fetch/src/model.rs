//! What a model's name stands for: a built-in model, a path, or a repository on the hub.

use std::fs;
use std::path::{Path, PathBuf};

use onejump_core::observe::Observer;
use onejump_core::sniff::{self, Odd};

use crate::builtin::{BUILTIN_MODELS, BuiltinModel};
use crate::hub::Id;
use crate::{FetchError, checkpoint};

/// The directory or GGUF file of a model. What does not lie on this machine is downloaded, and `observer` sees how
/// far it is.
///
/// # Errors
/// [`FetchError`] if the name stands for nothing, or what it stands for cannot be had.
pub fn model(name: &str, observer: &dyn Observer) -> Result<PathBuf, FetchError> {
    if let Some(builtin) = BuiltinModel::by_name(name) {
        let path = builtin.path();
        // A copy of the cache has other times than its stamp says, and is as good.
        return if path.is_file() { Ok(path) } else { builtin.fetch(observer) };
    }
    let path = PathBuf::from(name);
    if path.is_dir() {
        return match gguf_inside(&path) {
            Some(file) if !path.join(checkpoint::CONFIG).is_file() => {
                Err(FetchError::FolderOfGguf { path, file })
            }
            _ => Ok(path),
        };
    }
    if path.is_file() {
        // The content decides, not the name: Ollama's files have no ending.
        return match sniff::refusal(&path) {
            _ if sniff::file(&path) == Some(Odd::Gguf) => Ok(path),
            Some(refusal) => Err(refusal.into()),
            None => Err(FetchError::NotACheckpoint { path }),
        };
    }
    match Id::parse(name) {
        Some(id) => checkpoint::from_hub(&id, observer),
        None => {
            let known = BUILTIN_MODELS.iter().map(|model| model.name).collect();
            Err(FetchError::UnknownModel { name: name.to_owned(), known })
        }
    }
}

/// The first GGUF file of a folder, by name.
fn gguf_inside(folder: &Path) -> Option<String> {
    let names = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.file_name().display().to_string());
    names.filter(|name| name.to_lowercase().ends_with(".gguf")).min()
}
