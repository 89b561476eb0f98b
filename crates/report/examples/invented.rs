//! Writes the results of an invented run and its report: `cargo run -p onejump-report --example invented -- DIR`.
//!
//! For working on the look of the report without a model.

use std::path::PathBuf;

use onejump_program::say;
use onejump_report::{report, run::Run};

#[path = "../sample/mod.rs"]
mod sample;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("which folder?")?);
    let blocks = arguments.next().map_or(Ok(30), |blocks| blocks.parse())?;
    let ranks = arguments.map(|rank| rank.parse()).collect::<Result<Vec<usize>, _>>()?;
    sample::write(&folder, blocks, if ranks.is_empty() { &[5, 57] } else { &ranks })?;
    for path in report(&Run::read(&folder)?, &folder)? {
        say!("wrote {}", path.display());
    }
    Ok(())
}
