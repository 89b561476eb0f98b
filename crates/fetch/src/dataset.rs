//! The files of a data set on the hub: those of Parquet, JSON lines and text. A data set that is a script is not run.

use std::path::{Path, PathBuf};
use std::{fs, io};

use onejump_core::files::FileError;
use onejump_core::observe::Observer;

use crate::FetchError;
use crate::hub::{self, Id, Kind, Repository};
use crate::shortcuts::stays_inside;

/// How the names of files of texts end.
const ENDINGS: [&str; 7] = [".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst", ".txt", ".txt.gz", ".txt.zst"];

/// What is no text beside texts, by the beginnings of names.
const BESIDE: [&str; 3] = ["readme", "license", "requirements"];

/// The split that is read where a data set has it and none is named.
const DEFAULT_SPLIT: &str = "train";

/// Whether a text names a data set on the hub, if it is no path: `owner/name[:split or path][@revision]`.
pub fn is_dataset(name: &str) -> bool {
    Named::parse(name).is_some()
}

/// The paths of a data set's files of texts, in the order of their names, by `owner/name[:split or path][@revision]`: from
/// the hub's cache, else downloaded into it.
///
/// `:train` means the files whose names, or whose folder's, begin so; `:data/a.parquet` a file, `:data` a folder. Without
/// it those of the split `train` are meant where there are any, else all.
///
/// # Errors
/// [`FetchError`] if the text is no such name, the hub does not give the files, or there are none.
pub fn dataset(name: &str, observer: &dyn Observer) -> Result<Vec<PathBuf>, FetchError> {
    let Some(Named { id, wanted }) = Named::parse(name) else {
        return Err(FetchError::NoTexts {
            repository: name.to_owned(),
            wanted: None,
            files: Vec::new(),
            script: false,
        });
    };
    let snapshot = hub::snapshot(&id);
    let cached = chosen(files_in(&snapshot)?, wanted.as_deref());
    if is_whole(&cached, wanted.as_deref()) {
        return Ok(cached.into_iter().map(|file| snapshot.join(file)).collect());
    }
    // What the cache has may be a part of what there is: only the hub knows.
    let repository = match Repository::connect(&id) {
        Ok(repository) => repository,
        Err(error) if cached.is_empty() => return Err(error),
        Err(error) => {
            tracing::warn!(
                "{error}; the {} files of '{name}' in the cache are all that is read",
                cached.len()
            );
            return Ok(cached.into_iter().map(|file| snapshot.join(file)).collect());
        }
    };
    let files = chosen(repository.files().collect(), wanted.as_deref());
    if files.is_empty() {
        let script = repository.files().any(|file| file.ends_with(".py"));
        let files = chosen_of(repository.files().collect());
        return Err(FetchError::NoTexts { repository: id.repository, wanted, files, script });
    }
    files.iter().map(|file| repository.fetch(file, observer)).collect()
}

/// A data set, and which of its files.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    id: Id,
    wanted: Option<String>,
}

impl Named {
    fn parse(text: &str) -> Option<Self> {
        let (rest, revision) = text.rsplit_once('@').unwrap_or((text, hub::DEFAULT_REVISION));
        let (repository, wanted) = match rest.split_once(':') {
            Some((repository, wanted)) => (repository, Some(wanted)),
            None => (rest, None),
        };
        if wanted.is_some_and(|wanted| !stays_inside(wanted)) {
            return None;
        }
        let id = Id::parse(&format!("{repository}@{revision}"))?;
        Some(Self { id: Id { kind: Kind::Dataset, ..id }, wanted: wanted.map(str::to_owned) })
    }
}

/// The files of texts among all.
fn chosen_of(files: Vec<String>) -> Vec<String> {
    let is_text = |file: &String| {
        let lower = file.to_lowercase();
        let name = lower.rsplit('/').next().unwrap_or_default();
        stays_inside(file)
            && ENDINGS.iter().any(|ending| name.ends_with(ending))
            && !BESIDE.iter().any(|beside| name.starts_with(beside))
    };
    let mut texts: Vec<String> = files.into_iter().filter(is_text).collect();
    texts.sort();
    texts
}

/// The files of texts that are meant.
fn chosen(files: Vec<String>, wanted: Option<&str>) -> Vec<String> {
    let texts = chosen_of(files);
    let of = |wanted: &str| -> Vec<String> {
        texts.iter().filter(|file| belongs(file, wanted)).cloned().collect()
    };
    match wanted {
        Some(wanted) => of(wanted),
        None => Some(of(DEFAULT_SPLIT)).filter(|split| !split.is_empty()).unwrap_or(texts.clone()),
    }
}

