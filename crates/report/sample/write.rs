//! The results of an invented run, in the files that a report reads.

use std::path::Path;

use onejump_core::files;
use onejump_core::layout::RunLayout;
use onejump_store::analyses::write_rows;
use onejump_store::tables;

/// Writes the results, with those of every further analysis.
///
/// # Errors
/// If a file cannot be written.
pub fn write(folder: &Path, blocks: usize, ranks: &[usize]) -> Result<(), Box<dyn std::error::Error>> {
    let (invented, analyses) = (super::run(blocks, ranks), super::analyses(blocks, ranks));
    let layout = RunLayout::new(folder);
    files::write_json(&layout.summary(), &invented.summary)?;
    tables::write_per_level(&layout.per_level(), &invented.levels)?;
    super::drafting(blocks).write(&layout.drafting())?;
    let table = |name: &str| layout.results().join(format!("{name}.parquet"));
    write_rows(&table("averages"), &analyses.averages)?;
    write_rows(&table("differences"), &analyses.differences)?;
    write_rows(&table("transfer"), &analyses.transfer)?;
    write_rows(&table("jumps"), &analyses.jumps)?;
    write_rows(&table("regret"), &analyses.regret)?;
    write_rows(&table("subsets"), &analyses.subsets)?;
    write_rows(&table("classes"), &analyses.classes)?;
    write_rows(&table("exit"), &analyses.exit)?;
    Ok(())
}
