//! The rows of a capture: each sampled position of each sequence is one, numbered from 0 on through all of them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use onejump_models::transformer::Sampled;
use onejump_store::part::{PartRows, TextRows};

use crate::samples::Sequence;

/// Some rows of one sequence, side by side.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    sequence: Arc<Sequence>,
    /// Which of its positions, ascending, these rows are of.
    places: Range<usize>,
    /// The number of the first row.
    first: usize,
}

impl Rows {
    /// The rows with these numbers of a sequence, whose first row has the number `first`.
    pub fn new(sequence: &Arc<Sequence>, first: usize, numbers: Range<usize>) -> Self {
        let places = numbers.start - first..numbers.end - first;
        Self { sequence: Arc::clone(sequence), places, first: numbers.start }
    }

    fn positions(&self) -> &[usize] {
        &self.sequence.positions[self.places.clone()]
    }

    /// What the model computes for these rows.
    pub fn sampled(&self) -> Sampled<'_> {
        Sampled { tokens: &self.sequence.token_ids, positions: self.positions() }
    }

    /// How many tokens that takes.
    pub fn tokens(&self) -> usize {
        self.positions().last().map_or(0, |&last| last + 1)
    }

    /// The numbers of the rows.
    pub fn numbers(&self) -> Range<usize> {
        self.first..self.first + self.places.len()
    }
}

/// A part with these numbers: of `rows`, which hold them, and the states (N, H) at each level. `texts` where it says
/// which text each row is of.
pub(crate) fn part(
    rows: &[Rows],
    numbers: Range<usize>,
    texts: bool,
    levels: BTreeMap<usize, Vec<f32>>,
) -> PartRows {
    let count = numbers.len();
    let mut part = PartRows {
        sample_ids: numbers.clone().map(|number| number as u64).collect(),
        sentences: Vec::with_capacity(count),
        token_ids: Vec::with_capacity(count),
        positions: Vec::with_capacity(count),
        texts: texts.then(TextRows::default),
        levels,
    };
    for rows in rows {
        for (number, &position) in rows.numbers().zip(rows.positions()) {
            if !numbers.contains(&number) {
                continue;
            }
            let share = rows.sequence.share_at(position);
            part.sentences.push(share.and_then(|share| share.sentence.clone()));
            part.token_ids.push(rows.sequence.token_ids.iter().map(|&id| id as i32).collect());
            part.positions.push(position as u32);
            if let Some((texts, share)) = part.texts.as_mut().zip(share) {
                texts.text_ids.push(share.text_id);
                texts.chunks.push(share.chunk);
            }
        }
    }
    part
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::samples::Share;

    /// A sequence with nothing behind its last position.
    pub(crate) fn sequence(positions: &[usize]) -> Sequence {
        let length = positions.last().map_or(0, |last| last + 1);
        Sequence {
            token_ids: vec![0; length],
            positions: positions.into(),
            shares: vec![Share::whole(None, 0, 0)],
        }
    }

    /// The rows of all sequences.
    pub(crate) fn all(sequences: &[Sequence]) -> Vec<Rows> {
        let mut first = 0;
        let rows = |sequence: &Sequence| {
            let end = first + sequence.positions.len();
            let rows = Rows::new(&Arc::new(sequence.clone()), first, first..end);
            first = end;
            rows
        };
        sequences.iter().map(rows).collect()
    }
}
