//! Conversations in a checkpoint's own form: its Jinja template, as transformers' `apply_chat_template` renders it.
//!
//! ```no_run
//! use onejump_models::chat::{Ending, Message, Role};
//! use onejump_models::checkpoint::Checkpoint;
//!
//! let checkpoint = Checkpoint::open("smollm2-135m")?;
//! let template = checkpoint.chat_template()?;
//! let messages = [Message::new(Role::User, "What is a shortcut?")];
//! let text = template.render(&messages, Ending::Answer)?; // ends where the model's answer begins
//! let tokens = checkpoint.tokenizer()?.encode(text, false); // the template has put all special tokens
//! # Ok::<(), onejump_models::ModelError>(())
//! ```

mod functions;
mod marks;
pub(crate) mod source;

use std::collections::BTreeMap;
use std::path::PathBuf;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, context};
use serde::{Deserialize, Serialize};

use crate::ModelError;

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Who sets the rules.
    System,
    /// Who asks.
    User,
    /// The model.
    Assistant,
}

/// Something that is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// By whom.
    pub role: Role,
    /// What.
    pub content: String,
}

impl Message {
    /// What somebody says.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

/// How a rendered conversation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Behind its last message.
    Closed,
    /// Where the model's answer begins.
    Answer,
}

/// The form that a checkpoint gives conversations.
#[derive(Debug)]
pub struct ChatTemplate {
    path: PathBuf,
    environment: Environment<'static>,
    /// `bos_token` and others, with their texts.
    tokens: BTreeMap<String, String>,
}

/// What the template is called in the environment.
const NAME: &str = "chat_template";

/// So many steps of a template are enough for any conversation; one that never ends is stopped.
const FUEL: u64 = 50_000_000;

impl ChatTemplate {
    /// Reads a template. `path` is where it comes from, for errors.
    pub(crate) fn new(
        path: PathBuf,
        source: &str,
        tokens: BTreeMap<String, String>,
    ) -> Result<Self, ModelError> {
        let mut environment = Environment::new();
        // As transformers sets it.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        let syntax = syntax.map_err(|error| Self::refused(&path, &error))?;
        environment.set_syntax(syntax);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        functions::add(&mut environment);
        let refused = |error: minijinja::Error| Self::refused(&path, &error);
        environment.add_template_owned(NAME, marks::without(source)).map_err(refused)?;
        Ok(Self { path, environment, tokens })
    }

    /// A conversation in the form that the model knows. All special tokens are in it.
    ///
    /// # Errors
    /// [`ModelError::ChatTemplate`] if the template refuses the conversation, such as a system's message where the model
    /// knows none.
    pub fn render(&self, messages: &[Message], ending: Ending) -> Result<String, ModelError> {
        let refused = |error: minijinja::Error| Self::refused(&self.path, &error);
        let template = self.environment.get_template(NAME).map_err(refused)?;
        let add_generation_prompt = ending == Ending::Answer;
        let own = context! { messages => Serde(messages), add_generation_prompt };
        template.render(context! { ..own, ..Value::from(Serde(&self.tokens)) }).map_err(refused)
    }

    fn refused(path: &std::path::Path, error: &minijinja::Error) -> ModelError {
        let reason = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        let line = error.line().map_or_else(String::new, |line| format!(" (line {line})"));
        ModelError::ChatTemplate { path: path.to_owned(), reason: format!("{reason}{line}") }
    }
}
