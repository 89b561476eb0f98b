//! What depends on the questions that the paper leaves open.

use onejump_core::shortcut::{ShortcutKind, Solver};
use onejump_store::analyses::FileAverage;

use crate::analyses::distinct;
use crate::interval::Measured;
use crate::shown::{Section, Shown};
use crate::table::Table;
use crate::words::{self, number};

/// The one jump and the full set that were trained in one way.
struct Variant<'a> {
    /// What was done otherwise than in the base.
    name: String,
    one: &'a FileAverage,
    full: &'a FileAverage,
}

impl<'a> Variant<'a> {
    /// The variant of the rows that `keep` keeps, if both its methods are there.
    fn find(name: String, rows: &'a [FileAverage], keep: impl Fn(&FileAverage) -> bool) -> Option<Self> {
        let of = |kind| rows.iter().find(|row| row.method == kind && keep(row));
        Some(Self { name, one: of(ShortcutKind::Ojfa)?, full: of(ShortcutKind::NNjtc)? })
    }

    /// What was trained in closed form, with nothing else changed, at this rank.
    fn plain(name: String, rows: &'a [FileAverage], rank: Option<u32>) -> Option<Self> {
        Self::find(name, rows, |row| {
            row.label.is_none() && row.solver == Some(Solver::ClosedForm) && row.rank == rank
        })
    }
}

/// One row per variant: the choice, its D, and what one jump and the full set then get.
pub fn section(rows: &[FileAverage]) -> Option<Section> {
    let labels = distinct(rows.iter().filter_map(|row| row.label.as_deref()));
    Some(Section {
        id: "sensitivity",
        open: false,
        title: "What does it depend on?",
        paragraphs: Vec::new(),
        figures: Vec::new(),
        tables: vec![Shown::always(table(&variants(rows, &labels)?))],
    })
}

/// The base, where there is one, what was labelled, and the run's other rank; none without labels.
fn variants<'a>(rows: &'a [FileAverage], labels: &[&str]) -> Option<Vec<Variant<'a>>> {
    // The base that the variants are compared with has their rank.
    let first = Some(*labels.first()?);
    let rank =
        rows.iter().find(|row| row.label.as_deref() == first && row.method == ShortcutKind::Ojfa)?.rank;
    let base = format!("base: closed form, all samples, rank {}", rank.unwrap_or(0));
    let mut found: Vec<Variant> = Variant::plain(base, rows, rank).into_iter().collect();
    found.extend(labels.iter().filter_map(|&label| {
        Variant::find(label.to_owned(), rows, |row| row.label.as_deref() == Some(label))
    }));
    // The sweep has every rank; the experiment's own are those that Adam was run at too.
    let of_adam = rows.iter().filter(|row| row.label.is_none() && row.solver == Some(Solver::Adam));
    let other = of_adam.filter_map(|row| row.rank).find(|other| Some(*other) != rank);
    found.extend(other.and_then(|other| Variant::plain(format!("rank {other}"), rows, Some(other))));
    Some(found)
}

fn table(variants: &[Variant]) -> Table {
    let jump = |jump: Option<u32>| jump.map_or(words::NONE.to_owned(), |jump| jump.to_string());
    Table::new(
        "Each row changes one thing; all test samples",
        variants,
        &[
            ("variant", &|row: &&Variant| row.name.clone()),
            ("jump", &|row| jump(row.one.jump)),
            ("jump by Eq. 5", &|row| jump(row.one.jump_eq5)),
            ("D", &|row| row.one.d.map_or(words::NONE.to_owned(), |d| number(d, 4, ""))),
            ("one jump: precision ↑", &|row| row.one.precision().percent()),
            ("without position 0", &|row| {
                row.one.precision_1_without_0.map_or(words::NONE.to_owned(), words::percent)
            }),
            ("one jump: surprisal ↓", &|row| row.one.surprisal().plain()),
            ("full n-njtc: precision ↑", &|row| row.full.precision().percent()),
            ("full n-njtc: surprisal ↓", &|row| row.full.surprisal().plain()),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn variants_are_shown_with_and_without_their_base() {
        let mut rows = sample::analyses(12, &[5, 57]).averages;
        let shown = |rows: &[FileAverage]| section(rows).unwrap().tables[0].what.rows().count();
        assert_eq!(shown(&rows), 1 + 5 + 1);
        rows.retain(|row| row.label.is_some() || row.rank != Some(5));
        assert_eq!(shown(&rows), 5 + 1);
        rows.retain(|row| row.label.is_none());
        assert!(section(&rows).is_none());
    }

    #[test]
    fn a_run_of_samples_at_position_0_alone_has_dashes() {
        let mut rows = sample::analyses(12, &[5]).averages;
        rows.iter_mut().for_each(|row| row.precision_1_without_0 = None);
        let table = &section(&rows).unwrap().tables[0].what;
        let column = table.head.iter().position(|head| *head == "without position 0").unwrap();
        assert!(table.rows().all(|row| row[column].text == words::NONE), "{table:?}");
    }
}
