//! Repositories of the Hugging Face hub, by id: from the cache that all of its clients share, else downloaded
//! into it.
//!
//! The environment variables are those of its other clients: `HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN`,
//! `HF_ENDPOINT`, `HF_HUB_OFFLINE`.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, CacheRepo, Repo, RepoType};
use onejump_core::observe::{BYTES, Meter, Observer, Task};

use crate::FetchError;

/// The revision of an id that names none.
pub(crate) const DEFAULT_REVISION: &str = "main";

/// How often an interrupted download of a file goes on where it stopped.
const RETRIES: usize = 5;

/// `owner/name`, or `owner/name@revision`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Id {
    /// `owner/name`.
    pub repository: String,
    /// A branch, a tag or a commit.
    pub revision: String,
    /// What the repository holds.
    pub kind: Kind,
}

/// What a repository holds: ids of both kinds look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A model, or what belongs to one.
    Model,
    /// A data set.
    Dataset,
}

impl Id {
    /// The id of a model that a text can be: two plain names with a slash between them.
    pub fn parse(text: &str) -> Option<Self> {
        let (repository, revision) = text.split_once('@').unwrap_or((text, DEFAULT_REVISION));
        let (owner, name) = repository.split_once('/')?;
        let plain = |name: &str| {
            let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !name.is_empty() && !name.starts_with('.') && name.chars().all(known)
        };
        let ours = plain(owner) && plain(name) && plain(revision);
        ours.then(|| Self {
            repository: repository.to_owned(),
            revision: revision.to_owned(),
            kind: Kind::Model,
        })
    }

    fn repo(&self) -> Repo {
        let kind = match self.kind {
            Kind::Model => RepoType::Model,
            Kind::Dataset => RepoType::Dataset,
        };
        Repo::with_revision(self.repository.clone(), kind, self.revision.clone())
    }
}

/// Brings files of a repository, unless all of them lie in the cache; returns the folder that they lie in.
///
/// # Errors
/// [`FetchError`] if one of them is neither in the cache nor to be had from the hub.
pub fn files(id: &Id, names: &[&str], observer: &dyn Observer) -> Result<PathBuf, FetchError> {
    let folder = snapshot(id);
    if names.iter().all(|name| folder.join(name).is_file()) {
        return Ok(folder);
    }
    let repository = Repository::connect(id)?;
    for name in names {
        repository.fetch(name, observer)?;
    }
    Ok(snapshot(id))
}

/// Where the cache has a repository's files, as far as they were downloaded.
pub fn snapshot(id: &Id) -> PathBuf {
    let repository = cache_folder().join(id.repo().folder_name());
    let named = fs::read_to_string(repository.join("refs").join(&id.revision));
    let commit = named.map_or(id.revision.clone(), |commit| commit.trim().to_owned());
    repository.join("snapshots").join(commit)
}

/// `HF_HUB_CACHE`, else `HF_HOME/hub`, else `XDG_CACHE_HOME/huggingface/hub`, else
/// `~/.cache/huggingface/hub`.
pub(crate) fn cache_folder() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = set("HF_HUB_CACHE") {
        return folder;
    }
    let user = || set("XDG_CACHE_HOME").or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
    let home = set("HF_HOME").or_else(|| user().map(|cache| cache.join("huggingface")));
    home.unwrap_or_else(std::env::temp_dir).join("hub")
}

/// A repository as the hub has it now.
pub struct Repository {
    id: Id,
    remote: ApiRepo,
    local: CacheRepo,
    files: BTreeSet<String>,
}

impl Repository {
    /// Asks the hub for the list of files.
    ///
    /// # Errors
    /// [`FetchError`] if the hub may not be asked, does not answer, or does not give the repository.
    pub fn connect(id: &Id) -> Result<Self, FetchError> {
        let offline = std::env::var("HF_HUB_OFFLINE").is_ok_and(|value| !["", "0"].contains(&value.as_str()));
        if offline {
            return Err(FetchError::Offline { repository: id.repository.clone(), cache: cache_folder() });
        }
        let cache = Cache::new(cache_folder());
        let remote = remote(&cache, id).map_err(|error| explain(id, error))?;
        let listed = remote.info().map_err(|error| explain(id, error))?.siblings;
        tracing::info!("{}: downloading to {}", id.repository, cache.path().display());
        let files = listed.into_iter().map(|sibling| sibling.rfilename).collect();
        Ok(Self { id: id.clone(), remote, local: cache.repo(id.repo()), files })
    }

    /// Whether the repository has a file of this name.
    pub fn has(&self, name: &str) -> bool {
        self.files.contains(name)
    }

    /// The names of its files.
    pub fn files(&self) -> impl Iterator<Item = String> {
        self.files.iter().cloned()
    }

    /// The path of a file in the cache; it is downloaded if it is not there.
    ///
    /// # Errors
    /// [`FetchError`] if the repository has no such file, or the download fails.
    pub fn fetch(&self, name: &str, observer: &dyn Observer) -> Result<PathBuf, FetchError> {
        observer.check()?;
        if let Some(path) = self.local.get(name) {
            return Ok(path);
        }
        if !self.has(name) {
            let repository = self.id.repository.clone();
            return Err(FetchError::NoFile { repository, file: name.to_owned(), cache: cache_folder() });
        }
        let download = Download { observer, meter: None };
        self.remote.download_with_progress(name, download).map_err(|error| explain(&self.id, error))
    }
}

fn remote(cache: &Cache, id: &Id) -> Result<ApiRepo, ApiError> {
    let token = std::env::var("HF_TOKEN").ok().filter(|token| !token.is_empty());
    let mut builder = ApiBuilder::from_cache(cache.clone())
        .with_token(token.or_else(|| cache.token()))
        .with_retries(RETRIES)
        .with_user_agent("onejump", env!("CARGO_PKG_VERSION"));
    if let Ok(endpoint) = std::env::var("HF_ENDPOINT") {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
    }
    Ok(builder.build()?.repo(id.repo()))
}

/// What went wrong, and what to do.
fn explain(id: &Id, error: ApiError) -> FetchError {
    let status = match &error {
        ApiError::RequestError(request) => match **request {
            ureq::Error::StatusCode(status) => Some(status),
            _ => None,
        },
        _ => None,
    };
    let (repository, cache, source) = (id.repository.clone(), cache_folder(), Box::new(error));
    match status {
        Some(401 | 403) => FetchError::NoLeave { repository, cache, source },
        Some(404) => FetchError::NoRevision { repository, revision: id.revision.clone(), cache },
        _ => FetchError::Unreachable { repository, cache, source },
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
            Some(Id { repository: repository.into(), revision: revision.into(), kind: Kind::Model })
        };
        assert_eq!(Id::parse("openai-community/gpt2-xl"), id("openai-community/gpt2-xl", "main"));
        assert_eq!(Id::parse("Qwen/Qwen2.5-0.5B@abc1"), id("Qwen/Qwen2.5-0.5B", "abc1"));
        for text in ["gpt2", "a/b/c", "../b", "a/..", "/a", "a/", "a b/c", "a/b@", "a/b@../c"] {
            assert_eq!(Id::parse(text), None, "{text}");
        }
    }
}
