//! The rows of a capture: each sampled position of each sequence is one, numbered from 0 on through all of them.

use std::collections::BTreeMap;
use std::ops::Range;

use onejump_models::transformer::Sampled;
use onejump_store::part::{PartRows, TextRows};

use crate::samples::Sequence;

/// Some rows of one sequence, side by side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    sequence: &'a Sequence,
    /// The positions of these rows, ascending.
    positions: &'a [usize],
    /// The number of the first row.
    first: usize,
}

impl<'a> Rows<'a> {
    /// What the model computes for these rows.
    pub fn sampled(self) -> Sampled<'a> {
        Sampled { tokens: &self.sequence.token_ids, positions: self.positions }
    }

    /// How many tokens that takes.
    pub fn tokens(self) -> usize {
        self.positions.last().map_or(0, |&last| last + 1)
    }

    /// The numbers of the rows.
    pub fn numbers(self) -> Range<usize> {
        self.first..self.first + self.positions.len()
    }
}

/// How many rows there are.
pub(crate) fn count(sequences: &[Sequence]) -> usize {
    sequences.iter().map(|sequence| sequence.positions.len()).sum()
}

/// The rows of all sequences in groups of `per_group`. Where a group ends within a sequence, its rows are in
/// two, and each computes what it needs of it.
pub(crate) fn groups(sequences: &[Sequence], per_group: usize) -> Vec<Vec<Rows<'_>>> {
    let mut groups: Vec<Vec<Rows>> = Vec::new();
    let mut first = 0;
    for sequence in sequences {
        let mut rest = &sequence.positions[..];
        while !rest.is_empty() {
            let room = per_group - first % per_group;
            let (positions, others) = rest.split_at(room.min(rest.len()));
            if first.is_multiple_of(per_group) {
                groups.push(Vec::new());
            }
            if let Some(group) = groups.last_mut() {
                group.push(Rows { sequence, positions, first });
            }
            first += positions.len();
            rest = others;
        }
    }
    groups
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
        let Sequence { sentence, token_ids, text_id, chunk, .. } = rows.sequence;
        for (number, &position) in rows.numbers().zip(rows.positions) {
            if !numbers.contains(&number) {
                continue;
            }
            part.sentences.push(sentence.clone());
            part.token_ids.push(token_ids.iter().map(|&id| id as i32).collect());
            part.positions.push(position as u32);
            if let Some(texts) = &mut part.texts {
                texts.text_ids.push(*text_id);
                texts.chunks.push(*chunk);
            }
        }
    }
    part
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A sequence with nothing behind its last position.
    pub(crate) fn sequence(positions: &[usize]) -> Sequence {
        let length = positions.last().map_or(0, |last| last + 1);
        Sequence {
            sentence: None,
            token_ids: vec![0; length],
            positions: positions.into(),
            text_id: 0,
            chunk: 0,
        }
    }

    #[test]
    fn rows_are_cut_into_groups_wherever_they_are_full() {
        let sequences = [&[0usize, 2, 5][..], &[1], &[0, 1, 2, 3, 4, 5, 6], &[3]].map(sequence);
        assert_eq!(count(&sequences), 12);
        let groups = groups(&sequences, 5);
        let of = |rows: &Rows| (rows.numbers(), rows.positions.to_vec(), rows.tokens());
        let found: Vec<Vec<_>> = groups.iter().map(|group| group.iter().map(of).collect()).collect();
        assert_eq!(
            found,
            [
                vec![(0..3, vec![0, 2, 5], 6), (3..4, vec![1], 2), (4..5, vec![0], 1)],
                vec![(5..10, vec![1, 2, 3, 4, 5], 6)],
                vec![(10..11, vec![6], 7), (11..12, vec![3], 4)],
            ]
        );
        assert!(super::groups(&[], 5).is_empty());
    }
}
