//! How fast a session decodes, and what several rows cost beside one:
//!
//! `cargo run --release -p onejump-models --example session -- [MODEL] [THREADS | cuda | tensors] [f32 | bf16 | f16] [check]`
//!
//! `tensors` is what a GPU computes, on the CPU; `check` compares the last level's states with those of the CPU's slices. For
//! `cuda` start it with `LD_PRELOAD=…/libtorch_cuda.so`: the library is not linked.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onejump_models::ModelError;
use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::{Batch, Choice, Place, parse_dtype};
use onejump_models::head;
use onejump_models::session::{Head, Model, Session};

/// Tokens of the text that the timed ones come behind, where the model takes as many.
const BEFORE: usize = 64;
const MOST_ROWS: usize = 8;
/// Tokens of a text.
const WRITTEN: usize = 64;
const TURNS: usize = 15;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |index: usize| arguments.get(index).map(String::as_str);
    let dtype = parse_dtype(argument(2).unwrap_or("f32"))?;
    let (threads, place) = match argument(1) {
        Some("tensors") => (0, Place { dtype, ..Place::CPU }),
        Some(device) if device.starts_with("cuda") => {
            (0, Place { device: Choice::of(device)?.device, dtype, batch: Batch::Many })
        }
        Some(count) => (count.parse()?, Place::DECODING),
        None => (0, Place::DECODING),
    };
    let start = Instant::now();
    let mut checkpoint = Checkpoint::open(argument(0).unwrap_or("smollm2-135m"))?;
    let model = Arc::new(Model::load_in(&mut checkpoint, place)?);
    let head = Head::new(&head::Head::load(&mut checkpoint, place)?, &model)?;
    println!("loaded in {:.1} s", start.elapsed().as_secs_f64());
    let bytes = model.bytes() + head.bytes();
    println!("a token reads {:.0} MB", bytes as f64 / 1e6);

    let before = BEFORE.min(model.context().saturating_sub(MOST_ROWS)).max(1);
    let written = WRITTEN.min(model.context() - before);
    let tokens: Vec<i64> =
        (0..before + MOST_ROWS).map(|index| (index * 7919 % head.vocab_size()) as i64).collect();
    if argument(3) == Some("check") {
        let slices = Arc::new(Model::load(&mut checkpoint)?);
        let (ours, expected) = (states(&model, &tokens)?, states(&slices, &tokens)?);
        println!("states: relative error {:.1e} against slices on the CPU", error(&ours, &expected));
    }
    let mut session = Session::new(&model, before + MOST_ROWS.max(written), threads)?;
    let start = Instant::now();
    session.push(&tokens[..before])?;
    session.advance(model.blocks(), before)?;
    session.wait();
    println!("prompt: {:.0} tokens/s", before as f64 / start.elapsed().as_secs_f64());
    let start = Instant::now();
    let mut token = tokens[before];
    for _ in 0..written {
        session.push(&[token])?;
        session.advance(model.blocks(), session.len())?;
        let logits = session.logits(&head, session.len() - 1..session.len())?;
        let best = logits.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
        token = best.map_or(0, |(index, _)| index as i64);
    }
    println!("a text: {:.1} tokens/s", written as f64 / start.elapsed().as_secs_f64());
    let mut one = 0.0;
    for rows in [1, 2, 3, 4, 6, MOST_ROWS] {
        let mut least = Duration::MAX;
        for _ in 0..TURNS {
            session.truncate(before);
            let start = Instant::now();
            session.push(&tokens[before..before + rows])?;
            session.advance(model.blocks(), session.len())?;
            session.logits(&head, before..before + rows)?;
            least = least.min(start.elapsed());
        }
        let seconds = least.as_secs_f64();
        if rows == 1 {
            one = seconds;
            println!("one token: {:.1} tokens/s, {:.1} GB/s", 1.0 / seconds, bytes as f64 / seconds / 1e9);
        } else {
            println!("v({rows}) = {:.2}", seconds / one);
        }
    }
    Ok(())
}

/// The last level's states of a text: the first half at once, then tokens one by one, two siblings behind each.
fn states(model: &Arc<Model>, tokens: &[i64]) -> Result<Vec<f32>, ModelError> {
    let (blocks, count) = (model.blocks(), tokens.len() - 2);
    let mut session = Session::new(model, tokens.len(), 0)?;
    session.push(&tokens[..count / 2])?;
    session.advance(blocks, count / 2)?;
    for &token in &tokens[count / 2..count] {
        session.push_siblings(&[tokens[0], token])?;
        session.advance(blocks, session.len())?;
        session.choose(Some(1))?;
    }
    Ok(session.states(0..count)?.to_vec())
}

fn error(ours: &[f32], expected: &[f32]) -> f64 {
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
    let pairs = ours.iter().zip(expected);
    let difference = square(&mut pairs.map(|(ours, expected)| f64::from(ours - expected)));
    (difference / square(&mut expected.iter().map(|&value| f64::from(value)))).sqrt()
}
