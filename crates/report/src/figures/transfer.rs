//! Every jump at every exit level, a heat map for each metric.

use onejump_store::analyses::Transfer;

use super::Figure;
use super::frame::Axes;
use super::heat::Heat;
use super::panel::{Content, Panel};
use crate::words;

type Metric = (&'static str, fn(&Transfer) -> f64, bool, fn(f64, f64) -> String);

fn percent(value: f64, step: f64) -> String {
    super::number_tick(100.0 * value, 100.0 * step, "%")
}

fn plain(value: f64, step: f64) -> String {
    super::number_tick(value, step, "")
}

/// What is drawn: name, value, whether more is better, how a value is written.
const METRICS: [Metric; 6] = [
    ("Precision@1", |row| row.precision_1, true, percent),
    ("Surprisal (nats)", |row| row.surprisal, false, plain),
    ("KL divergence (nats)", |row| row.kl, false, plain),
    ("mat_surprisal (nats)", |row| row.mat_surprisal, false, plain),
    ("Cosine", |row| row.cosine, true, plain),
    ("Signed square", |row| row.signed_square, true, plain),
];

/// The matrix of one set of jumps: all its rows, K for each jump.
pub fn figure(rows: &[Transfer], suffix: &str, setting: &str) -> Option<Figure> {
    let blocks = rows.iter().map(|row| row.jump as usize + 1).max()?;
    let panels = METRICS
        .iter()
        .map(|&(title, value, more_is_better, tick)| {
            let mut values = vec![vec![f64::NAN; blocks]; blocks];
            for row in rows {
                if let Some(cell) = values[row.jump as usize].get_mut(row.level as usize) {
                    *cell = value(row);
                }
            }
            let heat = Heat { values, more_is_better, tick };
            let (worst, best) = heat.range();
            let chosen = heat.best();
            let own = chosen.iter().enumerate().filter(|(level, jump)| *level == **jump).count();
            let alt = format!(
                "{title} of {blocks} jumps at {blocks} exit levels, from {} to {}; the level’s own jump is the \
                 best one at {}.",
                tick(worst, 0.01),
                tick(best, 0.01),
                words::count(own, "level")
            );
            Panel {
                axes: Axes { title, unit: "jump m", x: "exit level k", tick: plain },
                y: (-0.5, blocks as f64 - 0.5),
                alt,
                content: Content::Heat(heat),
            }
        })
        .collect();
    let caption = "Each column is an exit level, each row a jump; bright is better, the worst tenth of the \
                   values has one colour. The black mark is the best jump of each level.";
    Some(Figure::with_legend(
        format!("transfer{suffix}"),
        format!("Every jump at every exit level ({setting})"),
        caption.to_owned(),
        Vec::new(),
        panels,
    ))
}
