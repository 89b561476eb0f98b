//! What the name of a file of shortcuts stands for: a path, or a file of a repository on the hub.

use std::fs;
use std::path::{Path, PathBuf};

use onejump_core::observe::Observer;
use onejump_core::published::{CONFIG, ConfigOf, ENDING};

use crate::FetchError;
use crate::hub::{self, Id, Repository};

/// The path of a file of shortcuts that is named by its path, by the folder that it was published in, or as
/// `owner/name[:file][@revision]` on the hub: from the hub's cache, else downloaded into it.
///
/// Without `file` it is the one that the folder's `config.json` names, or the only one. A name that can be none of
/// these comes back as it is, and whoever reads it says that there is no such file.
///
/// # Errors
/// [`FetchError`] if the hub does not give it, or if it is not clear which file of a folder is meant.
pub fn shortcuts(name: &Path, observer: &dyn Observer) -> Result<PathBuf, FetchError> {
    if name.is_dir() {
        let files = fs::read_dir(name).into_iter().flatten().flatten();
        let files = files.map(|entry| entry.file_name().display().to_string());
        let config = Some(name.join(CONFIG)).filter(|config| config.is_file());
        return Ok(name.join(default_file(&name.display().to_string(), config.as_deref(), files)?));
    }
    match name.to_str().and_then(OnHub::parse) {
        Some(on_hub) if !name.exists() => on_hub.bring(observer),
        _ => Ok(name.to_owned()),
    }
}

/// Several of them, as [`shortcuts`].
///
/// # Errors
/// As [`shortcuts`].
pub fn all_shortcuts(names: &[PathBuf], observer: &dyn Observer) -> Result<Vec<PathBuf>, FetchError> {
    names.iter().map(|name| shortcuts(name, observer)).collect()
}

/// `owner/name[:file][@revision]`.
#[derive(Debug, PartialEq, Eq)]
struct OnHub {
    id: Id,
    /// From the repository's root.
    file: Option<String>,
}

impl OnHub {
    fn parse(text: &str) -> Option<Self> {
        let (rest, revision) = text.rsplit_once('@').unwrap_or((text, hub::DEFAULT_REVISION));
        let (repository, file) = match rest.split_once(':') {
            Some((repository, file)) => (repository, Some(file)),
            None => (rest, None),
        };
        // Nobody calls a repository so, and a path that is mistyped is not asked for on the hub.
        if repository.ends_with(ENDING) || file.is_some_and(|file| !stays_inside(file)) {
            return None;
        }
        let id = Id::parse(&format!("{repository}@{revision}"))?;
        Some(Self { id, file: file.map(str::to_owned) })
    }

    fn bring(&self, observer: &dyn Observer) -> Result<PathBuf, FetchError> {
        let cached = hub::snapshot(&self.id);
        let named = match &self.file {
            Some(file) => Some(file.clone()),
            None => cached_default(&cached)?,
        };
        if let Some(path) = named.map(|file| cached.join(file)).filter(|path| path.is_file()) {
            return Ok(path);
        }
        // What the cache has may be a part of what there is: only the hub knows which file is the only one.
        let repository = Repository::connect(&self.id)?;
        let file = match &self.file {
            Some(file) if repository.has(file) => file.clone(),
            Some(file) => {
                let files = only_shortcuts(repository.files());
                let repository = self.id.repository.clone();
                return Err(FetchError::NoShortcuts { repository, file: file.clone(), files });
            }
            None => {
                let config =
                    repository.has(CONFIG).then(|| repository.fetch(CONFIG, observer)).transpose()?;
                default_file(&self.id.repository, config.as_deref(), repository.files())?
            }
        };
        repository.fetch(&file, observer)
    }
}

/// The default of a snapshot in the cache, where its `config.json` was downloaded.
fn cached_default(snapshot: &Path) -> Result<Option<String>, FetchError> {
    let config = snapshot.join(CONFIG);
    if !config.is_file() {
        return Ok(None);
    }
    match ConfigOf::read(&config)? {
        ConfigOf::Shortcuts { default } if stays_inside(&default) => Ok(Some(default)),
        _ => Ok(None),
    }
}

