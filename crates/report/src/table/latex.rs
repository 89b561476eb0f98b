//! Tables for a paper, with the rules of the package booktabs.

use std::fmt::Write;

use super::{Cell, Look, Table};

/// The tables, each in an environment of its own.
pub fn latex(title: &str, tables: &[Table]) -> String {
    let mut text = format!("% {}. Needs \\usepackage{{booktabs}}.\n", escaped(title));
    for table in tables {
        let columns = table.head.len();
        let _ = write!(
            text,
            "\n\\begin{{table}}\n\\centering\n\\caption{{{}}}\n\\begin{{tabular}}{{l{}}}\n\\toprule\n",
            escaped(&table.caption),
            "r".repeat(columns.saturating_sub(1))
        );
        line(&mut text, table.head.iter().map(|heading| escaped(heading)));
        for group in &table.groups {
            text.push_str("\\midrule\n");
            if let Some(name) = &group.name {
                let _ = writeln!(text, "\\multicolumn{{{columns}}}{{l}}{{\\emph{{{}}}}} \\\\", escaped(name));
            }
            for row in &group.rows {
                line(&mut text, row.iter().map(cell));
            }
        }
        text.push_str("\\bottomrule\n\\end{tabular}\n\\end{table}\n");
    }
    text
}

fn line(text: &mut String, cells: impl Iterator<Item = String>) {
    let _ = writeln!(text, "{} \\\\", cells.collect::<Vec<_>>().join(" & "));
}

/// Marks are words here: there is no sign for them that every font has.
fn cell(cell: &Cell) -> String {
    match (cell.look, cell.words) {
        (_, Some(words)) => words.to_owned(),
        (Look::Chosen, None) => format!("\\textbf{{{}}}", escaped(&cell.text)),
        _ => escaped(&cell.text),
    }
}

/// What TeX would take for a command is text, and what it has no sign for is a command.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => escaped.extend(['\\', character]),
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '<' => escaped.push_str("$<$"),
            '>' => escaped.push_str("$>$"),
            '↑' => escaped.push_str("$\\uparrow$"),
            '↓' => escaped.push_str("$\\downarrow$"),
            '−' => escaped.push_str("$-$"),
            '×' => escaped.push_str("$\\times$"),
            '·' => escaped.push_str("$\\cdot$"),
            '²' => escaped.push_str("$^2$"),
            '…' => escaped.push_str("\\ldots{}"),
            '–' => escaped.push_str("--"),
            '§' => escaped.push_str("\\S"),
            '’' => escaped.push('\''),
            '“' => escaped.push_str("``"),
            '”' => escaped.push_str("''"),
            other if other.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tex_would_read_is_escaped() {
        let mark = Cell { words: Some("in part"), ..Cell::new("◐", Look::Part) };
        let rows = vec![vec!["a_b".into(), "21.3%".into(), mark]];
        let text = latex("m", &[Table::of_rows("P@1 ↑", vec!["x".into(), "y".into(), "z".into()], rows)]);
        assert!(text.contains("\\begin{tabular}{lrr}\n\\toprule\nx & y & z \\\\\n\\midrule\n"), "{text}");
        assert!(text.contains("a\\_b & 21.3\\% & in part \\\\\n\\bottomrule"), "{text}");
        assert!(text.contains("\\caption{P@1 $\\uparrow$}"), "{text}");
    }
}
