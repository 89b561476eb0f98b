//! What a model's name stands for: a built-in model, a path, or a repository on the hub.

use std::path::PathBuf;

use onejump_core::cache::{BUILTIN_MODELS, BuiltinModel};
use onejump_core::observe::Observer;

use super::hub;
use crate::ModelError;

/// The directory or file of a model; what lies on the hub alone is downloaded.
pub(super) fn locate(model: &str, observer: &dyn Observer) -> Result<PathBuf, ModelError> {
    if let Some(builtin) = BuiltinModel::by_name(model) {
        let path = builtin.path();
        return if path.is_file() {
            Ok(path)
        } else {
            Err(ModelError::Usage(format!(
                "the built-in model '{model}' is not there yet ({}); run: cargo xtask setup",
                path.display()
            )))
        };
    }
    let path = PathBuf::from(model);
    if path.is_dir() || path.is_file() && path.extension().is_some_and(|ending| ending == "gguf") {
        return Ok(path);
    }
    if path.is_file() {
        return Err(ModelError::checkpoint(
            &path,
            "is neither a directory nor a .gguf file; give the directory that holds config.json",
        ));
    }
    if let Some(id) = hub::Id::parse(model) {
        return hub::directory(&id, observer);
    }
    let names: Vec<_> = BUILTIN_MODELS.iter().map(|model| model.name).collect();
    Err(ModelError::Usage(format!(
        "there is no model '{model}': no such directory or .gguf file, no hub id (owner/name), and the built-in \
         models are {}",
        names.join(", ")
    )))
}
