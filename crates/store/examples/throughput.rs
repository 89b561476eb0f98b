//! How fast the store writes and reads the states of a folder: `throughput HIDDEN SCRATCH`. One line of JSON
//! a type: bytes of the values as f32, bytes on disk, seconds to write all levels as one part, seconds to read each
//! once from it; and one for the folder as it is, whose parts are read beside each other.

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use onejump_program::say;
use onejump_store::StoreError;
use onejump_store::dtype::StoreDtype;
use onejump_store::hidden::HiddenStates;
use onejump_store::part::{PartRows, read_level, write_part};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(folder), Some(scratch)) = (arguments.next(), arguments.next()) else {
        return Err("usage: throughput HIDDEN SCRATCH".into());
    };
    let hidden = HiddenStates::open(folder)?;
    let (samples, width, levels) = (hidden.samples(), hidden.hidden_size(), hidden.blocks() + 1);
    let raw = 4 * samples * levels * width;
    let started = Instant::now();
    for level in 0..levels {
        std::hint::black_box(hidden.level(level)?);
    }
    let read = started.elapsed().as_secs_f64();
    let disk: u64 = hidden.manifest().parts.iter().map(|part| part.bytes).sum();
    say!("{{\"format\": \"parts\", \"raw\": {raw}, \"disk\": {disk}, \"read\": {read}}}");
    let rows = PartRows {
        sample_ids: (0..samples as u64).collect(),
        sentences: vec![None; samples],
        token_ids: vec![vec![0]; samples],
        positions: vec![0; samples],
        texts: None,
        levels: (0..levels)
            .map(|level| Ok((level, hidden.level(level)?)))
            .collect::<Result<_, StoreError>>()?,
    };
    for dtype in [StoreDtype::F32, StoreDtype::F16, StoreDtype::Bf16] {
        let path = scratch.join(format!("{}.parquet", dtype.name()));
        let started = Instant::now();
        write_part(&path, &rows, width, dtype)?;
        let write = started.elapsed().as_secs_f64();
        let started = Instant::now();
        for level in 0..levels {
            std::hint::black_box(read_level(&path, level, width)?);
        }
        let read = started.elapsed().as_secs_f64();
        let disk = std::fs::metadata(&path)?.len();
        say!(
            "{{\"format\": \"{}\", \"raw\": {raw}, \"disk\": {disk}, \"write\": {write}, \"read\": {read}}}",
            dtype.name()
        );
    }
    Ok(())
}
