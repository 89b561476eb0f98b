//! What every level answers at every position, through every method.

use std::path::PathBuf;

use onejump_core::observe::{Observer, Task};
use onejump_core::shortcut::ShortcutKind;
use onejump_exit::{Candidate, ExitHead, SharedHead};
use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::Place;
use onejump_models::head::Head;
use onejump_models::transformer::{Outline, Sampled, Transformer};
use onejump_tensor::threads;
use rayon::prelude::*;
use tch::Tensor;

use crate::LensError;
use crate::cells::{Asked, Cell, Divergence, cells};
use crate::config::{Config, Metric};
use crate::methods::{Reader, Source};
use crate::text::Text;
use crate::words::Words;

/// A text's way through the levels of a model.
pub struct Lens {
    /// The model, as it was named.
    pub model: String,
    /// `model_type` of its configuration.
    pub architecture: String,
    /// H.
    pub hidden_size: usize,
    /// K.
    pub blocks: usize,
    /// V.
    pub vocab_size: usize,
    /// What colours tell.
    pub metric: Metric,
    /// How probable an answer must be for an exit: more than this.
    pub threshold: f64,
    /// The levels that were looked at, ascending; the last is K, the model itself.
    pub levels: Vec<usize>,
    /// The positions that are shown, ascending.
    pub columns: Vec<Column>,
    /// Through what the levels were read; the first is the identity.
    pub methods: Vec<Method>,
    /// The tokens in words.
    pub words: Words,
}

/// A position of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its place, counted from 0.
    pub position: usize,
    /// The text's token there.
    pub token: i64,
    /// The token that the text goes on with; none at its end.
    pub next: Option<i64>,
    /// The token that the model would go on with: the most likely one at level K, the true top token of the metrics.
    pub answer: i64,
}

/// What one way to read levels shows.
#[derive(Debug)]
pub struct Method {
    /// The kind of its maps.
    pub kind: ShortcutKind,
    /// The kind with what tells it from others, as in "ojfa (jump 16, rank 5)".
    pub title: String,
    /// The file of its maps; none for the identity.
    pub path: Option<PathBuf>,
    /// How many parameters its maps have.
    pub parameters: u64,
    /// By level, then by position. The last level is the model itself, without a map.
    pub cells: Vec<Vec<Cell>>,
}

/// Runs the model over the text once, and reads its levels.
///
/// # Errors
/// [`LensError`] if there is no text, or it is too long, or what is named cannot be read or is of another model.
pub fn look(config: &Config, observer: &dyn Observer) -> Result<Lens, LensError> {
    if !(0.0..=1.0).contains(&config.threshold) {
        return Err(LensError::Threshold(config.threshold));
    }
    let mut checkpoint = Checkpoint::open_observed(&config.model, observer)?;
    let outline = Outline::of(&checkpoint)?;
    let levels = levels(config, outline.blocks)?;
    let Text { tokens, words } = Text::read(config, &checkpoint, &outline)?;
    let positions = positions(config, tokens.len())?;
    let methods = 1 + config.shortcuts.len();
    check_cells(config, &outline, positions.len(), levels.len(), methods)?;
    let sources = Source::all(&config.shortcuts, &checkpoint, &outline)?;
    observer.check()?;
    let model = Transformer::load(&mut checkpoint, Place::CPU)?;
    let text = Sampled { tokens: &tokens, positions: &positions };
    let states = model.states_of(&levels, &[text])?; // (levels, R, H)
    let head = SharedHead::new(&Head::load(&mut checkpoint, Place::CPU)?);
    observer.check()?;
    let next = positions.iter().map(|&position| tokens.get(position + 1).copied()).collect();
    let truth = Truth::of(&states.f_get(-1)?, next, head, config.metric == Metric::Kl)?;
    let column = |(place, &position): (usize, &usize)| {
        let Asked { tokens: answers, next } = &truth.asked;
        Column { position, token: tokens[position], next: next[place], answer: answers[place] }
    };
    let columns = positions.iter().enumerate().map(column).collect();
    let methods = read(sources, &levels, &states, &truth, observer)?;
    let architecture = checkpoint.architecture()?.to_owned();
    let Outline { hidden_size, blocks, vocab_size, .. } = outline;
    Ok(Lens {
        model: config.model.clone(),
        architecture,
        hidden_size,
        blocks,
        vocab_size,
        metric: config.metric,
        threshold: config.threshold,
        levels,
        columns,
        methods,
        words,
    })
}

/// The levels that are looked at; the last is always K.
fn levels(config: &Config, blocks: usize) -> Result<Vec<usize>, LensError> {
    let Some(levels) = &config.levels else { return Ok((0..=blocks).collect()) };
    let mut levels = levels.as_slice().to_vec();
    if let Some(&level) = levels.iter().find(|&&level| level > blocks) {
        return Err(LensError::Level { level, blocks });
    }
    if levels.last() != Some(&blocks) {
        levels.push(blocks);
    }
    Ok(levels)
}

