//! Several turns with a model.

use std::time::Instant;

use onejump_core::observe::Observer;
use onejump_models::chat::{Ending, Message, Role};
use onejump_models::session::Session;

use crate::GenerateError;
use crate::config::{Chat, Config};
use crate::decoder::Decoder;
use crate::loaded::Opened;
use crate::outcome::{Outcome, Times};
use crate::run::write;
use crate::way::{self, Means};

/// Answers what `next` asks, until it has nothing more. `take` gets each answer as it comes, as in
/// [`generate`](crate::generate), and `told` what it took. States of what was said before are kept.
///
/// # Errors
/// As [`generate`](crate::generate); [`GenerateError::LongPrompt`] also where the conversation has become too long.
pub fn converse(
    config: &Config,
    observer: &dyn Observer,
    mut next: impl FnMut() -> Option<String>,
    mut take: impl FnMut(&str) -> bool,
    mut told: impl FnMut(&Outcome),
) -> Result<Vec<Outcome>, GenerateError> {
    config.check()?;
    let start = Instant::now();
    let opened = Opened::new(&config.model, observer)?;
    let (template, context) = (opened.checkpoint.chat_template()?, opened.room(config.context)?);
    way::levels(config, &opened)?;
    let loaded = opened.load(config.place, observer)?;
    let means = Means::new(config, &loaded, observer)?;
    let mut load_ms = Times::ms(start.elapsed());
    let ends = if config.ignore_ends { &[] } else { &loaded.opened.ends[..] };
    let session = Session::new(&loaded.model, context, config.threads)?;
    let mut decoder =
        Decoder::new(session, &loaded.head, &[], config.sampling, means.way(), ends)?.paced(means.pace());
    let mut messages = config.chat.as_ref().map(Chat::opening).unwrap_or_default();
    let mut outcomes = Vec::new();
    while let Some(asked) = next() {
        messages.push(Message::new(Role::User, asked));
        let start = Instant::now();
        let prompt = loaded.opened.encode(&template.render(&messages, Ending::Answer)?, false)?;
        if prompt.len() >= context {
            return Err(GenerateError::LongPrompt { tokens: prompt.len(), context });
        }
        decoder.restart(&prompt)?;
        let prompt_ms = Times::ms(start.elapsed());
        let start = Instant::now();
        let written = write(&mut decoder, &loaded, config, observer, &mut take)?;
        let times = Times { load_ms, prompt_ms, generation_ms: Times::ms(start.elapsed()) };
        let outcome = Outcome::new(written, &decoder, config.mode, prompt.len(), times);
        told(&outcome);
        messages.push(Message::new(Role::Assistant, &*outcome.text));
        outcomes.push(outcome);
        load_ms = 0.0;
    }
    Ok(outcomes)
}
