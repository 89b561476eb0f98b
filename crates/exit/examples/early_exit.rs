//! Stops at the first level that is sure of the next token, and runs no block behind it:
//!
//! `cargo run --release --example early_exit -- smollm2-135m ojfa.safetensors "The capital of France is"`

#![allow(clippy::print_stdout)]

use std::error::Error;

use onejump_exit::models::checkpoint::Checkpoint;
use onejump_exit::models::device::Place;
use onejump_exit::models::{head::Head, transformer::Transformer};
use onejump_exit::shortcuts::file::ShortcutFile;
use onejump_exit::{ExitHead, SharedHead};

/// The probability that is sure enough.
const SURE: f64 = 0.9;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, jump, prompt] = &arguments[..] else {
        return Err("usage: early_exit MODEL JUMP PROMPT".into());
    };
    let mut checkpoint = Checkpoint::open(model)?;
    let (tokenizer, model) = (checkpoint.tokenizer()?, Transformer::load(&mut checkpoint, Place::CPU)?);
    let head = SharedHead::new(&Head::load(&mut checkpoint, Place::CPU)?);
    let jump = ShortcutFile::read(jump.as_ref())?;
    let early = ExitHead::new(Some(jump.map_at(0)?), &head)?; // One map serves all levels.
    let full = ExitHead::new(None, &head)?;

    let encoding = tokenizer.encode(prompt.as_str(), true).map_err(|error| error.to_string())?;
    let tokens: Vec<i64> = encoding.get_ids().iter().map(|&id| id.into()).collect();
    let mut walk = model.start(&[&tokens])?;
    let look = loop {
        let exit = if walk.level() < model.blocks() { &early } else { &full };
        let look = exit.look(&walk.state()?)?[0];
        if look.probability() >= SURE || walk.level() == model.blocks() {
            break look;
        }
        walk.advance()?;
    };
    let token = tokenizer.decode(&[look.token as u32], false).map_err(|error| error.to_string())?;
    let (level, blocks) = (walk.level(), model.blocks());
    println!("{token:?} after {level} of {blocks} blocks, with a probability of {:.2}", look.probability());
    Ok(())
}