/// The positions that are shown of so many tokens.
fn positions(config: &Config, tokens: usize) -> Result<Vec<usize>, LensError> {
    match config.last {
        Some(0) => Err(LensError::LastZero),
        last => Ok((tokens.saturating_sub(last.unwrap_or(tokens))..tokens).collect()),
    }
}

fn check_cells(
    config: &Config,
    outline: &Outline,
    positions: usize,
    levels: usize,
    methods: usize,
) -> Result<(), LensError> {
    match config.most_cells {
        Some(most) if positions * levels * methods > most => {
            Err(LensError::Cells { positions, levels, methods, blocks: outline.blocks, most })
        }
        _ => Ok(()),
    }
}

/// Reads every level through every source: the levels before K each on a thread, and K, which is the same for all, once.
fn read(
    sources: Vec<Source>,
    levels: &[usize],
    states: &Tensor,
    truth: &Truth,
    observer: &dyn Observer,
) -> Result<Vec<Method>, LensError> {
    let exits = &levels[..levels.len() - 1];
    let mut jobs = Vec::with_capacity(sources.len() * exits.len());
    for source in &sources {
        let readers = source.readers(exits, truth.asked.tokens.len(), &truth.head)?;
        for (place, (reader, &level)) in readers.into_iter().zip(exits).enumerate() {
            let (states, divergence) = (states.f_get(place as i64)?, truth.divergence.as_ref());
            let method = source.title.as_str();
            jobs.push(Job {
                method,
                level,
                reader,
                states,
                divergence: divergence.map(Divergence::shallow_clone),
            });
        }
    }
    let (total, asked) = (jobs.len() as u64, &truth.asked);
    let meter = observer.begin(Task { name: "levels", unit: "methods × levels", total });
    let done = threads::pool()?.install(|| {
        jobs.into_par_iter()
            .with_max_len(1)
            .map(|job| {
                observer.check()?;
                let cells = job.run(asked)?;
                meter.advance(1);
                Ok(cells)
            })
            .collect::<Result<Vec<_>, LensError>>()
    })?;
    let mut done = done.into_iter();
    let with_cells = |source: Source| {
        let cells = done.by_ref().take(exits.len()).chain([truth.cells.clone()]).collect();
        let Source { kind, title, path, parameters, .. } = source;
        Method { kind, title, path, parameters, cells }
    };
    Ok(sources.into_iter().map(with_cells).collect())
}

/// One level through one source.
struct Job<'a> {
    method: &'a str,
    level: usize,
    reader: Reader,
    /// (R, H).
    states: Tensor,
    divergence: Option<Divergence>,
}

impl Job<'_> {
    fn run(self, asked: &Asked) -> Result<Vec<Cell>, LensError> {
        let exit = self.reader.prepare()?;
        let approximated = exit.approximate(&self.states)?;
        let references = exit.logits_of(&approximated, &asked.tokens)?;
        let kl = self.divergence.map(|divergence| divergence.of(&approximated.normed)).transpose()?;
        let not_finite = || LensError::NotFinite { method: self.method.to_owned(), level: self.level };
        cells(&exit, &approximated, asked, &references, kl)?.ok_or_else(not_finite)
    }
}

/// What the model itself says at each position.
struct Truth {
    head: SharedHead,
    asked: Asked,
    /// At level K.
    cells: Vec<Cell>,
    /// From level K, where it is asked for.
    divergence: Option<Divergence>,
}

impl Truth {
    /// Of final states (R, H), and the tokens that the text goes on with.
    fn of(
        states: &Tensor,
        next: Vec<Option<i64>>,
        head: SharedHead,
        with_divergence: bool,
    ) -> Result<Self, LensError> {
        let exit = ExitHead::new(None, &head)?;
        let approximated = exit.approximate(states)?;
        let best = exit.best(states, 1)?.into_iter().map(|best| best.tokens.first().copied());
        let not_finite = || LensError::NotFinite { method: "the model".to_owned(), level: 0 };
        let best: Vec<Candidate> = best.collect::<Option<_>>().ok_or_else(not_finite)?;
        let asked = Asked { tokens: best.iter().map(|best| best.token).collect(), next };
        let references: Vec<f32> = best.iter().map(|best| best.logit).collect();
        let kl = with_divergence.then(|| vec![0.0; best.len()]);
        let cells = cells(&exit, &approximated, &asked, &references, kl)?.ok_or_else(not_finite)?;
        let normed = approximated.normed;
        let divergence = with_divergence.then(|| Divergence::new(normed, &head));
        Ok(Self { head, asked, cells, divergence })
    }
}
