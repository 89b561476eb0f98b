//! How fast a model reads a prompt and writes a text.

use std::time::{Duration, Instant};

use onejump_core::observe::{Observer, Task};
use onejump_models::session::Session;
use serde::Serialize;

use crate::GenerateError;
use crate::config::{Config, Mode};
use crate::decoder::{Decoder, Step};
use crate::loaded::{Loaded, Opened};
use crate::way::{self, Means};

/// What is timed.
#[derive(Debug, Clone)]
pub struct Bench {
    /// The model, the mode and the text that is written; its end tokens do not count.
    pub config: Config,
    /// Others whose way of finding tokens is timed too, with the same model and texts.
    pub others: Vec<Config>,
    /// What texts begin with in place of the configuration's prompt.
    pub prompts: Vec<String>,
    /// How many tokens are read at once.
    pub prompt: usize,
    /// How often.
    pub repeats: usize,
}

/// Rates of some repeats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rate {
    /// The mean, in tokens per second.
    pub mean: f64,
    /// The standard deviation.
    pub sd: f64,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Rates {
    /// The bytes of weights that a token reads.
    pub bytes: usize,
    /// A prompt.
    pub prompt: Rate,
    /// A text in full.
    pub full: Rate,
    /// A text in the configuration's mode, if that is not in full, and as each of the others says.
    pub modes: Vec<Timed>,
}

/// A mode beside a text in full.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Timed {
    /// The mode.
    pub mode: Mode,
    /// A text.
    pub rate: Rate,
    /// How many times as fast that is: mean and standard deviation over runs in turn.
    pub ratio: Rate,
}

impl Rate {
    /// Of some values.
    fn of(values: &[f64]) -> Self {
        let count = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self { mean, sd: (squares / (count - 1.0).max(1.0)).sqrt() }
    }
}

/// Times a prompt and a text, in full and in each mode that was asked for in turn.
///
/// # Errors
/// [`GenerateError`] as for a text.
pub fn bench(bench: &Bench, observer: &dyn Observer) -> Result<Rates, GenerateError> {
    let config = &bench.config;
    let own = Some(config).filter(|config| config.mode != Mode::Full);
    let others: Vec<&Config> = own.into_iter().chain(&bench.others).collect();
    config.check()?;
    others.iter().try_for_each(|config| config.check())?;
    let opened = Opened::new(&config.model, observer)?;
    let prompts =
        if bench.prompts.is_empty() { std::slice::from_ref(&config.prompt) } else { &bench.prompts[..] };
    let begun = |prompt: &String| opened.begun(prompt, config.chat.as_ref());
    let texts: Vec<Vec<i64>> = prompts.iter().map(begun).collect::<Result<_, _>>()?;
    let (longest, room) = (texts.iter().map(Vec::len).max().unwrap_or(0), opened.room(config.context)?);
    let tokens = (longest + config.tokens).max(bench.prompt);
    if tokens > room {
        return Err(GenerateError::LongPrompt { tokens, context: room });
    }
    others.iter().try_for_each(|config| way::levels(config, &opened).map(drop))?;
    let loaded = opened.load(config.place, observer)?;
    let means = |config: &&Config| Means::new(config, &loaded, observer);
    let means: Vec<Means> = others.iter().map(means).collect::<Result<_, _>>()?;
    let (mut prompt, mut full, mut modes) = (Vec::new(), Vec::new(), vec![Vec::new(); means.len()]);
    let total = (bench.repeats.max(1) * texts.len() * (1 + means.len())) as u64;
    let meter = observer.begin(Task { name: "bench", unit: "texts", total });
    for _ in 0..bench.repeats.max(1) {
        observer.check()?;
        prompt.push(read(&loaded, bench)?);
        let (mut in_full, mut in_modes) = (Duration::ZERO, vec![Duration::ZERO; means.len()]);
        for text in &texts {
            in_full += write(&loaded, config, text, &Means::FULL)?;
            meter.advance(1);
            for (in_mode, means) in in_modes.iter_mut().zip(&means) {
                observer.check()?;
                *in_mode += write(&loaded, config, text, means)?;
                meter.advance(1);
            }
        }
        let rate = |time: Duration| (texts.len() * config.tokens) as f64 / time.as_secs_f64();
        full.push(rate(in_full));
        modes.iter_mut().zip(in_modes).for_each(|(mode, time)| mode.push(rate(time)));
    }
    let timed = |(config, rates): (&&Config, &Vec<f64>)| {
        let ratios: Vec<f64> = rates.iter().zip(&full).map(|(mode, full)| mode / full).collect();
        Timed { mode: config.mode, rate: Rate::of(rates), ratio: Rate::of(&ratios) }
    };
    Ok(Rates {
        bytes: loaded.model.bytes() + loaded.head.bytes(),
        prompt: Rate::of(&prompt),
        full: Rate::of(&full),
        modes: others.iter().zip(&modes).map(timed).collect(),
    })
}

/// Tokens per second of a prompt.
fn read(loaded: &Loaded, bench: &Bench) -> Result<f64, GenerateError> {
    let count = bench.prompt.max(1);
    let mut session = Session::new(&loaded.model, count, bench.config.threads)?;
    let vocab_size = loaded.head.vocab_size();
    // Any tokens will do; these are spread over the vocabulary.
    let tokens: Vec<i64> = (0..count).map(|index| (index * 7919 % vocab_size) as i64).collect();
    let start = Instant::now();
    session.push(&tokens)?;
    session.advance(session.blocks(), count)?;
    session.wait();
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

/// How long the tokens take that are added to a text.
fn write(loaded: &Loaded, config: &Config, text: &[i64], means: &Means) -> Result<Duration, GenerateError> {
    let session = Session::new(&loaded.model, text.len() + config.tokens, config.threads)?;
    let decoder = Decoder::new(session, &loaded.head, text, config.sampling, means.way(), &[])?;
    let mut decoder = decoder.paced(means.pace());
    let (start, end) = (Instant::now(), text.len() + config.tokens);
    while decoder.text().len() < end {
        decoder.step(Step { most: end - decoder.text().len() })?;
    }
    Ok(start.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_means_with_their_spread() {
        assert_eq!(Rate::of(&[1.0, 2.0, 3.0]), Rate { mean: 2.0, sd: 1.0 });
        assert_eq!(Rate::of(&[4.0]), Rate { mean: 4.0, sd: 0.0 });
    }
}
