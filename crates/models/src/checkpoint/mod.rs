//! Checkpoints: configuration, tensors and tokenizer, from a Hugging Face directory or a GGUF file.

mod directory;
mod prefix_space;
mod quantised;
mod safetensors;
mod text_part;
mod unread;

use std::path::{Path, PathBuf};

use onejump_core::files;
use onejump_core::observe::{Observer, Silent};
use onejump_fetch::checkpoint::GENERATION;
use onejump_gguf::GgufFile;
use serde_json::Value;
use tch::Tensor;
use tokenizers::Tokenizer;

use crate::ModelError;
use crate::chat::{self, ChatTemplate};
use crate::config_keys::Keys;
use crate::device::Place;
use directory::Directory;
use unread::Part;

/// The names that families have for the unembedding: GPT-NeoX's own is that of saved files.
const UNEMBEDDINGS: [&str; 2] = ["lm_head.weight", "embed_out.weight"];

/// An open checkpoint: a Hugging Face directory or a GGUF file. Tensors are read when asked for.
pub struct Checkpoint {
    path: PathBuf,
    config: Value,
    source: Source,
}

enum Source {
    Directory(Directory),
    Gguf(Box<GgufFile>),
}

impl Checkpoint {
    /// Opens what the user named: a directory, a `.gguf` file, a hub id such as
    /// `openai-community/gpt2-xl`, or a built-in model. The last two are downloaded where they are not in the cache.
    ///
    /// # Errors
    /// [`ModelError`] if there is no such model, or its files cannot be had or read.
    pub fn open(model: &str) -> Result<Self, ModelError> {
        Self::open_observed(model, &Silent)
    }

