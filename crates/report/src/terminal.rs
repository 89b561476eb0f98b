//! The short table at the end of `onejump-report`'s output.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};

use crate::averages;
use crate::run::Run;
use crate::setting::{SampleSet, Setting};
use crate::words::{self, NONE};

/// Averages per method and the chosen jumps, in at most 100 columns.
pub fn overview(run: &Run) -> String {
    let mut table = Table::new();
    // The width must not depend on where the text goes.
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["method", "precision", "surprisal", "precision∖0", "surprisal∖0", "parameters"]);
    for block in averages::blocks(run) {
        table.add_row([block.name]);
        for (label, curve) in block.rows {
            let pair = |samples| match curve.mean(samples) {
                Some(mean) => [words::percent(mean.precision_1), words::number(mean.surprisal, 2, "")],
                None => [NONE.to_owned(), NONE.to_owned()],
            };
            let ([precision, surprisal], [precision_0, surprisal_0]) =
                (pair(SampleSet::All), pair(SampleSet::Without0));
            let parameters = words::thousands(curve.average.method.parameters);
            let label = format!("  {label}");
            table.add_row([label, precision, surprisal, precision_0, surprisal_0, parameters]);
        }
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text.push_str(
        "averages over the exit levels; ∖0 leaves out the samples at position 0; surprisal in nats\n",
    );
    for choice in Setting::all(run).iter().filter_map(|setting| setting.choice) {
        text.push_str(&format!(
            "rank {}, {}: jump {} (exit levels: {}, levels of Eq. 5: {})\n",
            choice.rank,
            words::solver(choice.solver),
            choice.jump,
            choice.jump_exit,
            choice.jump_eq5
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn the_overview_fits_a_terminal() {
        let text = overview(&sample::run(30, &[5, 57]));
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert!(text.contains("rank 57, Adam: jump 16 (exit levels: 16, levels of Eq. 5: 17)"), "{text}");
        assert_eq!(text.matches("OJFA (jump 16)").count(), 4, "{text}");
    }
}