/// Whether a file is the one that is named, in the folder that is named, or of the split.
fn belongs(file: &str, wanted: &str) -> bool {
    let begins = |path: &str| {
        path.strip_prefix(wanted)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '-', '.', '_']))
    };
    let tails = file.match_indices('/').map(|(place, _)| &file[place + 1..]);
    begins(file) || (!wanted.contains('/') && tails.into_iter().any(begins))
}

/// Whether names alone tell that none is missing: it is the file that is named, or each says of how many it is one.
fn is_whole(files: &[String], wanted: Option<&str>) -> bool {
    if let ([file], Some(wanted)) = (files, wanted)
        && file == wanted
    {
        return true;
    }
    let family = |file: &String| {
        let (before, rest) = file.rsplit_once("-of-")?;
        let (stem, number) = before.rsplit_once('-')?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        number.parse::<usize>().ok()?;
        Some((stem.to_owned(), rest[..digits].parse::<usize>().ok()?))
    };
    let Some(families) = files.iter().map(family).collect::<Option<Vec<_>>>() else { return false };
    let complete = |one: &(String, usize)| families.iter().filter(|other| *other == one).count() == one.1;
    !families.is_empty() && families.iter().all(complete)
}

/// The files of a snapshot, by their names from its root; none where there is no such folder.
fn files_in(snapshot: &Path) -> Result<Vec<String>, FetchError> {
    let (mut files, mut folders) = (Vec::new(), vec![String::new()]);
    while let Some(folder) = folders.pop() {
        let path = snapshot.join(&folder);
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(FileError::reading(&path)).map_err(FetchError::File)?,
        };
        for entry in entries.flatten() {
            let name = format!("{folder}{}", entry.file_name().to_string_lossy());
            // Files are links to where the cache keeps them; folders are folders.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(format!("{name}/"));
            } else if entry.path().is_file() {
                files.push(name);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_split_or_a_path_and_a_revision() {
        let named = |repository: &str, wanted: Option<&str>, revision: &str| {
            let id = Id { repository: repository.into(), revision: revision.into(), kind: Kind::Dataset };
            let folder = hub::snapshot(&id).display().to_string();
            assert!(folder.contains(&format!("datasets--{}/", repository.replace('/', "--"))), "{folder}");
            Some(Named { id, wanted: wanted.map(str::to_owned) })
        };
        assert_eq!(Named::parse("a/texts"), named("a/texts", None, "main"));
        assert_eq!(Named::parse("a/texts:train@v1"), named("a/texts", Some("train"), "v1"));
        assert_eq!(Named::parse("a/b:data/x.parquet"), named("a/b", Some("data/x.parquet"), "main"));
        for text in ["texts.txt", "a/b/c.txt", "/a/b", "a/b:../c", "a/b:/c", "a/b:"] {
            assert_eq!(Named::parse(text), None, "{text}");
        }
    }

    #[test]
    fn files_are_chosen_by_split_and_path() {
        let files = [
            "README.md",
            "LICENSE.txt",
            "data/train-00000-of-00002.parquet",
            "data/train-00001-of-00002.parquet",
            "data/test-00000-of-00001.parquet",
            "raw/trained.jsonl",
            "raw/validation.jsonl.zst",
            "texts.py",
        ];
        let of = |wanted: Option<&str>| chosen(files.map(str::to_owned).to_vec(), wanted);
        assert_eq!(of(Some("train")), files[2..4]);
        assert_eq!(of(None), files[2..4]);
        assert_eq!(of(Some("data")), [files[4], files[2], files[3]]);
        assert_eq!(of(Some("data/test")), [files[4]]);
        assert_eq!(of(Some("raw/trained.jsonl")), [files[5]]);
        assert_eq!(of(Some("validation")), [files[6]]);
        assert!(of(Some("dev")).is_empty() && of(Some("README.md")).is_empty());
        assert_eq!(chosen(vec!["b.txt".into(), "a.jsonl".into()], None), ["a.jsonl", "b.txt"]);
    }

    #[test]
    fn names_tell_whether_files_are_missing() {
        let whole = |files: &[&str], wanted: Option<&str>| {
            is_whole(&files.iter().map(|file| (*file).to_owned()).collect::<Vec<_>>(), wanted)
        };
        assert!(whole(&["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"], None));
        assert!(!whole(&["train-00001-of-00002.parquet"], None));
        assert!(!whole(&["a.jsonl"], None) && !whole(&[], None));
        assert!(whole(&["a.jsonl"], Some("a.jsonl")));
    }
}