    /// The same; a download is shown to `observer`.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open_observed(model: &str, observer: &dyn Observer) -> Result<Self, ModelError> {
        let path = onejump_fetch::model(model, observer)?;
        let (config, source) = if path.is_dir() {
            let config = text_part::of(&path, Directory::config(&path)?)?;
            (config, Source::Directory(Directory::open(&path)?))
        } else {
            let mut gguf = GgufFile::open(&path)?;
            (gguf.config()?, Source::Gguf(Box::new(gguf)))
        };
        Ok(Self { path, config, source })
    }

    /// The directory or file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The configuration, as `config.json` says it.
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// The configuration as a struct that mirrors `config.json`, once every key is accounted for. A directory's gets
    /// transformers' values where it says nothing; llama.cpp has its own, which a GGUF file's already has.
    pub(crate) fn parse_config<C: serde::de::DeserializeOwned>(&self, keys: &Keys) -> Result<C, ModelError> {
        let mut config = self.config.clone();
        if !self.is_gguf() {
            keys.complete(&mut config);
        }
        keys.check(&self.path, &config)?;
        serde_json::from_value(config).map_err(|error| {
            ModelError::checkpoint(&self.path, format!("its configuration is not understood: {error}"))
        })
    }

    /// `model_type` of the configuration.
    ///
    /// # Errors
    /// [`ModelError`] if the configuration has none.
    pub fn architecture(&self) -> Result<&str, ModelError> {
        self.config["model_type"]
            .as_str()
            .ok_or_else(|| ModelError::checkpoint(&self.path, "config.json has no 'model_type'"))
    }

    /// The id of the beginning-of-sequence token, where the configuration names one.
    pub fn bos_id(&self) -> Option<i64> {
        self.config["bos_token_id"].as_i64()
    }

    /// The id of the token behind a text, where the configuration names one; the first of several.
    pub fn eos_id(&self) -> Option<i64> {
        match &self.source {
            Source::Directory(_) => match &self.config["eos_token_id"] {
                Value::Array(ids) => ids.first().and_then(Value::as_i64),
                id => id.as_i64(),
            }
            .filter(|&id| id >= 0),
            Source::Gguf(gguf) => gguf.end_ids().first().copied(),
        }
    }

    /// Whether it is a GGUF file.
    pub(crate) fn is_gguf(&self) -> bool {
        matches!(self.source, Source::Gguf(_))
    }

    /// The ids of the tokens that end a text: what `config.json` and `generation_config.json` name, or a GGUF file's
    /// tokens for the end of a text and of a turn.
    ///
    /// # Errors
    /// [`ModelError`] if `generation_config.json` cannot be read.
    pub fn end_ids(&self) -> Result<Vec<i64>, ModelError> {
        let mut ids = match &self.source {
            Source::Directory(_) => {
                let file = self.path.join(GENERATION);
                let generation: Value = if file.is_file() { files::read_json(&file)? } else { Value::Null };
                let named = |config: &Value| match &config["eos_token_id"] {
                    Value::Array(ids) => ids.iter().filter_map(Value::as_i64).collect(),
                    id => Vec::from_iter(id.as_i64()),
                };
                [named(&self.config), named(&generation)].concat()
            }
            Source::Gguf(gguf) => gguf.end_ids(),
        };
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// The form that the checkpoint gives conversations.
    ///
    /// # Errors
    /// [`ModelError::NoChatTemplate`] if it has none, [`ModelError::ChatTemplate`] if it is not understood.
    pub fn chat_template(&self) -> Result<ChatTemplate, ModelError> {
        match &self.source {
            Source::Directory(_) => chat::source::directory(&self.path),
            Source::Gguf(gguf) => chat::source::gguf(&self.path, gguf),
        }
    }

    /// How many values all tensors have together.
    pub fn parameters(&self) -> u64 {
        match &self.source {
            Source::Directory(directory) => directory.parameters(),
            Source::Gguf(gguf) => gguf.parameters(),
        }
    }

    /// Whether there is a tensor of this Hugging Face name.
    pub fn has_tensor(&self, name: &str) -> bool {
        match &self.source {
            Source::Directory(directory) => directory.has_tensor(name),
            Source::Gguf(gguf) => gguf.has_tensor(name),
        }
    }

    /// The name of its unembedding, where it has one beside or in place of the embedding.
    pub(crate) fn unembedding(&self) -> Option<&'static str> {
        UNEMBEDDINGS.into_iter().find(|name| self.has_tensor(name))
    }

    /// The tensor of a Hugging Face name, of the shape given, in the place's type.
    ///
    /// # Errors
    /// [`ModelError`] if it is missing, of another shape, empty, or holds NaN or infinity.
    pub fn tensor(&mut self, name: &str, shape: &[i64], place: Place) -> Result<Tensor, ModelError> {
        let tensor = match &mut self.source {
            Source::Directory(directory) => directory.tensor(name, place.device)?,
            // What a GGUF file has too much of is refused with its configuration.
            Source::Gguf(gguf) => {
                let tensor = gguf.tensor(name)?;
                let shape: Vec<_> = tensor.shape.iter().map(|&length| length as i64).collect();
                Tensor::f_from_slice(&tensor.values)?.f_reshape(shape)?.f_to_device(place.device)?
            }
        };
        let (path, owned) = (|| self.path.clone(), || name.to_owned());
        if tensor.size() != shape {
            let (found, expected) = (tensor.size(), shape.to_vec());
            return Err(ModelError::TensorShape { path: path(), name: owned(), found, expected });
        }
        if tensor.numel() == 0 {
            let reason = format!("tensor '{name}' has no values: {shape:?}");
            return Err(ModelError::checkpoint(&self.path, reason));
        }
        let tensor = tensor.f_to_kind(place.dtype)?;
        // One pass and no temporary tensors: a NaN is both the least and the greatest of any values.
        let (least, greatest) = tensor.f_aminmax(None, false)?;
        if ![least, greatest].iter().all(|value| value.double_value(&[]).is_finite()) {
            return Err(ModelError::NotFinite { path: path(), name: owned() });
        }
        Ok(tensor)
    }

    /// Refuses tensors of the blocks or beside the embedding that nobody has read: the states would not be the
    /// model's. Others are named in the log.
    pub(crate) fn check_blocks_are_read(&self) -> Result<(), ModelError> {
        let unread = self.unread(|part| matches!(part, Part::Block(_) | Part::Input));
        if let Some(name) = unread.first() {
            let reason = match Part::of(name) {
                Part::Block(block) if block as u64 >= self.blocks() => "the configuration has fewer blocks",
                _ => {
                    "nothing in the configuration says what to do with them, and without them the hidden states would \
                     not be the model's"
                }
            };
            let reason = reason.to_owned();
            return Err(ModelError::UnreadTensors { path: self.path.clone(), names: unread, reason });
        }
        let others = self.unread(|part| matches!(part, Part::OtherHead | Part::Elsewhere));
        if !others.is_empty() {
            tracing::debug!("{}: tensors that are not read: {}", self.path.display(), others.join(", "));
        }
        Ok(())
    }

    /// Refuses tensors of the head that nobody has read, and a head for another task in place of the language model's.
    pub(crate) fn check_head_is_read(&self) -> Result<(), ModelError> {
        let replaced = self.unembedding().is_none();
        let unread = self.unread(|part| part == Part::Head || part == Part::OtherHead && replaced);
        if unread.is_empty() {
            return Ok(());
        }
        let reason = "the head is not that of a language model; hidden states can be captured, but not turned into tokens";
        Err(ModelError::UnreadTensors { path: self.path.clone(), names: unread, reason: reason.into() })
    }

    /// The tensors of some parts that nobody has read, by name.
    fn unread(&self, wanted: impl Fn(Part) -> bool) -> Vec<String> {
        let Source::Directory(directory) = &self.source else { return Vec::new() };
        let unread = directory.unread().filter(|(_, part)| wanted(*part));
        unread.map(|(name, _)| name.to_owned()).collect()
    }

    /// K, where the configuration says it.
    fn blocks(&self) -> u64 {
        let blocks = self.config.get("num_hidden_layers").or(self.config.get("n_layer"));
        blocks.and_then(Value::as_u64).unwrap_or(u64::MAX)
    }

    /// The model's own tokenizer.
    ///
    /// # Errors
    /// [`ModelError`] if the checkpoint has none, or it is not understood.
    pub fn tokenizer(&self) -> Result<Tokenizer, ModelError> {
        match &self.source {
            Source::Directory(directory) => directory.tokenizer(&self.config),
            Source::Gguf(gguf) => Ok(gguf.tokenizer()?),
        }
    }

    /// SHA-256 that stands for the checkpoint: of the GGUF file, over those of its parts, or over the names and contents of
    /// the directory's configuration, tokenizer and weights.
    ///
    /// # Errors
    /// [`ModelError`] if a file cannot be read.
    pub fn sha256(&self) -> Result<String, ModelError> {
        match &self.source {
            Source::Directory(directory) => directory.sha256(&self.config),
            Source::Gguf(gguf) => {
                let parts: Result<Vec<String>, _> = gguf.paths().map(files::sha256_file).collect();
                match &parts?[..] {
                    [whole] => Ok(whole.clone()),
                    parts => Ok(files::sha256_bytes(parts.join("\n").as_bytes())),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn weights_that_are_not_finite_or_empty_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), r#"{"model_type": "llama"}"#).unwrap();
        for dtype in [Kind::Float, Kind::BFloat16, Kind::Half] {
            for odd in [1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut values = vec![0.5f32; 300];
                values[170] = odd;
                let tensor = Tensor::from_slice(&values).to_kind(dtype);
                Tensor::write_safetensors(&[("w", tensor)], folder.path().join("model.safetensors")).unwrap();
                let mut checkpoint = Checkpoint::open(&folder.path().display().to_string()).unwrap();
                let read = checkpoint.tensor("w", &[300], Place { dtype, ..Place::CPU });
                assert_eq!(read.is_ok(), odd.is_finite(), "{dtype:?} {odd}");
            }
        }
        let empty = Tensor::zeros([4, 0], (Kind::Float, tch::Device::Cpu));
        Tensor::write_safetensors(&[("w", empty)], folder.path().join("model.safetensors")).unwrap();
        let mut checkpoint = Checkpoint::open(&folder.path().display().to_string()).unwrap();
        let error = checkpoint.tensor("w", &[4, 0], Place::CPU).unwrap_err().to_string();
        assert!(error.contains("tensor 'w' has no values"), "{error}");
    }

    #[test]
    fn a_caller_can_tell_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), r#"{"model_type": "bert"}"#).unwrap();
        let open = || Checkpoint::open(&folder.path().display().to_string());
        assert!(matches!(open(), Err(ModelError::Fetch(onejump_fetch::FetchError::NoWeights { .. }))));
        let tensor = Tensor::zeros([4, 2], (Kind::Float, tch::Device::Cpu));
        Tensor::write_safetensors(&[("w", tensor)], folder.path().join("model.safetensors")).unwrap();
        let mut checkpoint = open().unwrap();
        let missing = checkpoint.tensor("x", &[4, 2], Place::CPU).unwrap_err();
        assert!(matches!(&missing, ModelError::MissingTensor { name, .. } if name == "x"));
        let shape = checkpoint.tensor("w", &[2, 4], Place::CPU).unwrap_err();
        assert!(shape.to_string().contains("has the shape [4, 2], the configuration asks for [2, 4]"));
        assert!(matches!(shape, ModelError::TensorShape { .. }));
        assert!(matches!(checkpoint.tokenizer(), Err(ModelError::NoTokenizer { .. })));
        let unknown = crate::head::Head::load(&mut checkpoint, Place::CPU).err().unwrap();
        assert!(
            unknown.to_string().ends_with(
                "known: gemma2, gemma3_text, gpt2, gpt_neox, llama, mistral, olmo2, olmo3, phi3, qwen2, qwen3, smollm3"
            )
        );
        assert!(
            matches!(unknown, ModelError::UnknownArchitecture { model_type, .. } if model_type == "bert")
        );
    }
}
