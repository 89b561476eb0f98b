//! The paper's Figures 2, 3 and 4 for one setting each, and the figures of the further analyses.

pub mod by_level;
pub mod classes;
pub mod drafting;
pub mod exit;
pub mod figure;
mod frame;
pub mod frontier;
mod heat;
mod on_page;
mod panel;
pub mod scores;
mod style;
pub mod transfer;

use crate::run::Run;
use crate::setting::{SampleSet, Setting};
use figure::Figure;

/// The paper's figures of a run, setting by setting: those that its results suffice for.
pub fn figures(run: &Run) -> Vec<Figure> {
    let all = SampleSet::All;
    let of = |setting| {
        [by_level::figure_2(setting, all), scores::figure_3(setting), by_level::figure_4(setting, all)]
    };
    Setting::all(run).iter().flat_map(of).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use onejump_core::shortcut::ShortcutKind;

    use crate::sample;

    /// Every text of a document that is well-formed XML.
    fn texts(xml: &str) -> String {
        let mut reader = quick_xml::Reader::from_str(xml);
        reader.config_mut().check_end_names = true;
        let mut texts = String::new();
        loop {
            match reader.read_event().unwrap() {
                quick_xml::events::Event::Eof => return texts,
                quick_xml::events::Event::Text(text) => {
                    texts.push_str(&text.xml10_content());
                    texts.push('\n');
                }
                _ => {}
            }
        }
    }

    #[test]
    fn files_are_xml_and_name_every_method() {
        let run = sample::run(30, &[5, 57]);
        let figures = figures(&run);
        for figure in &figures {
            let texts = texts(&figure.standalone("a & b <model>"));
            for (_, label) in &figure.legend {
                assert!(texts.lines().any(|line| line == label), "{label} in {}", figure.stem);
            }
            let pieces = serde_json::to_value(figure).unwrap();
            let lines = pieces["legend"].as_array().unwrap().iter().map(|entry| &entry["line"]);
            let panels = pieces["panels"].as_array().unwrap().iter().map(|panel| &panel["svg"]);
            for piece in panels.chain(lines) {
                self::texts(piece.as_str().unwrap());
            }
        }
        let expected = ["", "-adam", "-r57", "-adam-r57"]
            .iter()
            .flat_map(|suffix| [2, 3, 4].map(|number| format!("figure-{number}{suffix}")));
        assert!(figures.iter().map(|figure| figure.stem.clone()).eq(expected));
    }

    #[test]
    fn the_same_results_give_the_same_file() {
        let run = sample::run(12, &[5]);
        let draw = || figures(&run).iter().map(|figure| figure.standalone("m")).collect::<Vec<_>>();
        assert_eq!(draw(), draw());
    }

    #[test]
    fn a_setting_without_the_one_jump_has_no_figures_about_it() {
        let mut run = sample::run(12, &[5]);
        run.summary.averages.retain(|row| !row.method.is(ShortcutKind::Ojfa));
        run.summary.choices.clear();
        assert!(figures(&run).is_empty());
    }
}
