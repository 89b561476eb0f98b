//! Which files make a Hugging Face checkpoint, on disk and on the hub.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use onejump_core::files;
use onejump_core::observe::Observer;
use serde::Deserialize;

use crate::FetchError;
use crate::hub::{self, Id, Repository};

/// The configuration.
pub const CONFIG: &str = "config.json";
/// The tokenizer.
pub const TOKENIZER: &str = "tokenizer.json";
/// What transformers does beside it, where a directory says so.
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// How texts are generated, among it the tokens that end one.
pub const GENERATION: &str = "generation_config.json";
/// The form of conversations, where it is a file of its own.
pub const CHAT_TEMPLATE: &str = "chat_template.jinja";
/// The weights, where they are one file.
pub const WEIGHTS: &str = "model.safetensors";
/// The list of the weights' files, where they are several.
pub const INDEX: &str = "model.safetensors.index.json";
/// The beginning of the names of weights in a format that can run code, in one file or in several: it is never read.
const PICKLE: &str = "pytorch_model";

/// `model.safetensors.index.json`.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The names of the files that hold a directory's weights, each once.
///
/// # Errors
/// [`FetchError`] if the directory has no safetensors, or an index that is not understood.
pub fn weight_files(folder: &Path) -> Result<Vec<String>, FetchError> {
    if folder.join(WEIGHTS).is_file() {
        return Ok(vec![WEIGHTS.to_owned()]);
    }
    let index = folder.join(INDEX);
    if !index.is_file() {
        let path = folder.to_owned();
        return Err(if has_pickle(folder) {
            FetchError::OnlyPickle { path }
        } else {
            FetchError::NoWeights { path }
        });
    }
    let map: Index = files::read_json(&index)?;
    let mut files: Vec<String> = map.weight_map.into_values().collect();
    files.sort();
    files.dedup();
    // A file name alone: an index cannot reach outside its folder.
    let outside = |file: &String| Path::new(file).file_name() != Some(file.as_str().as_ref());
    match files.iter().find(|file| outside(file)) {
        Some(file) => Err(FetchError::OutsideFolder { index, file: file.clone() }),
        None => Ok(files),
    }
}

/// The directory of a model on the hub: from the hub's cache, else downloaded into it.
///
/// # Errors
/// [`FetchError`] if it is neither in the cache nor to be had from the hub.
pub(crate) fn from_hub(id: &Id, observer: &dyn Observer) -> Result<PathBuf, FetchError> {
    let folder = hub::snapshot(id);
    if is_whole(&folder) {
        return Ok(folder);
    }
    download(&Repository::connect(id)?, observer)?;
    // What came is checked like what lay there: a repository without safetensors gets its own message.
    let folder = hub::snapshot(id);
    if is_whole(&folder) {
        return Ok(folder);
    }
    Err(FetchError::NoSafetensors { repository: id.repository.clone(), cache: hub::cache_folder() })
}

/// Whether a directory holds weights in the format that is never read.
fn has_pickle(folder: &Path) -> bool {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names
        .map(|name| name.display().to_string())
        .any(|name| name.starts_with(PICKLE) && name.ends_with(".bin"))
}

/// Whether the configuration and all of the weights are there. A pickle alone counts: whoever opens the directory is told
/// what to do with it.
fn is_whole(folder: &Path) -> bool {
    folder.join(CONFIG).is_file()
        && match weight_files(folder) {
            Ok(files) => files.iter().all(|file| folder.join(file).is_file()),
            Err(_) => has_pickle(folder),
        }
}

/// The weights come last: what else is missing shows at once.
fn download(repository: &Repository, observer: &dyn Observer) -> Result<(), FetchError> {
    let small = [CONFIG, TOKENIZER, TOKENIZER_CONFIG, GENERATION, CHAT_TEMPLATE];
    for name in small.into_iter().filter(|name| repository.has(name)) {
        repository.fetch(name, observer)?;
    }
    if repository.has(WEIGHTS) {
        repository.fetch(WEIGHTS, observer)?;
    } else if repository.has(INDEX) {
        let index = repository.fetch(INDEX, observer)?;
        for shard in index.parent().and_then(|folder| weight_files(folder).ok()).unwrap_or_default() {
            repository.fetch(&shard, observer)?;
        }
    }
    Ok(())
}
