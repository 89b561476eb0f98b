//! How fast a session decodes on this machine, and what several rows cost beside one:
//!
//! `cargo run --release -p onejump-models --example session -- [MODEL] [THREADS]`

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::Place;
use onejump_models::head;
use onejump_models::session::{Head, Model, Session};

/// Tokens of the text that the timed ones come behind.
const BEFORE: usize = 64;
const TURNS: usize = 15;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().unwrap_or_else(|| "smollm2-135m".into());
    let threads = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let start = Instant::now();
    let mut checkpoint = Checkpoint::open(&model)?;
    let model = Arc::new(Model::load(&mut checkpoint)?);
    let head = Head::new(&head::Head::load(&mut checkpoint, Place::CPU)?, &model)?;
    println!("loaded in {:.1} s", start.elapsed().as_secs_f64());
    let bytes = model.bytes() + head.bytes();
    println!("a token reads {:.0} MB", bytes as f64 / 1e6);

    let mut session = Session::new(&model, BEFORE + 8, threads)?;
    let start = Instant::now();
    session.push(&[1; BEFORE])?;
    session.advance(model.blocks(), BEFORE)?;
    println!("prompt: {:.0} tokens/s", BEFORE as f64 / start.elapsed().as_secs_f64());
    let mut one = 0.0;
    for rows in [1, 2, 3, 4, 6, 8] {
        let mut least = Duration::MAX;
        for _ in 0..TURNS {
            session.truncate(BEFORE);
            let start = Instant::now();
            session.push(&vec![2; rows])?;
            session.advance(model.blocks(), session.len())?;
            session.logits(&head, BEFORE..BEFORE + rows);
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
