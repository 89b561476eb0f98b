//! How a configuration wants its tokens found.

use onejump_core::drafting::{Card, Reading, Shape};
use onejump_core::files;
use onejump_core::levels::Levels;
use onejump_core::observe::Observer;

use crate::GenerateError;
use crate::config::{Config, Level, Mode, Sureness, precision};
use crate::decoder::Way;
use crate::drafter::{Drafter, Jump, Ngram};
use crate::early::{Amount, Calibration, Exits};
use crate::loaded::{Loaded, Opened};
use crate::pace::Pace;
use crate::prompts;

/// What a [`Way`] borrows.
pub(crate) enum Means {
    /// Drafters, which draft while that pays.
    Verify {
        drafters: Vec<Drafter>,
        pace: Option<Pace>,
    },
    Exit(Exits),
}

impl Means {
    /// All blocks and nothing else.
    pub const FULL: Self = Self::Verify { drafters: Vec::new(), pace: None };

    pub fn way(&self) -> Way<'_> {
        match self {
            Self::Verify { drafters, .. } => Way::Verify(drafters),
            Self::Exit(exits) => Way::Exit(exits),
        }
    }

    /// When drafts are left out.
    pub fn pace(&self) -> Option<Pace> {
        if let Self::Verify { pace, .. } = self { pace.clone() } else { None }
    }

    /// What a configuration asks for.
    pub fn new(config: &Config, loaded: &Loaded, observer: &dyn Observer) -> Result<Self, GenerateError> {
        match config.mode {
            Mode::Full => Ok(Self::FULL),
            Mode::Speculative => drafters(config, loaded),
            Mode::Exit => Ok(Self::Exit(exits(config, loaded, observer)?)),
        }
    }
}

/// The levels that are read, before anything is loaded.
pub(crate) fn levels(config: &Config, opened: &Opened) -> Result<Levels, GenerateError> {
    let blocks = opened.outline.blocks;
    let levels = match &config.level {
        Some(Level::At(levels)) => levels.clone(),
        Some(Level::Auto) if config.mode == Mode::Speculative && config.card.is_some() => Levels::new([]),
        Some(Level::Auto) => return Err(GenerateError::NoCard),
        None if config.mode == Mode::Exit => {
            Levels::new((1..=Config::GATES).map(|index| index * blocks / (Config::GATES + 1)))
        }
        None => Levels::new([]),
    };
    levels.as_slice().iter().try_for_each(|&level| opened.check_level(level))?;
    if config.mode == Mode::Speculative && levels.as_slice().len() > 1 {
        return Err(GenerateError::SeveralLevels { levels });
    }
    Ok(levels)
}

/// The text so far, and where that has nothing, a level.
fn drafters(config: &Config, loaded: &Loaded) -> Result<Means, GenerateError> {
    let (mut drafters, mut pace) = (Vec::new(), None);
    if let Some(length) = config.ngram {
        drafters.push(Drafter::Ngram(Ngram::new(length, config.most_drafts.unwrap_or(Ngram::MOST))));
    }
    let levels = levels(config, &loaded.opened)?;
    for gate in loaded.gates(config.jump.as_deref(), levels.as_slice())? {
        if gate.head.reads_previous()
            && config.siblings.is_none()
            && config.most_drafts.is_some_and(|most| most > 1)
        {
            return Err(GenerateError::ReadsPrevious { what: "--draft-max above 1" });
        }
        let chain = Shape::Chain(config.most_drafts.unwrap_or(Jump::MOST));
        drafters.push(Drafter::Jump(Jump::new(gate, config.siblings.map_or(chain, Shape::Siblings))));
    }
    if config.level == Some(Level::Auto) {
        let reading = reading(config, loaded)?;
        if reading.speedup > 1.0 {
            loaded.opened.check_level(reading.level)?;
            for gate in loaded.gates(config.jump.as_deref(), &[reading.level])? {
                drafters.push(Drafter::Jump(Jump::new(gate, reading.shape)));
            }
            pace = Some(Pace::new(&reading));
        }
    }
    Ok(Means::Verify { drafters, pace })
}

/// What pays most by the card, with the jump that was given or the model's own head.
fn reading(config: &Config, loaded: &Loaded) -> Result<Reading, GenerateError> {
    let Some(path) = &config.card else { return Err(GenerateError::NoCard) };
    let other = |what| GenerateError::OtherCard { path: path.clone(), what };
    let card = Card::read(path)?;
    if card.model_sha256 != loaded.opened.checkpoint.sha256()? {
        return Err(other("model"));
    }
    if card.weights != precision(config.place) {
        return Err(other("precision or device"));
    }
    let jump_sha256 = config.jump.as_deref().map(files::sha256_file).transpose()?;
    card.best_of(jump_sha256.as_deref()).cloned().ok_or_else(|| other("jump"))
}

fn exits(config: &Config, loaded: &Loaded, observer: &dyn Observer) -> Result<Exits, GenerateError> {
    let gates = loaded.gates(config.jump.as_deref(), levels(config, &loaded.opened)?.as_slice())?;
    if gates.iter().any(|gate| gate.head.reads_previous()) {
        return Err(GenerateError::ReadsPrevious { what: "--mode exit" });
    }
    let threshold = match config.sureness {
        Sureness::Threshold(threshold) => threshold,
        Sureness::Agreement(agreement) => {
            let prompts = prompts::encoded(&loaded.opened)?;
            let amount = Amount { prompts: &prompts, tokens: prompts::TOKENS, threads: config.threads };
            Calibration::measure(&loaded.model, &loaded.head, &gates, amount, observer)?.threshold(agreement)
        }
    };
    Ok(Exits { gates, threshold, key_values: config.key_values })
}
