//! What depends on the questions that the paper leaves open.

use onejump_store::analyses::FileAverage;

use super::{Beyond, Section, Table, plain, share};
use crate::words::{self, list, number, points};

/// One row per variant: the choice, its D, and what one jump and the full set then get.
pub fn section(beyond: &Beyond) -> Option<Section> {
    let rows = &beyond.averages;
    let mut labels: Vec<&str> = Vec::new();
    for label in rows.iter().filter_map(|row| row.label.as_deref()) {
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    let ojfa = |label: Option<&str>| {
        let same = |row: &&FileAverage| row.label.as_deref() == label && row.method == "ojfa";
        rows.iter().find(|row| same(row) && (label.is_some() || row.solver.as_deref() == Some("closed-form")))
    };
    let first = labels.first()?;
    // The base that the variants are compared with has their rank.
    let rank = ojfa(Some(first))?.rank;
    let plain_rows = |solver: &'static str, rank: Option<u32>| {
        move |row: &&FileAverage| {
            row.label.is_none() && row.solver.as_deref() == Some(solver) && row.rank == rank
        }
    };
    let pair = |keep: &dyn Fn(&&FileAverage) -> bool| {
        let of = |method: &str| rows.iter().filter(|row| row.method == method).find(keep);
        of("ojfa").zip(of("n-njtc"))
    };
    let rank_words = format!("rank {}", rank.unwrap_or(0));
    let Some(base) = pair(&plain_rows("closed-form", rank)) else {
        return Some(Section {
            paragraphs: vec![format!(
                "There are {} of {rank_words}, but no n-njtc in closed form with its one jump at that rank to \
                 compare them with. `--rank` names the ranks of a run.",
                words::count(labels.len(), "variant")
            )],
            ..empty()
        });
    };
    let mut found = vec![(format!("base: closed form, all samples, {rank_words}"), base)];
    for label in &labels {
        found
            .extend(pair(&|row| row.label.as_deref() == Some(label)).map(|pair| ((*label).to_owned(), pair)));
    }
    // The sweep has every rank; the experiment's own are those that adam was run at too.
    let of_adam = rows.iter().filter(|row| row.label.is_none() && row.solver.as_deref() == Some("adam"));
    if let Some(other) = of_adam.filter_map(|row| row.rank).find(|other| Some(*other) != rank) {
        let base = pair(&plain_rows("closed-form", Some(other)));
        found.extend(base.map(|pair| (format!("rank {other}"), pair)));
    }
    let cells = |(name, (one, full)): &(String, (&FileAverage, &FileAverage))| {
        let jump = |jump: Option<u32>| jump.map_or(words::NONE.to_owned(), |jump| jump.to_string());
        vec![
            name.clone(),
            jump(one.jump),
            jump(one.jump_eq5),
            one.d.map_or(words::NONE.to_owned(), |d| number(d, 4, "")),
            share(one.precision_1, one.precision_1_low, one.precision_1_high),
            words::percent(one.precision_1_without_0),
            plain(one.surprisal, one.surprisal_low, one.surprisal_high),
            share(full.precision_1, full.precision_1_low, full.precision_1_high),
            plain(full.surprisal, full.surprisal_low, full.surprisal_high),
        ]
    };
    let head = [
        "variant",
        "jump",
        "jump by Eq. 5",
        "D",
        "one jump: precision ↑",
        "without position 0",
        "one jump: surprisal ↓",
        "full n-njtc: precision ↑",
        "full n-njtc: surprisal ↓",
    ];
    let rows_of = found.iter().map(cells).collect();
    Some(Section {
        paragraphs: vec![sentence(&found)],
        tables: vec![Table::new("Each row changes one thing; all test samples", &head, rows_of)],
        ..empty()
    })
}

fn empty() -> Section {
    Section {
        id: "sensitivity",
        title: "What does it depend on?",
        paragraphs: Vec::new(),
        figures: Vec::new(),
        tables: Vec::new(),
    }
}

fn sentence(found: &[(String, (&FileAverage, &FileAverage))]) -> String {
    let [(_, (base, _)), variants @ ..] = found else { return String::new() };
    let other: Vec<String> = variants
        .iter()
        .filter(|(_, (one, _))| one.jump != base.jump)
        .map(|(name, (one, _))| format!("{name} (jump {})", one.jump.unwrap_or(0)))
        .collect();
    let same_rank = variants.iter().filter(|(_, (one, _))| one.rank == base.rank);
    let far = same_rank.max_by(|a, b| {
        let apart = |one: &FileAverage| (one.precision_1 - base.precision_1).abs();
        apart(a.1.0).total_cmp(&apart(b.1.0))
    });
    let choice = if other.is_empty() {
        "Every variant chooses the same jump as the base.".to_owned()
    } else {
        format!(
            "{} of {} variants choose another jump than the base’s {}: {}.",
            other.len(),
            variants.len(),
            base.jump.unwrap_or(0),
            list(&other)
        )
    };
    let moved = far.map_or(String::new(), |(name, (one, _))| {
        format!(
            " At the same rank, the one jump’s precision moves most with “{name}”, by {}.",
            points(one.precision_1 - base.precision_1)
        )
    });
    format!("{choice}{moved}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn variants_without_their_base_say_so() {
        let mut tables = sample::beyond(12, &[5, 57]);
        assert_eq!(section(&tables).unwrap().tables[0].rows.len(), 1 + 13 + 1);
        tables.averages.retain(|row| row.label.is_some() || row.rank != Some(5));
        let section = section(&tables).unwrap();
        assert!(section.tables.is_empty());
        let text = &section.paragraphs[0];
        assert!(text.starts_with("There are 13 variants of rank 5, but no n-njtc in closed form"), "{text}");
    }
}
