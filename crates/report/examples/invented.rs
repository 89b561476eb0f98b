//! Writes the results of an invented run and its report: `cargo run -p onejump-report --example invented -- DIR`.
//!
//! For working on the look of the report without a model.

use std::path::PathBuf;

use onejump_core::files;
use onejump_core::layout::RunLayout;
use onejump_program::say;
use onejump_report::{report, run::Run};
use onejump_store::analyses::write_rows;
use onejump_store::tables;

#[path = "../sample/mod.rs"]
mod sample;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("which folder?")?);
    let blocks = arguments.next().map_or(Ok(30), |blocks| blocks.parse())?;
    let ranks = arguments.map(|rank| rank.parse()).collect::<Result<Vec<usize>, _>>()?;
    let ranks = if ranks.is_empty() { &[5, 57] } else { ranks.as_slice() };
    let invented = sample::run(blocks, ranks);
    let layout = RunLayout::new(&folder);
    files::write_json(&layout.summary(), &invented.summary)?;
    tables::write_per_level(&layout.per_level(), &invented.levels)?;
    let analyses = sample::analyses(blocks, ranks);
    let table = |name: &str| layout.results().join(format!("{name}.parquet"));
    write_rows(&table("averages"), &analyses.averages)?;
    write_rows(&table("differences"), &analyses.differences)?;
    write_rows(&table("transfer"), &analyses.transfer)?;
    write_rows(&table("jumps"), &analyses.jumps)?;
    write_rows(&table("regret"), &analyses.regret)?;
    write_rows(&table("subsets"), &analyses.subsets)?;
    write_rows(&table("exit"), &analyses.exit)?;
    for path in report(&Run::read(&folder)?, &folder)? {
        say!("wrote {}", path.display());
    }
    Ok(())
}
