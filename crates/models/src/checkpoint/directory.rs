//! A Hugging Face directory: config.json, safetensors (one file, or shards with an index),
//! tokenizer.json.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use onejump_core::{files, guard, sniff};
use onejump_fetch::checkpoint::{CONFIG, TOKENIZER, TOKENIZER_CONFIG, weight_files};
use rayon::prelude::*;
use serde_json::Value;
use tch::{Device, Tensor};
use tokenizers::Tokenizer;

use super::prefix_space;
use super::quantised;
use super::safetensors::Shard;
use super::unread::{BASES, Part, WRAPPED};
use crate::ModelError;

/// The weights of a directory: each tensor's shard, the open shards, and which tensors were read.
pub(super) struct Directory {
    path: PathBuf,
    shards: Vec<Shard>,
    tensors: BTreeMap<String, usize>,
    read: BTreeSet<String>,
}

impl Directory {
    /// The configuration of a directory. One that is quantised is refused before its weights are looked for, since they
    /// may have names of their own.
    pub(super) fn config(path: &Path) -> Result<Value, ModelError> {
        let file = path.join(CONFIG);
        if !file.is_file() {
            return Err(ModelError::checkpoint(
                path,
                "has no config.json; give a Hugging Face model directory",
            ));
        }
        let config = files::read_json(&file)?;
        quantised::check_config(path, &config)?;
        Ok(config)
    }

    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        let files = weight_files(path)?;
        let mut shards = Vec::with_capacity(files.len());
        let mut tensors = BTreeMap::new();
        for file in files {
            let shard = Shard::open(&path.join(file))?;
            for name in shard.names() {
                tensors.insert(name.clone(), shards.len());
            }
            shards.push(shard);
        }
        quantised::check_names(path, tensors.keys())?;
        Ok(Self { path: path.to_owned(), shards, tensors, read: BTreeSet::new() })
    }

    /// Of the language model alone, where it is a part of a larger one.
    pub(super) fn parameters(&self) -> u64 {
        let is_part = WRAPPED.iter().any(|base| self.tensors.keys().any(|name| name.starts_with(base)));
        let counts = |name: &str| !is_part || Part::of(name) != Part::Elsewhere;
        self.shards.iter().map(|shard| shard.parameters(counts)).sum()
    }

    pub(super) fn has_tensor(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The name under which the files have a tensor: with or without what names begin with, or inside a larger model.
    fn find(&self, name: &str) -> Option<(&String, usize)> {
        let bare = BASES.iter().find_map(|base| name.strip_prefix(base)).unwrap_or(name);
        let get = |name: &str| self.tensors.get_key_value(name);
        let wrapped = || WRAPPED.iter().find_map(|base| get(&format!("{base}{bare}")));
        let found = get(name).or_else(|| get(bare)).or_else(wrapped)?;
        Some((found.0, *found.1))
    }

    pub(super) fn tensor(&mut self, name: &str, device: Device) -> Result<Tensor, ModelError> {
        let missing = || ModelError::MissingTensor { path: self.path.clone(), name: name.to_owned() };
        let (own, shard) = self.find(name).ok_or_else(missing)?;
        let (own, tensor) = (own.clone(), self.shards[shard].tensor(own, device)?);
        self.read.insert(own);
        Ok(tensor)
    }

    /// The tensors that were not read, with the parts of a model that they belong to.
    pub(super) fn unread(&self) -> impl Iterator<Item = (&str, Part)> {
        let unread = self.tensors.keys().filter(|name| !self.read.contains(*name));
        unread.map(|name| (name.as_str(), Part::of(name)))
    }

    pub(super) fn tokenizer(&self, config: &Value) -> Result<Tokenizer, ModelError> {
        let mut tokenizer = self.tokenizer_as_written()?;
        prefix_space::apply(&self.path, config, &mut tokenizer)?;
        Ok(tokenizer)
    }

    /// As tokenizer.json has it.
    fn tokenizer_as_written(&self) -> Result<Tokenizer, ModelError> {
        let path = self.path.join(TOKENIZER);
        if !path.is_file() {
            return Err(ModelError::NoTokenizer { path: self.path.clone() });
        }
        let bytes = std::fs::read(&path).map_err(files::FileError::reading(&path))?;
        // The library panics at some errors of syntax (tokenizers 0.23: `expect("Helper")`).
        let mut tokenizer = guard::catch(|| Tokenizer::from_bytes(sniff::unmarked(&bytes)))
            .unwrap_or_else(|| Err("its JSON is malformed".into()))
            .map_err(|error| match sniff::kind(&bytes) {
                Some(odd) => files::FileError::Content { path: path.clone(), reason: odd.to_string() }.into(),
                None => ModelError::checkpoint(&path, format!("is no tokenizer: {error}")),
            })?;
        // Some files ask for padding or truncation; a sentence is taken as it is.
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(None)
            .map_err(|error| ModelError::checkpoint(&path, format!("is no tokenizer: {error}")))?;
        Ok(tokenizer)
    }

    pub(super) fn sha256(&self, config: &Value) -> Result<String, ModelError> {
        let mut paths = vec![self.path.join(CONFIG), self.path.join(TOKENIZER)];
        // tokenizer_config.json counts where it decides: elsewhere it may change, and the model stays the same.
        let mut written = self.tokenizer_as_written().ok();
        if let Some(tokenizer) = &mut written
            && prefix_space::apply(&self.path, config, tokenizer)?
        {
            paths.push(self.path.join(TOKENIZER_CONFIG));
        }
        paths.extend(self.shards.iter().map(|shard| shard.path().to_owned()));
        let line = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Ok(format!("{name} {}\n", files::sha256_file(path)?))
        };
        let lines: Result<Vec<String>, ModelError> =
            paths.par_iter().filter(|path| path.is_file()).map(line).collect();
        Ok(files::sha256_bytes(lines?.concat().as_bytes()))
    }
}
