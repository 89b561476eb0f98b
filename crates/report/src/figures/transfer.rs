//! Every jump at every exit level, a heat map for each metric.

use onejump_store::analyses::Transfer;

use super::figure::Figure;
use super::frame::{Across, Axes, tick};
use super::heat::Heat;
use super::panel::{Content, Panel};
use crate::setting::Metric;
use crate::words;

/// One of the heat maps.
struct Map {
    title: &'static str,
    value: fn(&Transfer) -> f64,
    more_is_better: bool,
    percent: bool,
    metric: Option<Metric>,
}

#[rustfmt::skip]
const MAPS: [Map; 6] = [
    Map { title: "Precision@1", value: |row| row.precision_1, more_is_better: true, percent: true, metric: Some(Metric::Precision) },
    Map { title: "Surprisal (nats)", value: |row| row.surprisal, more_is_better: false, percent: false, metric: Some(Metric::Surprisal) },
    Map { title: "KL divergence (nats)", value: |row| row.kl, more_is_better: false, percent: false, metric: None },
    Map { title: "mat_surprisal (nats)", value: |row| row.mat_surprisal, more_is_better: false, percent: false, metric: None },
    Map { title: "Cosine", value: |row| row.cosine, more_is_better: true, percent: false, metric: None },
    Map { title: "Signed square", value: |row| row.signed_square, more_is_better: true, percent: false, metric: None },
];

impl Map {
    /// The panel of these rows, K for each of K = `blocks` jumps.
    fn panel(&self, rows: &[&Transfer], blocks: usize) -> Panel {
        let &Self { title, value, more_is_better, percent, metric } = self;
        let mut values = vec![vec![f64::NAN; blocks]; blocks];
        for row in rows {
            if let Some(cell) = values[row.jump as usize].get_mut(row.level as usize) {
                *cell = value(row);
            }
        }
        let heat = Heat { values, rows: None, more_is_better, percent };
        let (worst, best) = heat.range();
        let own = heat.best().into_iter().enumerate().filter(|(level, jump)| level == jump).count();
        let alt = format!(
            "{title} of {blocks} jumps at {blocks} exit levels, from {} to {}; the level’s own jump is the best one \
             at {}.",
            tick(percent, worst, 0.01),
            tick(percent, best, 0.01),
            words::count(own, "level")
        );
        Panel {
            axes: Axes::plain(title, "jump m", Across::Level),
            y: (-0.5, blocks as f64 - 0.5),
            alt,
            content: Content::Heat(heat),
            metric,
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
