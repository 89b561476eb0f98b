//! Every jump at every exit level, a heat map for each metric.

use onejump_store::analyses::Transfer;

use super::figure::Figure;
use super::frame::{Axes, percent_tick, plain_tick};
use super::heat::Heat;
use super::panel::{Content, Panel};
use crate::words;

/// One of the heat maps: its title, a row's value, whether more is better, and how a value is written beside the
/// colours.
struct Map(&'static str, fn(&Transfer) -> f64, bool, fn(f64, f64) -> String);

const MAPS: [Map; 6] = [
    Map("Precision@1", |row| row.precision_1, true, percent_tick),
    Map("Surprisal (nats)", |row| row.surprisal, false, plain_tick),
    Map("KL divergence (nats)", |row| row.kl, false, plain_tick),
    Map("mat_surprisal (nats)", |row| row.mat_surprisal, false, plain_tick),
    Map("Cosine", |row| row.cosine, true, plain_tick),
    Map("Signed square", |row| row.signed_square, true, plain_tick),
];

impl Map {
    /// The panel of these rows, K for each of K = `blocks` jumps.
    fn panel(&self, rows: &[&Transfer], blocks: usize) -> Panel {
        let &Self(title, value, more_is_better, tick) = self;
        let mut values = vec![vec![f64::NAN; blocks]; blocks];
        for row in rows {
            if let Some(cell) = values[row.jump as usize].get_mut(row.level as usize) {
                *cell = value(row);
            }
        }
        let heat = Heat { values, more_is_better, tick };
        let (worst, best) = heat.range();
        let own = heat.best().into_iter().enumerate().filter(|(level, jump)| level == jump).count();
        let alt = format!(
            "{title} of {blocks} jumps at {blocks} exit levels, from {} to {}; the level’s own jump is the best one \
             at {}.",
            tick(worst, 0.01),
            tick(best, 0.01),
            words::count(own, "level")
        );
        Panel {
            axes: Axes::plain(title, "jump m", "exit level k"),
            y: (-0.5, blocks as f64 - 0.5),
            alt,
            content: Content::Heat(heat),
        }
    }
}

/// The matrix of one set of jumps: all its rows, K for each jump.
pub fn figure(rows: &[&Transfer], suffix: &str, setting: &str) -> Option<Figure> {
    let blocks = rows.iter().map(|row| row.jump as usize + 1).max()?;
    let caption = "Each column is an exit level, each row a jump; bright is better, the worst tenth of the \
                   values has one colour. The black mark is the best jump of each level.";
    Some(Figure {
        stem: format!("transfer{suffix}"),
        title: format!("Every jump at every exit level ({setting})"),
        caption: caption.to_owned(),
        legend: Vec::new(),
        panels: MAPS.iter().map(|map| map.panel(rows, blocks)).collect(),
    })
}
