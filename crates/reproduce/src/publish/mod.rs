//! A finished run's shortcuts as a folder that the hub shows and [`onejump_fetch::shortcuts()`] loads by name.
//!
//! | task | where |
//! |---|---|
//! | which files belong to it, and which is the default | `files.rs` |
//! | the model that the maps are of, and their licence | `origin.rs` |
//! | `README.md` | `card.rs`, `templates/README.md` |
//! | how the folder appears, whole | `folder.rs` |

mod card;
mod files;
mod folder;
mod origin;

use std::fs;
use std::path::PathBuf;

use onejump_core::files::{FileError, read_json, write_bytes, write_json};
use onejump_core::layout::{MANIFEST, RunLayout, Split};
use onejump_core::lock;
use onejump_core::manifest::HiddenManifest;
use onejump_core::published::{CONFIG, LIBRARY, Published};
use onejump_core::results::Summary;
use onejump_core::shard::Shard;

use crate::error::ReproduceError;
use crate::run_toml::RunConfig;
use card::Card;
use files::Sets;
use folder::Staging;
use origin::Origin;

pub use origin::Remark;

/// The card.
const README: &str = "README.md";

/// Where a run is published, and as what.
#[derive(Debug, Clone)]
pub struct PublishOptions {
    /// The folder to write, to be uploaded as it is.
    pub folder: PathBuf,
    /// The repository's id on the hub, which the card names; `OWNER/NAME` stands for it where it is not known.
    pub repository: Option<String>,
    /// The licence of the shortcuts, as the hub abbreviates it; the model's where none is given.
    pub license: Option<String>,
}

/// The manifest of the training states; of a run that never had them all, that of one of their shards.
fn training_states(run: &RunLayout) -> Result<HiddenManifest, FileError> {
    let folder = run.hidden(Split::Train);
    let shard = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        Shard::of_folder(&name.to_string_lossy()).is_some() && path.join(MANIFEST).is_file()
    };
    let shards = || fs::read_dir(&folder).into_iter().flatten().filter_map(|file| Some(file.ok()?.path()));
    let whole = folder.join(MANIFEST).is_file();
    let shard = (!whole).then(|| shards().filter(shard).min()).flatten();
    HiddenManifest::read(&shard.unwrap_or(folder))
}

/// What was published.
#[derive(Debug, Clone)]
pub struct Publication {
    /// How many files of shortcuts.
    pub files: usize,
    /// The file that is meant where none is named.
    pub default: String,
    /// What whoever publishes should know.
    pub remarks: Vec<Remark>,
}

/// Lays out a finished run's shortcuts as the hub expects them. A folder that is not there appears whole; in one that was
/// published before each file is replaced, `config.json` last, and what is no longer published goes.
///
/// # Errors
/// [`ReproduceError`] if the run is not finished or is being written, or the folder holds something else.
pub fn publish(run: &RunLayout, options: &PublishOptions) -> Result<Publication, ReproduceError> {
    if !run.summary().is_file() {
        return Err(ReproduceError::NotFinished { folder: run.root().to_owned() });
    }
    let _lock = lock::file(&run.config())?;
    let config = RunConfig::read(run)?;
    let summary: Summary = read_json(&run.summary())?;
    let inputs = training_states(run)?.inputs;
    let origin = Origin::of(&config.model, options.license.as_deref())?;
    let sets = Sets::of(run, &summary)?;
    let staging = Staging::begin(&options.folder)?;
    let files = sets.copy(staging.path())?;
    let figure = sets.copy_figure(run, staging.path())?;
    let published = Published {
        library_name: LIBRARY.to_owned(),
        onejump: env!("CARGO_PKG_VERSION").to_owned(),
        default: sets.default.file.clone(),
        kind: sets.default.name.kind,
        model: origin.name.clone(),
        base_model: origin.base_model.clone(),
        model_sha256: inputs.model_sha256,
        architecture: summary.architecture.clone(),
        hidden_size: summary.hidden_size,
        blocks: summary.blocks,
        files,
    };
    let card = Card {
        published: &published,
        summary: &summary,
        sets: &sets,
        origin: &origin,
        sentences: &config.sentences,
        repository: options.repository.as_deref(),
        figure,
    };
    write_bytes(&staging.path().join(README), card.text()?.as_bytes())?;
    write_json(&staging.path().join(CONFIG), &published)?;
    staging.finish()?;
    Ok(Publication { files: published.files.len(), default: published.default, remarks: origin.remarks })
}
