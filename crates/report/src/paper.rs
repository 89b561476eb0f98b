//! The paper's own numbers beside ours, for a model that it covers (§3.1, §4 and Fig. 3).

use onejump_core::results::Summary;
use onejump_core::shortcut::{LevelConvention, ShortcutKind, default_rank, parameters};
use serde::Serialize;

use crate::setting::Setting;
use crate::words::{self, thousands};

/// What the paper says of a model.
struct Reported {
    name: &'static str,
    architecture: &'static str,
    hidden_size: usize,
    blocks: usize,
    rank: usize,
    jump: usize,
    /// Parameters of the full set and of the one jump, and how many times fewer, as printed.
    full: &'static str,
    one: &'static str,
    fewer: &'static str,
}

/// The paper's models.
const MODELS: [Reported; 3] = [
    Reported {
        name: "GPT2-XL",
        architecture: "gpt2",
        hidden_size: 1600,
        blocks: 48,
        rank: 16,
        jump: 26,
        full: "2.76M",
        one: "57.6K",
        fewer: "48x",
    },
    Reported {
        name: "Phi3-Mini",
        architecture: "phi3",
        hidden_size: 3072,
        blocks: 32,
        rank: 30,
        jump: 27,
        full: "6.29M",
        one: "196.6K",
        fewer: "32x",
    },
    Reported {
        name: "Llama2-7B",
        architecture: "llama",
        hidden_size: 4096,
        blocks: 32,
        rank: 40,
        jump: 16,
        full: "11.01M",
        one: "344.06K",
        fewer: "32x",
    },
];

/// A table: what, in the paper, and here by setting.
#[derive(Debug, Serialize)]
pub struct PaperPart {
    name: &'static str,
    settings: Vec<String>,
    rows: Vec<(String, String, Vec<String>)>,
}

/// The table of a run whose model has the shape of one of the paper's, for the settings of the paper's rank.
pub fn beside(summary: &Summary, settings: &[Setting]) -> Option<PaperPart> {
    let (hidden_size, blocks) = (summary.hidden_size, summary.blocks);
    let paper = MODELS.iter().find(|model| {
        (model.architecture, model.hidden_size, model.blocks) == (&*summary.architecture, hidden_size, blocks)
    })?;
    let settings: Vec<&Setting> =
        settings.iter().filter(|setting| setting.rank == default_rank(hidden_size)).collect();
    let row = |what: &str, theirs: String, ours: &dyn Fn(&Setting) -> String| {
        (what.to_owned(), theirs, settings.iter().map(|setting| ours(setting)).collect())
    };
    let count = |setting: &Setting, kind| parameters(kind, hidden_size, setting.rank, blocks);
    let jump = |setting: &Setting, levels| {
        let choice = setting.choice.map(|choice| match levels {
            LevelConvention::Exit => choice.jump_exit,
            LevelConvention::Eq5 => choice.jump_eq5,
        });
        choice.map_or(words::NONE.to_owned(), |jump| jump.to_string())
    };
    let rows = vec![
        row("rank r", paper.rank.to_string(), &|setting| setting.rank.to_string()),
        row("chosen jump, D over the exit levels 0…K−1", paper.jump.to_string(), &|setting| {
            jump(setting, LevelConvention::Exit)
        }),
        row("chosen jump, D over the levels 1…K (Eq. 5 as printed)", paper.jump.to_string(), &|setting| {
            jump(setting, LevelConvention::Eq5)
        }),
        row("parameters of the full n-njtc", paper.full.to_owned(), &|setting| {
            thousands(count(setting, ShortcutKind::NNjtc))
        }),
        row("parameters of the one jump", paper.one.to_owned(), &|setting| {
            thousands(count(setting, ShortcutKind::Ojfa))
        }),
        row("how many times fewer", paper.fewer.to_owned(), &|setting| {
            format!("{}x", count(setting, ShortcutKind::NNjtc) / count(setting, ShortcutKind::Ojfa))
        }),
    ];
    Some(PaperPart { name: paper.name, settings: settings.iter().map(|s| s.name()).collect(), rows })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_model_of_the_paper_has_its_numbers_beside_ours() {
        let mut run = sample::run(48, &[16, 160]);
        assert!(beside(&run.summary, &Setting::all(&run)).is_none());
        run.summary.hidden_size = 1600;
        run.summary.architecture = "gpt2".into();
        let part = beside(&run.summary, &Setting::all(&run)).unwrap();
        assert_eq!(part.name, "GPT2-XL");
        assert_eq!(part.settings, ["rank 16, closed form", "rank 16, Adam"]);
        let row = |place: usize| (part.rows[place].1.as_str(), part.rows[place].2[0].as_str());
        assert_eq!(row(0), ("16", "16"));
        assert_eq!(row(3), ("2.76M", "2,764,800"));
        assert_eq!(row(4), ("57.6K", "57,600"));
        assert_eq!(row(5), ("48x", "48x"));
        let jump = run.summary.choices[0].jump_exit.to_string();
        assert_eq!(row(1), ("26", jump.as_str()));
    }
}
