//! The paper's own numbers beside ours, for a model that it covers (§3.1, §4 and Fig. 3).

use onejump_core::results::{Choice, Summary};
use onejump_core::shortcut::{ShortcutKind, default_rank, parameters};

use crate::setting::Setting;
use crate::table::{Cell, Table};
use crate::words::{self, thousands};

/// What the paper says of a model. Its rank is the default one, and the one jump has as many times fewer
/// parameters as the model has blocks.
struct Reported {
    name: &'static str,
    architecture: &'static str,
    /// H and K.
    shape: (usize, usize),
    jump: usize,
    /// Parameters of the full set and of the one jump, as printed.
    full: &'static str,
    one: &'static str,
}

#[rustfmt::skip]
const MODELS: [Reported; 3] = [
    Reported { name: "GPT2-XL", architecture: "gpt2", shape: (1600, 48), jump: 26, full: "2.76M", one: "57.6K" },
    Reported { name: "Phi3-Mini", architecture: "phi3", shape: (3072, 32), jump: 27, full: "6.29M", one: "196.6K" },
    Reported { name: "Llama2-7B", architecture: "llama", shape: (4096, 32), jump: 16, full: "11.01M", one: "344.06K" },
];

/// The table of a run whose model has the shape of one of the paper's, for the settings of the paper's rank.
pub fn beside(summary: &Summary, settings: &[Setting]) -> Option<Table> {
    let (hidden_size, blocks) = (summary.hidden_size, summary.blocks);
    let paper = MODELS
        .iter()
        .find(|model| model.architecture == summary.architecture && model.shape == (hidden_size, blocks))?;
    let rank = default_rank(hidden_size);
    let settings: Vec<&Setting> = settings.iter().filter(|setting| setting.rank == rank).collect();
    let row = |what: &str, theirs: String, ours: &dyn Fn(&Setting) -> String| {
        let ours = settings.iter().map(|setting| ours(setting));
        [what.to_owned(), theirs].into_iter().chain(ours).map(Cell::from).collect()
    };
    let same = |what: &str, theirs: &str, ours: String| row(what, theirs.to_owned(), &|_| ours.clone());
    let jump = |what: &str, of: fn(&Choice) -> usize| {
        row(what, paper.jump.to_string(), &|setting| {
            setting.choice.map_or(words::NONE.to_owned(), |choice| of(choice).to_string())
        })
    };
    let [full, one] =
        [ShortcutKind::NNjtc, ShortcutKind::Ojfa].map(|kind| parameters(kind, hidden_size, rank, blocks));
    let rows = vec![
        same("rank r", &rank.to_string(), rank.to_string()),
        jump("chosen jump, D over the exit levels 0…K−1", |choice| choice.jump_exit),
        jump("chosen jump, D over the levels 1…K (Eq. 5 as printed)", |choice| choice.jump_eq5),
        same("parameters of the full n-njtc", paper.full, thousands(full)),
        same("parameters of the one jump", paper.one, thousands(one)),
        same("how many times fewer", &format!("{blocks}x"), format!("{}x", full / one)),
    ];
    let names = settings.iter().map(|setting| setting.name());
    let head = [String::new(), "paper".to_owned()].into_iter().chain(names).collect();
    Some(Table::of_rows(format!("{} in the paper and here", paper.name), head, rows))
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
        assert_eq!(part.caption, "GPT2-XL in the paper and here");
        assert_eq!(part.head, ["", "paper", "rank 16, closed form", "rank 16, Adam"]);
        let cells = &part.groups[0].rows;
        let row = |place: usize| (cells[place][1].text.as_str(), cells[place][2].text.as_str());
        assert_eq!(row(0), ("16", "16"));
        assert_eq!(row(3), ("2.76M", "2,764,800"));
        assert_eq!(row(4), ("57.6K", "57,600"));
        assert_eq!(row(5), ("48x", "48x"));
        let jump = run.summary.choices[0].jump_exit.to_string();
        assert_eq!(row(1), ("26", jump.as_str()));
    }
}
