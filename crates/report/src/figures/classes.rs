//! Where a single jump is above a full matrix per level, and where below: classes of samples, level by level.

use onejump_store::analyses::OfClass;

use super::figure::Figure;
use super::frame::{Across, Axes};
use super::heat::Heat;
use super::panel::{Content, Panel};
use crate::setting::Metric;

/// The two panels of one single jump: rows of all its classes, at each level and on average. `method` is its name.
pub fn figure(rows: &[&OfClass], method: &str) -> Option<Figure> {
    let levels = rows.iter().filter_map(|row| row.level).max()? as usize + 1;
    // The first class is the topmost row.
    let classes: Vec<&str> =
        rows.iter().filter(|row| row.level.is_none()).map(|row| row.class.as_str()).rev().collect();
    let panel = |title, unit, percent, metric, value: fn(&OfClass) -> f64| {
        let mut values = vec![vec![f64::NAN; levels]; classes.len()];
        for row in rows {
            let class = classes.iter().position(|class| *class == row.class);
            let cell = class.zip(row.level).and_then(|(class, level)| values[class].get_mut(level as usize));
            if let Some(cell) = cell {
                *cell = value(row);
            }
        }
        let names = classes.iter().map(|class| (*class).to_owned()).collect();
        Panel {
            axes: Axes { title, unit, across: Across::Level, percent },
            y: (-0.5, classes.len() as f64 - 0.5),
            alt: format!(
                "{title} of {method} minus jtc’s, of {} classes at {levels} exit levels.",
                classes.len()
            ),
            content: Content::Heat(Heat {
                values,
                rows: Some(names),
                more_is_better: metric == Metric::Precision,
                percent,
            }),
            metric: Some(metric),
        }
    };
    Some(Figure {
        stem: "classes".to_owned(),
        title: format!("{method} minus jtc"),
        caption: "Each row is a class of test samples, each column an exit level. Blue: the single jump is better than a full \
                  matrix per level; brown: worse. Tokens are those that the model itself predicts; how common one is \
                  was counted in its predictions of the training samples. Differences beyond the ends of the scale have its \
                  last colours."
            .to_owned(),
        legend: Vec::new(),
        panels: vec![
            panel("Precision@1", "difference · blue is better", true, Metric::Precision, |row| {
                row.precision_1_difference
            }),
            panel("Surprisal (nats)", "difference · blue is better", false, Metric::Surprisal, |row| {
                row.surprisal_difference
            }),
        ],
    })
}
