//! Why something cannot be brought.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use onejump_core::cache;
use onejump_core::files::FileError;
use onejump_core::observe::Stopped;

/// What another library gives as its reason.
type Source = Box<dyn Error + Send + Sync>;

/// Something that is not here and cannot be brought, or is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(FileError),
    /// The observer asked to stop.
    #[error("{0}")]
    Stopped(#[from] Stopped),
    /// A name stands for no model.
    #[error(
        "there is no model '{name}': no such directory or .gguf file, no hub id (owner/name), and the built-in \
         models are {}",
        known.join(", ")
    )]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// The names of the built-in models.
        known: Vec<&'static str>,
    },
    /// A file is no model.
    #[error(
        "{}: is neither a directory nor a GGUF file; give the directory that holds config.json",
        path.display()
    )]
    NotACheckpoint {
        /// The file.
        path: PathBuf,
    },
    /// A directory holds GGUF files instead of a checkpoint.
    #[error("{}: has no config.json, but GGUF files; give the path of one, such as {file}", path.display())]
    FolderOfGguf {
        /// The directory.
        path: PathBuf,
        /// The name of a GGUF file in it.
        file: String,
    },
    /// The weights of a directory are in no format that is read.
    #[error(
        "{}: has its weights only as pytorch_model*.bin, a format that can run code; convert it with transformers: \
         AutoModelForCausalLM.from_pretrained(...).save_pretrained(..., safe_serialization=True)",
        path.display()
    )]
    OnlyPickle {
        /// The directory.
        path: PathBuf,
    },
    /// A directory has no weights.
    #[error("{}: has neither model.safetensors nor model.safetensors.index.json", path.display())]
    NoWeights {
        /// The directory.
        path: PathBuf,
    },
    /// An index of shards reaches out of its folder.
    #[error("{}: names the file '{file}' outside its folder", index.display())]
    OutsideFolder {
        /// The index.
        index: PathBuf,
        /// The file that it names.
        file: String,
    },
    /// `HF_HUB_OFFLINE` forbids to ask the hub.
    #[error("{}, and HF_HUB_OFFLINE is set: unset it, or copy it there", absent(repository, cache))]
    Offline {
        /// The repository's id.
        repository: String,
        /// The hub's cache on this machine.
        cache: PathBuf,
    },
    /// The hub asks who wants it.
    #[error(
        "{}, and the hub does not give it without leave (or it does not exist): accept its licence on the hub, and \
         set HF_TOKEN ({source})",
        absent(repository, cache)
    )]
    NoLeave {
        /// The repository's id.
        repository: String,
        /// The hub's cache on this machine.
        cache: PathBuf,
        /// The hub's answer.
        #[source]
        source: Source,
    },
    /// The hub does not know the repository or its revision.
    #[error("{}, and the hub has no revision '{revision}' of it", absent(repository, cache))]
    NoRevision {
        /// The repository's id.
        repository: String,
        /// The revision that was asked for.
        revision: String,
        /// The hub's cache on this machine.
        cache: PathBuf,
    },
    /// The repository lacks a file.
    #[error("{}, and the hub has no file '{file}' of it", absent(repository, cache))]
    NoFile {
        /// The repository's id.
        repository: String,
        /// The file that was asked for.
        file: String,
        /// The hub's cache on this machine.
        cache: PathBuf,
    },
    /// The repository has weights in other formats alone.
    #[error(
        "{}, and the hub has no safetensors of it; convert its weights with transformers",
        absent(repository, cache)
    )]
    NoSafetensors {
        /// The repository's id.
        repository: String,
        /// The hub's cache on this machine.
        cache: PathBuf,
    },
    /// A data set has no file of texts that is read.
    #[error(
        "the data set '{repository}' has no files of texts{}; {}",
        wanted.as_ref().map_or_else(String::new, |wanted| format!(" for '{wanted}'")),
        texts_of(files, *script)
    )]
    NoTexts {
        /// The repository's id.
        repository: String,
        /// Which were asked for.
        wanted: Option<String>,
        /// The files of texts that there are.
        files: Vec<String>,
        /// Whether a script makes its texts.
        script: bool,
    },
    /// A repository lacks a file of shortcuts.
    #[error("'{repository}' has no file '{file}'; of shortcuts it has {}", listed(files))]
    NoShortcuts {
        /// The repository's id.
        repository: String,
        /// The file that was asked for.
        file: String,
        /// Those that there are.
        files: Vec<String>,
    },
    /// It is not clear which file of shortcuts is meant.
    #[error("{}", which(folder, files))]
    WhichShortcuts {
        /// The folder, or the repository's id.
        folder: String,
        /// The files of shortcuts in it.
        files: Vec<String>,
    },
    /// A model stands where shortcuts should.
    #[error("'{folder}' holds a model, by its config.json, where a file of shortcuts is needed")]
    ModelInstead {
        /// The folder, or the repository's id.
        folder: String,
    },
    /// A folder's default lies elsewhere.
    #[error("'{folder}': its config.json names '{default}' outside of it; name a file in it")]
    DefaultOutside {
        /// The folder, or the repository's id.
        folder: String,
        /// What it names.
        default: String,
    },
    /// The network, or the hub, is away.
    #[error(
        "{}, and the hub cannot be reached or stopped ({source}); what came is kept, run again to go on",
        absent(repository, cache)
    )]
    Unreachable {
        /// The repository's id.
        repository: String,
        /// The hub's cache on this machine.
        cache: PathBuf,
        /// The reason.
        #[source]
        source: Source,
    },
    /// There is no Python to run pip.
    #[error("cannot start python3; install Python 3 with pip")]
    NoPython(#[source] io::Error),
    /// Python is there, pip is not.
    #[error("python3 has no pip; install it (on Debian: apt-get install python3-pip)")]
    NoPip,
    /// pip failed.
    #[error("pip cannot download {}: {reason}; check the network and try again", packages.join(", "))]
    Pip {
        /// What was asked for.
        packages: Vec<String>,
        /// What pip says.
        reason: String,
    },
    /// The disk is full.
    #[error("no space left in {}; set ONEJUMP_CACHE to a folder with 2 GB", folder.display())]
    NoSpace {
        /// The cache's folder.
        folder: PathBuf,
    },
    /// A package is damaged.
    #[error("{} cannot be unpacked; the download may be broken", package.display())]
    Broken {
        /// The package's file.
        package: PathBuf,
        /// The reason.
        #[source]
        source: Source,
    },
    /// A package does not hold what it should.
    #[error("{} has no {member}", packages.join(", "))]
    NoMember {
        /// The packages and their versions.
        packages: Vec<String>,
        /// The file that should be in it.
        member: String,
    },
    /// A file that came is another one than it should be.
    #[error("{} has the SHA-256 {found}, expected {expected}", path.display())]
    WrongContent {
        /// The file.
        path: PathBuf,
        /// Its SHA-256.
        found: String,
        /// What it should be.
        expected: String,
    },
}

fn listed(files: &[String]) -> String {
    if files.is_empty() { "none".to_owned() } else { files.join(", ") }
}

/// What a data set has in place of the texts that are wanted.
fn texts_of(files: &[String], script: bool) -> String {
    match (files, script) {
        ([], true) => {
            "a script makes its texts, and none is run: give --text files that it has made".to_owned()
        }
        ([], false) => "read are .parquet, .jsonl and .txt".to_owned(),
        (files, _) => format!("it has {}", files.join(", ")),
    }
}

fn which(folder: &str, files: &[String]) -> String {
    match files {
        [] => format!("'{folder}' has no file of shortcuts (.safetensors)"),
        _ => format!("'{folder}' does not say which of its files is meant: {}; name one", files.join(", ")),
    }
}

/// How every refusal begins that concerns a repository.
fn absent(repository: &str, cache: &Path) -> String {
    let cache = cache.display();
    format!("'{repository}' is no file or directory here, not whole in the hub's cache ({cache})")
}

impl From<FileError> for FetchError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Self::NoSpace { folder: cache::directory() }
            }
            other => Self::File(other),
        }
    }
}
