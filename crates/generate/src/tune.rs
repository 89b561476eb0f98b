//! Measures what drafting pays with this model on this machine.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use onejump_core::drafting::{Card, Costs, Reading, Shape, WithoutLooks};
use onejump_core::files;
use onejump_core::levels::Levels;
use onejump_core::observe::Observer;
use onejump_models::device::Place;
use onejump_models::session::Session;
use serde::Serialize;

use crate::GenerateError;
use crate::config::{Chat, precision};
use crate::drafter::Ngram;
use crate::early::{Amount, Calibration, Gate};
use crate::loaded::{Loaded, Opened};
use crate::prompts;

/// What is measured.
#[derive(Debug, Clone)]
pub struct Tuning {
    /// A directory, a GGUF file, a hub id or a built-in model.
    pub model: String,
    /// Files of shortcuts; the model's own head alone where there are none.
    pub jumps: Vec<PathBuf>,
    /// The levels that are tried; all exit levels without.
    pub levels: Option<Levels>,
    /// What the model begins with, a line each; some of our own without.
    pub prompts: Option<PathBuf>,
    /// Whether each is said to the model in a conversation.
    pub chat: bool,
    /// Where the model computes.
    pub place: Place,
    /// Where the texts go, a line of JSON each.
    pub texts: Option<PathBuf>,
    /// How many tokens it adds to each.
    pub tokens: usize,
    /// Threads; 0 is one for each processor.
    pub threads: usize,
}

impl Tuning {
    /// How many tokens the model adds to each prompt, if nothing else is said.
    pub const TOKENS: usize = prompts::TOKENS;
}

/// How many rows together are measured: a token and five drafts.
const MOST_ROWS: usize = 6;

/// How often each time is taken; the median counts.
const REPEATS: usize = 9;

/// How many tokens stand before those that are timed.
const BEFORE: usize = 64;

/// Measures every shortcut at every level, and what passes cost.
///
/// # Errors
/// [`GenerateError`] if the model, a shortcut or the prompts cannot be used, or the observer asks to stop.
pub fn tune(tuning: &Tuning, observer: &dyn Observer) -> Result<Card, GenerateError> {
    let opened = Opened::new(&tuning.model, observer)?;
    let levels = tuning.levels.clone().unwrap_or_else(|| Levels::new(0..opened.outline.blocks));
    levels.as_slice().iter().try_for_each(|&level| opened.check_level(level))?;
    let chat = tuning.chat.then(Chat::default);
    let prompts = match &tuning.prompts {
        Some(path) => prompts::read(path)?,
        None => prompts::own(),
    };
    let prompts = prompts.iter().map(|prompt| opened.begun(prompt, chat.as_ref()));
    let prompts: Vec<Vec<i64>> = prompts.collect::<Result<_, _>>()?;
    let loaded = opened.load(tuning.place, observer)?;
    let costs = costs(&loaded, tuning.threads, observer)?;
    let jumps: Vec<Option<&PathBuf>> =
        if tuning.jumps.is_empty() { vec![None] } else { tuning.jumps.iter().map(Some).collect() };
    // One text is looked at through all of them. A state climbs through the model once, so levels come in order.
    let (mut gates, mut plain): (Vec<Gate>, Vec<_>) = (Vec::new(), Vec::new());
    for jump in jumps {
        let own = loaded.gates(jump.map(PathBuf::as_path), levels.as_slice())?;
        let look_share = look_share(&loaded, own.first(), tuning.threads)?;
        let jump_sha256 = jump.map(|path| files::sha256_file(path)).transpose()?;
        plain.extend(own.iter().map(|gate| Reading {
            jump_sha256: jump_sha256.clone(),
            jump: jump.map(|path| path.display().to_string()),
            level: gate.level,
            acceptance: Vec::new(),
            look_share,
            shape: Shape::Chain(1),
            speedup: 0.0,
        }));
        gates.extend(own);
    }
    let mut order: Vec<usize> = (0..gates.len()).collect();
    order.sort_by_key(|&index| gates[index].level);
    let climbing: Vec<Gate> = order.iter().map(|&index| gates[index].clone()).collect();
    let amount = Amount { prompts: &prompts, tokens: tuning.tokens, threads: tuning.threads };
    let seen = Calibration::measure(&loaded.model, &loaded.head, &climbing, amount, observer)?;
    for (place, index) in order.into_iter().enumerate() {
        plain[index].acceptance = (1..MOST_ROWS).map(|best| seen.acceptance(place, best)).collect();
    }
    if let Some(path) = &tuning.texts {
        write_texts(&loaded.opened, &seen, path)?;
    }
    let longest = |gate: &Gate| if gate.head.reads_previous() { 1 } else { MOST_ROWS };
    let readings = plain.into_iter().zip(&gates).map(|(reading, gate)| costs.best(reading, longest(gate)));
    let readings: Vec<Reading> = readings.collect();
    let best = readings.iter().max_by(|a, b| a.speedup.total_cmp(&b.speedup));
    Ok(Card {
        model_sha256: loaded.opened.checkpoint.sha256()?,
        weights: precision(tuning.place),
        threads: tuning.threads,
        costs,
        tokens: prompts.len() * tuning.tokens,
        without_looks: WithoutLooks {
            ngram: seen.without_looks(|text, _| ngram(text)),
            bigram: seen.without_looks(bigram),
        },
        best: best.filter(|best| best.speedup > 1.0).cloned(),
        readings,
    })
}

