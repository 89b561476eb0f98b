//! A text from a prompt.

use std::time::Instant;

use onejump_core::observe::Observer;
use onejump_models::session::Session;

use crate::GenerateError;
use crate::check::{Check, Verdict};
use crate::config::{Config, Mode, is_exact, precision};
use crate::decoder::{Decoder, Step};
use crate::loaded::{Loaded, Opened};
use crate::outcome::{End, Outcome, Times, Written};
use crate::text::Stops;
use crate::way::{self, Means};

/// Goes on with a prompt. `take` gets the text that is added, whole characters as they come, and says whether it wants
/// more.
///
/// # Errors
/// [`GenerateError`] if the model, the jump or the prompt cannot be used, or the observer asks to stop.
pub fn generate(
    config: &Config,
    observer: &dyn Observer,
    take: impl FnMut(&str) -> bool,
) -> Result<Outcome, GenerateError> {
    config.check()?;
    let start = Instant::now();
    // What is wrong with the configuration is said before weights are read.
    let opened = Opened::new(&config.model, observer)?;
    let (prompt, context) =
        (opened.begun(&config.prompt, config.chat.as_ref())?, opened.room(config.context)?);
    if prompt.len() >= context {
        return Err(GenerateError::LongPrompt { tokens: prompt.len(), context });
    }
    way::levels(config, &opened)?;
    let loaded = opened.load(config.place, observer)?;
    let means = Means::new(config, &loaded, observer)?;
    let load_ms = Times::ms(start.elapsed());
    let run = Run { loaded: &loaded, config, prompt: &prompt, context };
    let mut outcome = run.write(&means, config.mode, observer, take)?;
    outcome.times.load_ms = load_ms;
    outcome.weights = precision(config.place);
    if config.check {
        outcome.check = Some(run.check(&outcome, observer)?);
    }
    Ok(outcome)
}

/// A text that is wanted of a model.
struct Run<'a> {
    loaded: &'a Loaded,
    config: &'a Config,
    prompt: &'a [i64],
    context: usize,
}

impl Run<'_> {
    fn write(
        &self,
        means: &Means,
        mode: Mode,
        observer: &dyn Observer,
        take: impl FnMut(&str) -> bool,
    ) -> Result<Outcome, GenerateError> {
        let Self { loaded, config, prompt, context } = *self;
        let start = Instant::now();
        let session = Session::new(&loaded.model, context, config.threads)?;
        let ends = if config.ignore_ends { &[] } else { &loaded.opened.ends[..] };
        let decoder = Decoder::new(session, &loaded.head, prompt, config.sampling, means.way(), ends)?;
        let mut decoder = decoder.paced(means.pace());
        let prompt_ms = Times::ms(start.elapsed());
        let start = Instant::now();
        let written = write(&mut decoder, loaded, config, observer, take)?;
        let generation_ms = Times::ms(start.elapsed());
        let times = Times { load_ms: 0.0, prompt_ms, generation_ms };
        Ok(Outcome::new(written, &decoder, mode, prompt.len(), times))
    }

    /// Runs in full, and lets the full model judge the text. What is lossless must be the same, but for a GPU's rounding.
    fn check(&self, outcome: &Outcome, observer: &dyn Observer) -> Result<Check, GenerateError> {
        let wanted = outcome.tokens.len();
        let config = Config { tokens: wanted, ..self.config.clone() };
        let Self { loaded, prompt, context, .. } = *self;
        let full = Run { loaded, config: &config, prompt, context }.write(
            &Means::FULL,
            Mode::Full,
            observer,
            |_| true,
        )?;
        let pairs = full.tokens.iter().zip(&outcome.tokens);
        let position = pairs.take_while(|(full, ours)| full == ours).count();
        let differs_at = (full.tokens != outcome.tokens).then_some(position);
        if self.config.mode != Mode::Exit && differs_at.is_some() && is_exact(config.place) {
            return Err(GenerateError::Differs { position });
        }
        let verdict = |tokens: &[i64]| {
            let session = Session::new(&self.loaded.model, self.context, config.threads)?;
            Verdict::of(session, &self.loaded.head, config.sampling, self.prompt, tokens, observer)
        };
        let (ours, theirs) = (verdict(&outcome.tokens)?, verdict(&full.tokens)?);
        Ok(Check {
            differs_at,
            full_ms: full.times.generation_ms,
            full_tokens: full.tokens.len(),
            agreement: ours.agreement,
            first_difference: ours.first_difference,
            surprisal: ours.surprisal,
            full_surprisal: theirs.surprisal,
        })
    }
}

/// Adds to a decoder's text until something ends it.
pub(crate) fn write(
    decoder: &mut Decoder<'_>,
    loaded: &Loaded,
    config: &Config,
    observer: &dyn Observer,
    mut take: impl FnMut(&str) -> bool,
) -> Result<Written, GenerateError> {
    let opened = &loaded.opened;
    let mut characters = opened.tokenizer.decode_stream(true);
    for &token in decoder.text() {
        characters.step(token as u32).map_err(|error| opened.refused(error))?;
    }
    let (mut tokens, mut text, mut stops) = (Vec::new(), String::new(), Stops::new(&config.stop));
    let end = 'text: loop {
        let room = decoder.room();
        let most = room.min(config.tokens - tokens.len());
        if most == 0 {
            break if room == 0 { End::Context } else { End::Tokens };
        }
        observer.check()?;
        for &token in decoder.step(Step { most })? {
            tokens.push(token);
            if !config.ignore_ends && opened.ends.contains(&token) {
                break 'text End::EndToken;
            }
            let piece = characters.step(token as u32).map_err(|error| opened.refused(error))?;
            let shown = stops.push(&piece.unwrap_or_default());
            text += &shown;
            if !shown.is_empty() && !take(&shown) {
                break 'text End::Taker;
            }
            if stops.found {
                break 'text End::Stop;
            }
        }
    };
    let held = stops.finish();
    if end != End::Taker && !held.is_empty() {
        take(&held);
    }
    text += &held;
    Ok(Written { text, tokens, end })
}
