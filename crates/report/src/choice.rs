//! The choice of the one jump: the scores of all jumps, and what they say.

use onejump_core::results::{Choice, Sureness};
use onejump_core::shortcut::LevelConvention;

use crate::setting::Setting;
use crate::table::{Cell, Look, Table};
use crate::words::{NONE, number, thousands};

/// D of every jump in every setting, under both conventions; none without a choice.
pub fn table(settings: &[Setting]) -> Option<Table> {
    let chosen = settings.iter().filter_map(|setting| Some((setting.name(), setting.choice?)));
    let columns = chosen.flat_map(|(name, choice)| {
        let exit = (format!("{name}: exit levels"), &choice.d_exit, choice.jump_exit);
        [exit, (format!("{name}: Eq. 5"), &choice.d_eq5, choice.jump_eq5)]
    });
    let columns: Vec<(String, &Vec<f64>, usize)> = columns.collect();
    let jumps = columns.iter().map(|(_, scores, _)| scores.len()).max()?;
    let row = |jump: usize| {
        let cells = columns.iter().map(|(_, scores, best)| {
            let text = scores.get(jump).map_or(NONE.to_owned(), |score| number(*score, 4, ""));
            Cell::new(text, if jump == *best { Look::Chosen } else { Look::Plain })
        });
        std::iter::once(Cell::from(jump.to_string())).chain(cells).collect()
    };
    let head = columns.iter().map(|(heading, ..)| heading.clone());
    Some(Table::of_rows(
        "D of every jump on the training samples, over the exit levels and as Eq. 5 is printed",
        std::iter::once("jump".to_owned()).chain(head).collect(),
        (0..jumps).map(row).collect(),
    ))
}

/// Which jump the scores chose, how near the next one is, and what the other reading of Eq. 5 would choose.
pub fn sentence(choice: &Choice) -> String {
    let (decided, scores, other, other_name) = match choice.levels {
        LevelConvention::Exit => ("exit levels", &choice.d_exit, choice.jump_eq5, "as Eq. 5 is printed"),
        LevelConvention::Eq5 => ("levels of Eq. 5", &choice.d_eq5, choice.jump_exit, "over the exit levels"),
    };
    let score = |jump: usize| scores.get(jump).copied().unwrap_or(f64::NAN);
    let rivals = (0..scores.len()).filter(|&jump| jump != choice.jump);
    let next = rivals.max_by(|&a, &b| score(a).total_cmp(&score(b)));
    let next = next.map_or(String::new(), |jump| {
        format!(", ahead of jump {jump} by {}", number(score(choice.jump) - score(jump), 4, ""))
    });
    let other = match other {
        same if same == choice.jump => format!("the same {other_name}"),
        other => format!("{other_name} it would be jump {other}"),
    };
    format!(
        "The score D over the {decided} of the training samples chooses jump {} ({}{next}); {other}.{}",
        choice.jump,
        number(score(choice.jump), 4, ""),
        choice.sureness.as_ref().map_or(String::new(), |sureness| sure(choice.jump, sureness))
    )
}

/// How often the same choice comes of texts that are drawn again.
fn sure(jump: usize, sureness: &Sureness) -> String {
    let share = sureness.shares.get(jump).copied().unwrap_or(f64::NAN);
    let share = number(100.0 * share, 0, " %");
    let draws = thousands(sureness.draws as u64);
    let next = match sureness.next(jump) {
        Some((jump, share)) => format!("; next: {jump} in {}", number(100.0 * share, 0, " %")),
        None => String::new(),
    };
    format!(" With the same jumps, training texts drawn again choose it in {share} of {draws} draws{next}.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn the_choice_is_said_for_both_readings() {
        let run = sample::run(12, &[5]);
        let mut choice = run.summary.choices[0].clone();
        choice.d_exit = vec![0.1, 0.25, 0.2];
        (choice.jump, choice.jump_exit, choice.jump_eq5) = (1, 1, 2);
        assert_eq!(
            sentence(&choice),
            "The score D over the exit levels of the training samples chooses jump 1 (0.2500, ahead of jump 2 by \
             0.0500); as Eq. 5 is printed it would be jump 2."
        );
        choice.jump_eq5 = 1;
        assert!(sentence(&choice).ends_with("; the same as Eq. 5 is printed."));
        let mut sureness = Sureness { draws: 1000, shares: vec![0.0, 0.634, 0.366], ..Sureness::default() };
        choice.sureness = Some(sureness.clone());
        assert!(sentence(&choice).ends_with(
            "as Eq. 5 is printed. With the same jumps, training texts drawn again choose it in 63 % of 1,000 draws; next: 2 \
             in 37 %."
        ));
        sureness.shares = vec![0.0, 1.0, 0.0];
        choice.sureness = Some(sureness);
        assert!(sentence(&choice).ends_with("choose it in 100 % of 1,000 draws."));
    }

    #[test]
    fn the_chosen_scores_stand_out() {
        let run = sample::run(12, &[5]);
        let table = table(&Setting::all(&run)).unwrap();
        assert_eq!(table.head.len(), 5);
        for column in 1..5 {
            let chosen: Vec<usize> =
                (0..12).filter(|&row| table.groups[0].rows[row][column].look == Look::Chosen).collect();
            assert_eq!(chosen, [if column % 2 == 1 { 6 } else { 7 }]);
        }
    }
}
