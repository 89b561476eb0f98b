//! Where the best single jump loses to a full matrix per level, and on which tokens.

use onejump_core::shortcut::Solver;
use onejump_store::analyses::{ClassBy, OfClass};

use crate::figures::classes::figure;
use crate::interval::{Interval, Measured};
use crate::shown::{Section, Shown};
use crate::table::Table;
use crate::words;

/// The most precise single jump beside jtc, in closed form where it is there.
pub fn section(rows: &[OfClass]) -> Option<Section> {
    let closed = Some(Solver::ClosedForm);
    let other =
        if rows.iter().any(|row| row.other_solver == closed) { closed } else { rows.first()?.other_solver };
    let key = |row: &OfClass| (row.method, row.solver, row.rank);
    let best = rows
        .iter()
        .filter(|row| (row.by, row.level, row.other_solver) == (ClassBy::All, None, other))
        .max_by(|a, b| a.precision_1.total_cmp(&b.precision_1))?;
    let of_best: Vec<&OfClass> =
        rows.iter().filter(|row| key(row) == key(best) && row.other_solver == other).collect();
    let name = best.rank.map_or(best.method.to_string(), |rank| format!("{}, rank {rank}", best.method));
    let means: Vec<&OfClass> = of_best.iter().copied().filter(|row| row.level.is_none()).collect();
    Some(Section {
        id: "classes",
        open: false,
        title: "Where does the best single jump lose to a full matrix per level?",
        paragraphs: vec![Shown::always(sentences(&of_best, best, &name))],
        figures: figure(&of_best, &name).map(Shown::always).into_iter().collect(),
        tables: vec![Shown::always(table(&means, &name))],
    })
}

/// How far apart they are; at which levels; on which tokens.
fn sentences(rows: &[&OfClass], all: &OfClass, name: &str) -> String {
    let said = |interval: Interval| interval.percent().replace('%', "");
    let precision = all.precision();
    let mut text = match precision.certain_sign() {
        Some(true) => format!("Over all levels {name} is {} points above jtc in precision.", said(precision)),
        Some(false) => {
            let Interval { value, low, high } = precision;
            let below = Interval::new(-value, -high, -low);
            format!("Over all levels {name} is {} points below jtc in precision.", said(below))
        }
        None => format!("Over all levels {name} is as precise as jtc: {} points apart.", said(precision)),
    };
    let with_sign = |sign: bool| -> Vec<usize> {
        let at_level = rows.iter().filter(|row| row.by == ClassBy::All);
        let certain = at_level.filter(|row| row.precision().certain_sign() == Some(sign));
        certain.filter_map(|row| row.level).map(|level| level as usize).collect()
    };
    let at =
        |levels: Vec<usize>| if levels.is_empty() { "no level".to_owned() } else { words::levels(&levels) };
    text +=
        &format!(" It is certainly above at {}, and below at {}.", at(with_sign(true)), at(with_sign(false)));
    let classes = rows.iter().filter(|row| row.level.is_none() && row.by != ClassBy::All);
    let difference = |row: &&&OfClass| row.precision_1_difference;
    let most = classes.clone().max_by(|a, b| difference(a).total_cmp(&difference(b)));
    let least = classes.min_by(|a, b| difference(a).total_cmp(&difference(b)));
    if let Some((least, most)) = least.zip(most) {
        let class = |row: &OfClass| format!("“{}” ({} points)", row.class, said(row.precision()));
        text += &format!(
            " Of the classes of samples it does best on {}, and worst on {}.",
            class(most),
            class(least)
        );
    }
    text
}

fn table(rows: &[&OfClass], name: &str) -> Table {
    Table::new(
        format!("{name} minus jtc, means over the exit levels"),
        rows.iter().copied(),
        &[
            ("class", &|row: &&OfClass| row.class.clone()),
            ("samples", &|row| words::thousands(row.samples.into())),
            ("precision@1", &|row| words::percent(row.precision_1)),
            ("difference ↑ (points)", &|row| row.precision().percent()),
            ("surprisal", &|row| words::number(row.surprisal, 2, "")),
            ("difference ↓ (nats)", &|row| row.surprisal().plain()),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn the_most_precise_single_jump_is_the_one_shown() {
        let mut rows = sample::analyses(12, &[5]).classes;
        let section = section(&rows).unwrap();
        let text = serde_json::to_value(&section.paragraphs[0]).unwrap()["what"].to_string();
        assert!(text.contains("points below jtc in precision.") && text.contains("“rarer tokens”"), "{text}");
        assert_eq!(section.tables[0].what.rows().count(), 4);
        rows.clear();
        assert!(super::section(&rows).is_none());
    }
}
