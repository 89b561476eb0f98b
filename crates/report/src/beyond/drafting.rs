//! Whether drafts from an early level make the model's own text come sooner.

use onejump_core::drafting::{Card, Reading, Shape};

use crate::figures::drafting::{AMONG, figure, name};
use crate::shown::{Section, Shown};
use crate::table::Table;
use crate::words::{number, percent, thousands};

/// What `onejump-generate tune` measured; none if it measured no level.
pub fn section(card: &Card) -> Option<Section> {
    let fastest = card.readings.iter().max_by(|a, b| a.speedup.total_cmp(&b.speedup))?;
    Some(Section {
        id: "drafting",
        open: false,
        title: "Do drafts from an early level make text faster?",
        paragraphs: vec![Shown::always(sentences(card, fastest))],
        figures: vec![Shown::always(figure(card))],
        tables: vec![Shown::always(table(card))],
    })
}

/// How often one draft must be right so that a chain of one costs no more than it brings: then 1 + α is what a step costs.
fn needed(card: &Card, reading: &Reading) -> f64 {
    card.costs.step(&Reading { shape: Shape::Chain(1), ..reading.clone() }) - 1.0
}

fn sentences(card: &Card, fastest: &Reading) -> String {
    let times = number(fastest.speedup, 2, "");
    let (shape, level, name) = (fastest.shape, fastest.level, name(fastest));
    let verdict = if fastest.speedup > 1.0 {
        format!(
            "By what was measured, {shape} at level {level} ({name}) makes text {times} times as fast as without drafts."
        )
    } else {
        format!(
            "By what was measured, no drafts make text faster: the best, {shape} at level {level} ({name}), is {times} times as fast."
        )
    };
    format!(
        "{verdict} The first draft of a look there is right in {}; alone it \
         pays from {} on. Without any look, what followed the same words \
         before is right in {}, and the token that most often follows the last one in {}. ({} tokens that the model itself \
         wrote; {} ms a token, two rows cost {} of one.)",
        percent(fastest.right(1)),
        percent(needed(card, fastest)),
        percent(card.without_looks.ngram),
        percent(card.without_looks.bigram),
        thousands(card.tokens as u64),
        number(card.costs.token_ms, 1, ""),
        number(card.costs.rows.get(1).copied().unwrap_or(1.0), 2, ""),
    )
}

fn table(card: &Card) -> Table {
    Table::new(
        "Every shortcut at every level",
        &card.readings,
        &[
            ("shortcut", &|row: &&Reading| name(row)),
            ("level", &|row| row.level.to_string()),
            ("right ↑", &|row| percent(row.right(1))),
            ("one alone pays from", &|row| percent(needed(card, row))),
            ("among the five best ↑", &|row| percent(row.right(AMONG))),
            ("a look costs (tokens)", &|row| number(row.look_share, 3, "")),
            ("best drafts", &|row| row.shape.to_string()),
            ("times as fast ↑", &|row| number(row.speedup, 2, "")),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    /// By hand: a block costs 0.03 of a token, a look 0.04, two rows 1.1: at level 2 a step of one draft costs
    /// 0.06 + 0.04 + 0.06 + 1.1·0.94 = 1.194.
    #[test]
    fn what_a_draft_needs_is_what_a_step_costs() {
        let card = sample::drafting(12);
        let at_2 = card.readings.iter().find(|reading| reading.level == 2).unwrap();
        assert!((needed(&card, at_2) - 0.194).abs() < 1e-12, "{}", needed(&card, at_2));
        let said = |card: &Card| {
            let section = section(card).unwrap();
            assert_eq!(section.tables[0].what.rows().count(), card.readings.len());
            serde_json::to_value(&section.paragraphs[0]).unwrap()["what"].to_string()
        };
        let faster = said(&card);
        assert!(
            faster.contains("siblings at level") && faster.contains("times as fast as without"),
            "{faster}"
        );
        let dear = card.readings.iter().cloned().map(|row| Reading { speedup: 0.9, ..row });
        let slower = said(&Card { readings: dear.collect(), ..card.clone() });
        assert!(slower.contains("no drafts make text faster") && slower.contains("0.90"), "{slower}");
        let none = Card { readings: Vec::new(), ..card };
        assert!(super::section(&none).is_none());
    }
}
