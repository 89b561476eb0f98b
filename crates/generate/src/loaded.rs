//! What is opened and loaded once.

use std::path::Path;
use std::sync::Arc;

use onejump_core::observe::Observer;
use onejump_exit::SessionHead;
use onejump_models::ModelError;
use onejump_models::chat::{Ending, Message, Role};
use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::Place;
use onejump_models::head;
use onejump_models::session::{Format, Head, Model};
use onejump_models::transformer::Outline;
use onejump_shortcuts::file::{Maps, ShortcutFile};
use tokenizers::Tokenizer;

use crate::GenerateError;
use crate::config::{Chat, Config, is_exact};
use crate::early::Gate;

/// How a fused head's matrix is rounded: it is what a look reads. The model's own head is never rounded by it.
const LOOK: Option<Format> = Some(Format::Q8);

/// A checkpoint before its weights are read.
pub(crate) struct Opened {
    pub checkpoint: Checkpoint,
    pub tokenizer: Tokenizer,
    pub outline: Outline,
    /// The tokens that end a text.
    pub ends: Vec<i64>,
}

impl Opened {
    pub fn new(model: &str, observer: &dyn Observer) -> Result<Self, GenerateError> {
        let checkpoint = Checkpoint::open_observed(model, observer)?;
        let tokenizer = checkpoint.tokenizer()?;
        let (outline, ends) = (Outline::of(&checkpoint)?, checkpoint.end_ids()?);
        Ok(Self { checkpoint, tokenizer, outline, ends })
    }

    /// A prompt in tokens, with those that the tokenizer puts before a text. The end token that some put behind every
    /// text would end it, and goes.
    pub fn prompt(&self, text: &str) -> Result<Vec<i64>, GenerateError> {
        let (mut tokens, plain) = (self.encode(text, true)?, self.encode(text, false)?);
        if !tokens.ends_with(&plain) {
            tokens.pop_if(|last| self.ends.contains(last));
        }
        if tokens.is_empty() { Err(GenerateError::EmptyPrompt) } else { Ok(tokens) }
    }

    /// A prompt as it is, or said in a conversation.
    pub fn begun(&self, prompt: &str, chat: Option<&Chat>) -> Result<Vec<i64>, GenerateError> {
        let Some(chat) = chat else { return self.prompt(prompt) };
        let messages = [chat.opening(), vec![Message::new(Role::User, prompt)]].concat();
        self.encode(&self.checkpoint.chat_template()?.render(&messages, Ending::Answer)?, false)
    }

    /// A text in tokens, with or without those that the tokenizer puts around it.
    pub fn encode(&self, text: &str, around: bool) -> Result<Vec<i64>, GenerateError> {
        let encoding = self.tokenizer.encode(text, around).map_err(|error| self.refused(error))?;
        Ok(encoding.get_ids().iter().map(|&id| id.into()).collect())
    }

    pub fn refused(&self, error: tokenizers::Error) -> GenerateError {
        GenerateError::Tokenizer { path: self.checkpoint.path().to_owned(), reason: error.to_string() }
    }

    /// How much room a text gets.
    pub fn room(&self, wanted: Option<usize>) -> Result<usize, GenerateError> {
        let context = self.outline.context;
        match wanted.unwrap_or(context.min(Config::CONTEXT)) {
            found if found > context => {
                Err(ModelError::SequenceLength { found, context: context as i64 }.into())
            }
            room => Ok(room),
        }
    }

    /// Refuses a level that has no block behind it.
    pub fn check_level(&self, level: usize) -> Result<(), GenerateError> {
        let blocks = self.outline.blocks;
        if level < blocks { Ok(()) } else { Err(GenerateError::Level { level, blocks }) }
    }

    /// Reads the weights into a place.
    pub fn load(mut self, place: Place, observer: &dyn Observer) -> Result<Loaded, GenerateError> {
        let model = Arc::new(Model::load_in(&mut self.checkpoint, place)?);
        observer.check()?;
        let own = head::Head::load(&mut self.checkpoint, Place::CPU)?;
        let head = if is_exact(place) {
            Head::new(&own, &model)?
        } else {
            Head::new(&head::Head::load(&mut self.checkpoint, place)?, &model)?
        };
        Ok(Loaded { head, own, model, opened: self })
    }
}

/// A model that is ready.
pub(crate) struct Loaded {
    pub opened: Opened,
    pub model: Arc<Model>,
    pub head: Head,
    /// The head for maps before it.
    own: head::Head,
}

impl Loaded {
    /// What reads these levels: the maps of a file, or the head alone. Levels with one map share its head.
    pub fn gates(&self, jump: Option<&Path>, levels: &[usize]) -> Result<Vec<Gate>, GenerateError> {
        let gate = |&level: &usize, head: &Arc<SessionHead>| Gate { level, head: Arc::clone(head) };
        let Some(path) = jump else {
            let head = Arc::new(SessionHead::new(None, &self.own, &self.model, None)?);
            return Ok(levels.iter().map(|level| gate(level, &head)).collect());
        };
        let file = ShortcutFile::read_drafting(path)?;
        let sha256 = self.opened.checkpoint.sha256()?;
        file.check_model(path, &sha256, self.model.hidden_size(), self.model.blocks())?;
        if let Maps::One(map) = &file.maps {
            let head = SessionHead::new(Some(map), &self.own, &self.model, LOOK)?;
            let head = Arc::new(match &file.previous {
                Some(previous) => head.with_previous(previous, &self.model)?,
                None => head,
            });
            return Ok(levels.iter().map(|level| gate(level, &head)).collect());
        }
        levels
            .iter()
            .map(|level| {
                let head =
                    Arc::new(SessionHead::new(Some(file.map_at(*level)?), &self.own, &self.model, LOOK)?);
                Ok(gate(level, &head))
            })
            .collect()
    }
}
