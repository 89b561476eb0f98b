//! A text from a prompt.

use std::sync::Arc;
use std::time::Instant;

use onejump_core::observe::Observer;
use onejump_exit::SessionHead;
use onejump_models::ModelError;
use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::Place;
use onejump_models::head;
use onejump_models::session::{Head, Model, Session};
use onejump_models::transformer::Outline;
use onejump_shortcuts::file::ShortcutFile;
use tokenizers::Tokenizer;

use crate::GenerateError;
use crate::config::{Config, Mode};
use crate::decoder::{Decoder, Step};
use crate::drafter::{Drafter, Jump, Ngram};
use crate::outcome::{End, Outcome, Times};
use crate::text::Stops;

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
    config.sampling.check()?;
    let start = Instant::now();
    let loaded = Loaded::new(config, observer)?;
    let load_ms = Times::ms(start.elapsed());
    let mut outcome = loaded.run(config, config.mode, observer, take)?;
    outcome.times.load_ms = load_ms;
    if config.check {
        let wanted = outcome.tokens.len();
        let full = Config { tokens: wanted, ..config.clone() };
        let full = loaded.run(&full, Mode::Full, observer, |_| true)?;
        let pairs = full.tokens.iter().zip(&outcome.tokens);
        let same = pairs.take_while(|(full, ours)| full == ours).count();
        if same < wanted || full.tokens.len() != wanted {
            return Err(GenerateError::Differs { position: same });
        }
        outcome.full_ms = Some(full.times.generation_ms);
    }
    Ok(outcome)
}

/// What is loaded once.
struct Loaded {
    checkpoint: Checkpoint,
    tokenizer: Tokenizer,
    prompt: Vec<i64>,
    context: usize,
    model: Arc<Model>,
    head: Head,
    drafters: Vec<Drafter>,
    ends: Vec<i64>,
}

impl Loaded {
    fn new(config: &Config, observer: &dyn Observer) -> Result<Self, GenerateError> {
        let mut checkpoint = Checkpoint::open_observed(&config.model, observer)?;
        let tokenizer = checkpoint.tokenizer()?;
        let ends = if config.ignore_ends { Vec::new() } else { checkpoint.end_ids()? };
        // What is wrong with the configuration is said before weights are read.
        let outline = Outline::of(&checkpoint)?;
        let prompt = prompt(config, &checkpoint, &tokenizer)?;
        let context = config.context.unwrap_or(outline.context.min(Config::CONTEXT));
        if context > outline.context {
            let found = context;
            return Err(ModelError::SequenceLength { found, context: outline.context as i64 }.into());
        }
        if prompt.len() >= context {
            return Err(GenerateError::LongPrompt { tokens: prompt.len(), context });
        }
        if let Some(level) = config.level.filter(|&level| level >= outline.blocks) {
            return Err(GenerateError::Level { level, blocks: outline.blocks });
        }
        let model = Arc::new(Model::load(&mut checkpoint)?);
        observer.check()?;
        let head = head::Head::load(&mut checkpoint, Place::CPU)?;
        let drafters = match config.mode {
            Mode::Full => Vec::new(),
            Mode::Speculative => drafters(config, &checkpoint, &model, &head)?,
        };
        let head = Head::new(&head, &model)?;
        Ok(Self { checkpoint, tokenizer, prompt, context, model, head, drafters, ends })
    }

    fn refused(&self, error: tokenizers::Error) -> GenerateError {
        refused(&self.checkpoint, error)
    }

    fn run(
        &self,
        config: &Config,
        mode: Mode,
        observer: &dyn Observer,
        mut take: impl FnMut(&str) -> bool,
    ) -> Result<Outcome, GenerateError> {
        let (prompt, context) = (&self.prompt, self.context);
        let start = Instant::now();
        let session = Session::new(&self.model, context, config.threads)?;
        let drafters = if mode == Mode::Full { &[] } else { &self.drafters[..] };
        let mut decoder = Decoder::new(session, &self.head, prompt, config.sampling, drafters, &self.ends)?;
        let prompt_ms = Times::ms(start.elapsed());

        let start = Instant::now();
        let mut characters = self.tokenizer.decode_stream(true);
        for &token in prompt {
            characters.step(token as u32).map_err(|error| self.refused(error))?;
        }
        let (mut tokens, mut text, mut stops) = (Vec::new(), String::new(), Stops::new(&config.stop));
        let end = 'text: loop {
            let room = context - prompt.len() - tokens.len();
            let most = room.min(config.tokens - tokens.len());
            if most == 0 {
                break if room == 0 { End::Context } else { End::Tokens };
            }
            observer.check()?;
            for &token in decoder.step(Step { most })? {
                tokens.push(token);
                if self.ends.contains(&token) {
                    break 'text End::EndToken;
                }
                let piece = characters.step(token as u32).map_err(|error| self.refused(error))?;
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
        let times = Times { load_ms: 0.0, prompt_ms, generation_ms: Times::ms(start.elapsed()) };
        let (prompt_tokens, drafts) = (prompt.len(), decoder.drafts());
        Ok(Outcome { text, tokens, end, mode, prompt_tokens, drafts, times, full_ms: None })
    }
}

/// The prompt in tokens. The end token that some tokenizers put behind every text would end it, and goes.
fn prompt(
    config: &Config,
    checkpoint: &Checkpoint,
    tokenizer: &Tokenizer,
) -> Result<Vec<i64>, GenerateError> {
    let encode = |special| {
        let encoding = tokenizer.encode(config.prompt.as_str(), special);
        let encoding = encoding.map_err(|error| refused(checkpoint, error))?;
        Ok::<Vec<i64>, GenerateError>(encoding.get_ids().iter().map(|&id| id.into()).collect())
    };
    let (mut tokens, plain, ends) = (encode(true)?, encode(false)?, checkpoint.end_ids()?);
    if !tokens.ends_with(&plain) {
        tokens.pop_if(|last| ends.contains(last));
    }
    if tokens.is_empty() { Err(GenerateError::EmptyPrompt) } else { Ok(tokens) }
}

fn refused(checkpoint: &Checkpoint, error: tokenizers::Error) -> GenerateError {
    GenerateError::Tokenizer { path: checkpoint.path().to_owned(), reason: error.to_string() }
}

/// What drafts: the text so far, and where that has nothing, the jump behind the model's head, or the head alone.
fn drafters(
    config: &Config,
    checkpoint: &Checkpoint,
    model: &Model,
    head: &head::Head,
) -> Result<Vec<Drafter>, GenerateError> {
    let mut drafters = Vec::new();
    if let Some(length) = config.ngram {
        drafters.push(Drafter::Ngram(Ngram::new(length, config.most_drafts.unwrap_or(Ngram::MOST))));
    }
    if let Some(level) = config.level {
        let most = config.most_drafts.unwrap_or(Jump::MOST);
        let head = match &config.jump {
            None => SessionHead::new(None, head)?,
            Some(path) => {
                let jump = ShortcutFile::read(path)?;
                jump.check_model(path, &checkpoint.sha256()?, model.hidden_size(), model.blocks())?;
                SessionHead::new(Some(jump.map_at(level)?), head)?
            }
        };
        drafters.push(Drafter::Jump(Jump::new(head, level, most)));
    }
    Ok(drafters)
}
