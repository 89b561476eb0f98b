//! The states of a folder as plain f32 for a reader without Parquet: `raw HIDDEN FILE` writes level after level, each
//! (N, H), little-endian, and prints `K+1 N H`.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use onejump_program::say;
use onejump_store::hidden::HiddenStates;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(folder), Some(path)) = (arguments.next(), arguments.next()) else {
        return Err("usage: raw HIDDEN FILE".into());
    };
    let hidden = HiddenStates::open(folder)?;
    let levels = hidden.blocks() + 1;
    let mut file = BufWriter::new(File::create(path)?);
    for level in 0..levels {
        for value in hidden.level(level)? {
            file.write_all(&value.to_le_bytes())?;
        }
    }
    file.flush()?;
    say!("{levels} {} {}", hidden.samples(), hidden.hidden_size());
    Ok(())
}
