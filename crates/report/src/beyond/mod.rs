//! What comes after the paper's own comparisons: intervals, transfer between levels, more ranks and more
//! jumps, dynamic exit, sensitivity. One section each, of those that the run has tables for.

mod certainty;
mod exit;
mod jumps;
mod sensitivity;
mod transfer;

use onejump_core::results::MethodName;

use crate::run::Run;
use crate::section::Section;

/// The sections, in the order in which a reader asks.
pub fn sections(run: &Run) -> Vec<Section> {
    let analyses = &run.analyses;
    let constant = run.summary.averages.iter().find(|average| average.method.name == MethodName::Constant);
    let constant = constant.map(|average| average.all.precision_1);
    let sections = [
        certainty::section(analyses),
        transfer::section(analyses),
        jumps::section(analyses),
        exit::section(&analyses.exit, constant),
        sensitivity::section(&analyses.averages),
    ];
    sections.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_run_without_analyses_has_no_further_sections() {
        assert!(sections(&sample::run(12, &[5])).is_empty());
    }
}
