//! How fast a session decodes on this machine, and what several rows cost beside one:
//!
//! `cargo run --release -p onejump-models --example session -- [MODEL] [THREADS | cuda] [f32 | bf16 | f16]`

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::{Batch, Choice, Place, parse_dtype};
use onejump_models::head;
use onejump_models::session::{Head, Model, Session};

/// Tokens of the text that the timed ones come behind.
const BEFORE: usize = 64;
const TURNS: usize = 15;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().unwrap_or_else(|| "smollm2-135m".into());
    let (mut threads, mut place, mut own) = (0, Place::DECODING, Place::CPU);
    match arguments.next() {
        Some(device) if device.starts_with("cuda") => {
            let dtype = parse_dtype(arguments.next().as_deref().unwrap_or("f32"))?;
            place = Place { device: Choice::of(&device)?.device, dtype, batch: Batch::Many };
            own = place;
        }
        Some(count) => threads = count.parse()?,
        None => {}
    }
    let start = Instant::now();
    let mut checkpoint = Checkpoint::open(&model)?;
    let model = Arc::new(Model::load_in(&mut checkpoint, place)?);
    let head = Head::new(&head::Head::load(&mut checkpoint, own)?, &model)?;
    println!("loaded in {:.1} s", start.elapsed().as_secs_f64());
    let bytes = model.bytes() + head.bytes();
    println!("a token reads {:.0} MB", bytes as f64 / 1e6);

    let mut session = Session::new(&model, BEFORE + 8, threads)?;
    let start = Instant::now();
    session.push(&[1; BEFORE])?;
    session.advance(model.blocks(), BEFORE)?;
    session.logits(&head, BEFORE - 1..BEFORE)?; // a GPU has computed when its answer is here
    println!("prompt: {:.0} tokens/s", BEFORE as f64 / start.elapsed().as_secs_f64());
    let mut one = 0.0;
    for rows in [1, 2, 3, 4, 6, 8] {
        let mut least = Duration::MAX;
        for _ in 0..TURNS {
            session.truncate(BEFORE);
            let start = Instant::now();
            session.push(&vec![2; rows])?;
            session.advance(model.blocks(), session.len())?;
            session.logits(&head, BEFORE..BEFORE + rows)?;
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
