//! What comes after the paper's own comparisons: which shortcut the parameters buy, where a single jump loses, every jump at
//! every level, dynamic exit, drafts, sensitivity. One section each, of those that the run has tables for.

mod classes;
mod drafting;
mod exit;
mod frontier;
mod sensitivity;
mod sets;
mod transfer;

use onejump_core::results::MethodName;

use crate::run::Run;
use crate::setting::Setting;
use crate::shown::Section;
use sets::Sets;

/// The sections, in the order in which a reader asks.
pub fn sections(run: &Run) -> Vec<Section> {
    let analyses = &run.analyses;
    let sets = Sets { settings: Setting::all(run), sets: analyses.sets() };
    let constant = run.summary.averages.iter().find(|average| average.method.name == MethodName::Constant);
    let constant = constant.map(|average| average.all.precision_1);
    let sections = [
        frontier::section(analyses, &sets),
        classes::section(&analyses.classes),
        transfer::section(analyses, &sets),
        exit::section(&analyses.exit, constant),
        run.drafting.as_ref().and_then(drafting::section),
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

    #[test]
    fn every_setting_shows_one_set_of_jumps() {
        let run = Run { analyses: sample::analyses(12, &[57]), ..sample::run(12, &[5, 57]) };
        let section = sections(&run).into_iter().find(|section| section.id == "transfer").unwrap();
        let shown: Vec<String> = section
            .figures
            .iter()
            .map(|figure| serde_json::to_value(figure).unwrap()["settings"].to_string())
            .collect();
        assert_eq!(shown.len(), 1);
        for setting in Setting::all(&run) {
            assert!(shown[0].contains(&setting.id()), "{shown:?}");
        }
    }
}