/// A text that the model wrote.
#[derive(Serialize)]
struct Text<'a> {
    text: String,
    input_ids: &'a [i64],
    prompt_tokens: usize,
}

/// Writes the texts of a calibration, with their prompts.
fn write_texts(opened: &Opened, seen: &Calibration, path: &Path) -> Result<(), GenerateError> {
    let mut lines = String::new();
    for (input_ids, prompt_tokens) in seen.texts() {
        let ids: Vec<u32> = input_ids.iter().map(|&id| id as u32).collect();
        let decode = |skip: bool| opened.tokenizer.decode(&ids, skip).map_err(|error| opened.refused(error));
        // Without the tokens that the tokenizer itself puts before a text.
        let (bare, whole) = (decode(true)?, decode(false)?);
        let text = if opened.encode(&whole, true)? == *input_ids { whole } else { bare };
        lines += &serde_json::to_string(&Text { text, input_ids, prompt_tokens: *prompt_tokens })?;
        lines.push('\n');
    }
    Ok(files::write_bytes(path, lines.as_bytes())?)
}

/// What came behind the text's last tokens before.
fn ngram(text: &[i64]) -> Option<i64> {
    Ngram::new(Ngram::LENGTH, 1).continuation(text, 1).first().copied()
}

/// What comes most often behind the text's last token in others; among equals the smaller id.
fn bigram(text: &[i64], others: &[(Vec<i64>, usize)]) -> Option<i64> {
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    for (other, _) in others {
        for pair in other.windows(2).filter(|pair| Some(&pair[0]) == text.last()) {
            *counts.entry(pair[1]).or_default() += 1;
        }
    }
    counts.into_iter().max_by_key(|&(id, count)| (count, Reverse(id))).map(|(id, _)| id)
}

/// Times passes of one to six rows in turn, so that a machine that slows down does so for all of them.
fn costs(loaded: &Loaded, threads: usize, observer: &dyn Observer) -> Result<Costs, GenerateError> {
    let mut session = filled(loaded, threads)?;
    let blocks = session.blocks();
    let (mut all, mut early) = (vec![Vec::new(); MOST_ROWS], Vec::new());
    for _ in 0..REPEATS {
        observer.check()?;
        for (index, all) in all.iter_mut().enumerate() {
            session.truncate(BEFORE);
            let start = Instant::now();
            session.push(&vec![0; index + 1])?;
            session.advance(blocks, BEFORE + index + 1)?;
            if index == 0 {
                session.wait();
                early.push(start.elapsed().as_secs_f64() * 1e3);
            }
            session.logits(&loaded.head, BEFORE..BEFORE + index + 1)?;
            all.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    let all: Vec<f64> = all.into_iter().map(median).collect();
    let (token_ms, blocks_ms) = (all[0], median(early));
    Ok(Costs {
        token_ms,
        block_share: blocks_ms / token_ms / blocks as f64,
        rows: all.iter().map(|ms| ms / token_ms).collect(),
    })
}

/// What a look costs over a token, both timed in turn. All levels of a file have maps of one shape.
fn look_share(loaded: &Loaded, gate: Option<&Gate>, threads: usize) -> Result<f64, GenerateError> {
    let mut session = filled(loaded, threads)?;
    let Some(gate) = gate else { return Ok(0.0) };
    let mut shares = Vec::with_capacity(REPEATS);
    for _ in 0..REPEATS {
        session.truncate(BEFORE);
        let start = Instant::now();
        session.push(&[0])?;
        session.advance(session.blocks(), BEFORE + 1)?;
        session.logits(&loaded.head, BEFORE..BEFORE + 1)?;
        let token = start.elapsed();
        let start = Instant::now();
        gate.head.look(&session, &loaded.head, BEFORE)?;
        shares.push(start.elapsed().as_secs_f64() / token.as_secs_f64());
    }
    Ok(median(shares))
}

/// A session with some tokens in it.
fn filled(loaded: &Loaded, threads: usize) -> Result<Session, GenerateError> {
    let mut session = Session::new(&loaded.model, BEFORE + MOST_ROWS, threads)?;
    session.push(&[0; BEFORE])?;
    session.advance(session.blocks(), BEFORE)?;
    Ok(session)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