/// The file of a folder, or of a repository, that is meant where none is named.
fn default_file(
    folder: &str,
    config: Option<&Path>,
    names: impl IntoIterator<Item = String>,
) -> Result<String, FetchError> {
    let of = config.map_or(Ok(ConfigOf::Other), ConfigOf::read)?;
    let folder = folder.to_owned();
    match of {
        ConfigOf::Shortcuts { default } if stays_inside(&default) => return Ok(default),
        ConfigOf::Shortcuts { default } => return Err(FetchError::DefaultOutside { folder, default }),
        ConfigOf::Model => return Err(FetchError::ModelInstead { folder }),
        ConfigOf::Other => {}
    }
    let files = only_shortcuts(names);
    match &files[..] {
        [only] => Ok(only.clone()),
        _ => Err(FetchError::WhichShortcuts { folder, files }),
    }
}

/// The files of shortcuts among others, by name.
fn only_shortcuts(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut files: Vec<_> = names.into_iter().filter(|name| name.ends_with(ENDING)).collect();
    files.sort();
    files
}

/// Whether a file's name cannot lead out of its folder.
pub(crate) fn stays_inside(file: &str) -> bool {
    file.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.contains('\\'))
}

#[cfg(test)]
mod tests {
    use onejump_core::observe::Silent;

    use super::*;
    use crate::hub::Kind;

    #[test]
    fn a_name_on_the_hub_has_a_file_and_a_revision() {
        let name = |repository: &str, file: Option<&str>, revision: &str| {
            let id = Id { repository: repository.into(), revision: revision.into(), kind: Kind::Model };
            Some(OnHub { id, file: file.map(str::to_owned) })
        };
        assert_eq!(OnHub::parse("some/jumps"), name("some/jumps", None, "main"));
        assert_eq!(OnHub::parse("some/jumps@v1"), name("some/jumps", None, "v1"));
        assert_eq!(
            OnHub::parse("some/jumps:ojfa.safetensors"),
            name("some/jumps", Some("ojfa.safetensors"), "main")
        );
        assert_eq!(OnHub::parse("a/b:c/d.safetensors@abc"), name("a/b", Some("c/d.safetensors"), "abc"));
        for text in [
            "ojfa.safetensors",
            "run/ojfa.safetensors",
            "run/shortcuts/jtc.safetensors",
            "a/b:",
            "a/b:../c",
            "a/b:/c",
            "a/b:c@",
            "../b",
            "/a/b",
        ] {
            assert_eq!(OnHub::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_folder_stands_for_the_file_that_it_names_or_its_only_one() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let found = || shortcuts(folder.path(), &Silent).map(|path| path.file_name().unwrap().to_owned());
        assert!(found().unwrap_err().to_string().ends_with("has no file of shortcuts (.safetensors)"));
        write("jtc.safetensors", "");
        assert_eq!(found().unwrap(), "jtc.safetensors");
        write("ojfa.safetensors", "");
        let error = found().unwrap_err().to_string();
        assert!(error.ends_with(
            "does not say which of its files is meant: jtc.safetensors, ojfa.safetensors; name one"
        ));
        write(CONFIG, r#"{"library_name": "onejump", "default": "ojfa.safetensors"}"#);
        assert_eq!(found().unwrap(), "ojfa.safetensors");
        write(CONFIG, r#"{"library_name": "onejump", "default": "../ojfa.safetensors"}"#);
        assert!(found().unwrap_err().to_string().contains("outside"));
        write(CONFIG, r#"{"model_type": "llama"}"#);
        assert!(found().unwrap_err().to_string().contains("holds a model"));
        // A path that is not there is for its reader to refuse.
        let absent = folder.path().join("absent.safetensors");
        assert_eq!(shortcuts(&absent, &Silent).unwrap(), absent);
    }
}
