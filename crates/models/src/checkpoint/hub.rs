//! Models of the Hugging Face hub, by id: from the cache that all of its clients share, else downloaded
//! into it.
//!
//! The environment variables are those of its other clients: `HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN`,
//! `HF_ENDPOINT`, `HF_HUB_OFFLINE`.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use hf_hub::api::sync::{ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};
use onejump_core::observe::{BYTES, Meter, Observer, Task};

use super::directory::{CONFIG, INDEX, PICKLE, TOKENIZER, WEIGHTS, shard_files};
use crate::ModelError;

/// The revision of an id that names none.
const DEFAULT_REVISION: &str = "main";

/// How often an interrupted download of a file goes on where it stopped.
const RETRIES: usize = 5;

/// `owner/name`, or `owner/name@revision`.
#[derive(Debug, PartialEq)]
pub(super) struct Id {
    repository: String,
    revision: String,
}

impl Id {
    /// The id that a text can be: two plain names with a slash between them.
    pub fn parse(text: &str) -> Option<Self> {
        let (repository, revision) = text.split_once('@').unwrap_or((text, DEFAULT_REVISION));
        let (owner, name) = repository.split_once('/')?;
        let plain = |name: &str| {
            let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !name.is_empty() && !name.starts_with('.') && name.chars().all(known)
        };
        let ours = plain(owner) && plain(name) && plain(revision);
        ours.then(|| Self { repository: repository.to_owned(), revision: revision.to_owned() })
    }

    fn repo(&self) -> Repo {
        Repo::with_revision(self.repository.clone(), RepoType::Model, self.revision.clone())
    }
}

/// The directory of a model's snapshot.
///
/// # Errors
/// [`ModelError::Usage`] if it is neither in the cache nor to be had from the hub.
pub(super) fn directory(id: &Id, observer: &dyn Observer) -> Result<PathBuf, ModelError> {
    let cache = Cache::new(cache_folder());
    if let Some(folder) = cached(&cache, id) {
        return Ok(folder);
    }
    let refuse = |reason: String| {
        ModelError::Usage(format!(
            "'{}' is no file or directory here, not whole in the hub's cache ({}), and {reason}",
            id.repository,
            cache.path().display()
        ))
    };
    let offline = std::env::var("HF_HUB_OFFLINE").is_ok_and(|value| !["", "0"].contains(&value.as_str()));
    if offline {
        return Err(refuse("HF_HUB_OFFLINE is set: unset it, or copy the model there".into()));
    }
    download(&cache, id, observer).map_err(|error| refuse(explain(id, &error)))?;
    // What came is checked like what lay there: a repository without safetensors gets its own message.
    cached(&cache, id).ok_or_else(|| {
        refuse("the hub has no safetensors of it; convert its weights with transformers".into())
    })
}

/// `HF_HUB_CACHE`, else `HF_HOME/hub`, else `XDG_CACHE_HOME/huggingface/hub`, else
/// `~/.cache/huggingface/hub`.
fn cache_folder() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = set("HF_HUB_CACHE") {
        return folder;
    }
    let user = || set("XDG_CACHE_HOME").or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
    let home = set("HF_HOME").or_else(|| user().map(|cache| cache.join("huggingface")));
    home.unwrap_or_else(std::env::temp_dir).join("hub")
}

/// The snapshot in the cache, if its configuration and all of its weights are there.
fn cached(cache: &Cache, id: &Id) -> Option<PathBuf> {
    let repository = cache.path().join(id.repo().folder_name());
    let named = fs::read_to_string(repository.join("refs").join(&id.revision));
    let commit = named.map_or(id.revision.clone(), |commit| commit.trim().to_owned());
    let snapshot = repository.join("snapshots").join(commit);
    // A pickle alone counts as whole: the directory explains what to do with it.
    let whole = snapshot.join(CONFIG).is_file()
        && match shard_files(&snapshot) {
            Ok(files) => files.iter().all(|file| snapshot.join(file).is_file()),
            Err(_) => snapshot.join(PICKLE).is_file(),
        };
    whole.then_some(snapshot)
}

fn download(cache: &Cache, id: &Id, observer: &dyn Observer) -> Result<(), ApiError> {
    let token = std::env::var("HF_TOKEN").ok().filter(|token| !token.is_empty());
    let mut builder = ApiBuilder::from_cache(cache.clone())
        .with_token(token.or_else(|| cache.token()))
        .with_retries(RETRIES)
        .with_user_agent("onejump", env!("CARGO_PKG_VERSION"));
    if let Ok(endpoint) = std::env::var("HF_ENDPOINT") {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
    }
    let api = builder.build()?;
    let repository = api.repo(id.repo());
    let there: BTreeSet<String> =
        repository.info()?.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
    tracing::info!("{}: downloading to {}", id.repository, cache.path().display());
    let local = cache.repo(id.repo());
    let fetch = |name: &str| match local.get(name) {
        Some(path) => Ok(path),
        None => repository.download_with_progress(name, Download { observer, meter: None }),
    };
    // The weights come last: what else is missing shows at once.
    for name in [CONFIG, TOKENIZER].into_iter().filter(|name| there.contains(*name)) {
        fetch(name)?;
    }
    if there.contains(WEIGHTS) {
        fetch(WEIGHTS)?;
    } else if there.contains(INDEX) {
        let index = fetch(INDEX)?;
        for shard in index.parent().and_then(|folder| shard_files(folder).ok()).unwrap_or_default() {
            fetch(&shard)?;
        }
    }
    Ok(())
}

/// What went wrong, and what to do.
fn explain(id: &Id, error: &ApiError) -> String {
    let status = match error {
        ApiError::RequestError(request) => match **request {
            ureq::Error::StatusCode(status) => Some(status),
            _ => None,
        },
        _ => None,
    };
    match status {
        Some(401 | 403) => format!(
            "the hub does not give it without leave (or it does not exist): accept its licence on the hub, and \
             set HF_TOKEN ({error})"
        ),
        Some(404) => format!("the hub has no revision '{}' of it", id.revision),
        _ => format!("the hub cannot be reached or stopped ({error}); what came is kept, run again to go on"),
    }
}

/// A file's download as a task of an observer.
struct Download<'a> {
    observer: &'a dyn Observer,
    meter: Option<Box<dyn Meter + 'a>>,
}

impl hf_hub::api::Progress for Download<'_> {
    fn init(&mut self, size: usize, _file: &str) {
        // Called again when a download goes on.
        self.meter = Some(self.observer.begin(Task { name: "download", unit: BYTES, total: size as u64 }));
    }

    fn update(&mut self, size: usize) {
        if let Some(meter) = &self.meter {
            meter.advance(size as u64);
        }
    }

    fn finish(&mut self) {
        self.meter = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_two_plain_names() {
        let id = |repository: &str, revision: &str| {
            Some(Id { repository: repository.into(), revision: revision.into() })
        };
        assert_eq!(Id::parse("openai-community/gpt2-xl"), id("openai-community/gpt2-xl", "main"));
        assert_eq!(Id::parse("Qwen/Qwen2.5-0.5B@abc1"), id("Qwen/Qwen2.5-0.5B", "abc1"));
        for text in ["gpt2", "a/b/c", "../b", "a/..", "/a", "a/", "a b/c", "a/b@", "a/b@../c"] {
            assert_eq!(Id::parse(text), None, "{text}");
        }
    }
}
