//! The sums of a part's rows, added to those of the parts before it.

use std::borrow::Cow;

use onejump_core::target::Target;
use onejump_simd as simd;
use onejump_store::moments::{Matrix, Selected, Sums};
use onejump_store::part::PartRows;
use rayon::prelude::*;

/// Adds the rows of a part that are selected. A row's share does not depend on the number of threads, nor does the order
/// of the sums.
pub(super) fn add(sums: &mut Sums, rows: &PartRows, last: usize, selected: Selected) {
    let hidden = sums.hidden_size;
    let kept: Option<Vec<usize>> = selected.without_position_0().then(|| {
        let places = rows.positions.iter().enumerate();
        places.filter(|(_, position)| **position > 0).map(|(place, _)| place).collect()
    });
    let chosen = |level: usize| -> Cow<[f32]> {
        let states = rows.levels.get(&level).map_or(&[][..], Vec::as_slice);
        match &kept {
            None => Cow::Borrowed(states),
            Some(kept) => {
                kept.iter().flat_map(|&row| &states[row * hidden..(row + 1) * hidden]).copied().collect()
            }
        }
    };
    let mut targets = chosen(last);
    if selected.target() == Target::Normed {
        targets.to_mut().chunks_mut(hidden).for_each(normalise);
    }
    sums.samples += (targets.len() / hidden) as u64;
    add_columns(&mut sums.targets.sum, &targets);
    add_gram(&mut sums.targets.gram, &targets, hidden);
    sums.levels.par_iter_mut().for_each(|(&level, sums)| {
        let states = chosen(level);
        add_columns(&mut sums.sum, &states);
        add_gram(&mut sums.gram, &states, hidden);
        sums.cross.panels_mut().par_iter_mut().for_each(|panel| {
            add_values(&mut panel.values, &simd::cross(&states, &targets, hidden, panel.columns.clone()));
        });
    });
}

/// To a root mean square of 1.
fn normalise(state: &mut [f32]) {
    let squares: f64 = state.iter().map(|&value| f64::from(value).powi(2)).sum();
    let scale = (state.len() as f64 / squares).sqrt();
    for value in state {
        *value = (f64::from(*value) * scale) as f32;
    }
}

fn add_gram(gram: &mut Matrix, states: &[f32], hidden: usize) {
    gram.panels_mut().par_iter_mut().for_each(|panel| {
        add_values(&mut panel.values, &simd::gram(states, hidden, panel.columns.clone()));
    });
}

fn add_columns(sum: &mut [f64], states: &[f32]) {
    for state in states.chunks_exact(sum.len()) {
        for (sum, &value) in sum.iter_mut().zip(state) {
            *sum += f64::from(value);
        }
    }
}

fn add_values(sums: &mut [f64], values: &[f64]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}
