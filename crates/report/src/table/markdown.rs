//! Tables for a README or a notebook.

use std::fmt::Write;

use super::{Cell, Look, Table};

/// The tables under the title of a run.
pub fn markdown(title: &str, tables: &[Table]) -> String {
    let mut text = format!("# {}\n", escaped(title));
    for table in tables {
        let _ = write!(text, "\n**{}**\n\n", escaped(&table.caption));
        line(&mut text, table.head.iter().map(|heading| escaped(heading)));
        let rules = (0..table.head.len()).map(|column| if column == 0 { "---" } else { "---:" }.to_owned());
        line(&mut text, rules);
        for group in &table.groups {
            if let Some(name) = &group.name {
                let empty = std::iter::repeat_n(String::new(), table.head.len().saturating_sub(1));
                line(&mut text, std::iter::once(format!("**{}**", escaped(name))).chain(empty));
            }
            for row in &group.rows {
                line(&mut text, row.iter().map(cell));
            }
        }
    }
    text
}

fn line(text: &mut String, cells: impl Iterator<Item = String>) {
    let _ = writeln!(text, "| {} |", cells.collect::<Vec<_>>().join(" | "));
}

fn cell(cell: &Cell) -> String {
    let text = escaped(&cell.text);
    match (cell.look, cell.words) {
        (_, Some(words)) => format!("{text} {words}"),
        (Look::Chosen, None) => format!("**{text}**"),
        _ => text,
    }
}

/// What would end a cell or begin markup is text.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        if matches!(character, '|' | '*' | '_' | '<' | '`' | '\\' | '[' | '#') {
            escaped.push('\\');
        }
        escaped.push(if character.is_control() { ' ' } else { character });
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_one_line_for_each_row() {
        let rows = vec![vec!["a|b".into(), Cell::new("1", Look::Chosen)]];
        let table = Table::of_rows("Of x_y", vec!["m".into(), "n".into()], rows);
        let expected = "# t\n\n**Of x\\_y**\n\n| m | n |\n| --- | ---: |\n| a\\|b | **1** |\n";
        assert_eq!(markdown("t", &[table]), expected);
    }
}
