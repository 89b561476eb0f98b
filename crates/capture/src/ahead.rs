//! The second pass over an input, ahead of the model: only the texts of the parts that are wanted are tokenised, and no
//! more of them are in memory than wait in a short queue.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;

use onejump_core::observe::Observer;

use crate::CaptureError;
use crate::rows::Rows;
use crate::samples::Sequence;
use crate::source::Source;
use crate::survey::{Survey, check};

/// Groups of rows that wait for the model.
pub(crate) const GROUPS_AHEAD: usize = 1;

/// Rows that are computed together.
pub(crate) type Group = Vec<Rows>;

/// Sends the groups with these rows, ascending and without overlaps, and at last what went wrong. It ends early where nobody
/// takes them. `tokens` counts those that are sent.
pub(crate) fn send(
    source: &Source,
    survey: &Survey,
    wanted: Vec<Range<usize>>,
    tokens: &AtomicUsize,
    observer: &dyn Observer,
    groups: &SyncSender<Result<Group, CaptureError>>,
) {
    let mut take = |group: Group| {
        tokens.fetch_add(group.iter().map(Rows::tokens).sum(), Ordering::Relaxed);
        groups.send(Ok(group)).is_ok()
    };
    if let Err(error) = each(source, survey, wanted, observer, &mut take) {
        // Whoever does not take it has failed otherwise.
        let _ = groups.send(Err(error));
    }
}

/// Gives each group to `take`, until that returns false.
fn each(
    source: &Source,
    survey: &Survey,
    wanted: Vec<Range<usize>>,
    observer: &dyn Observer,
    take: &mut dyn FnMut(Group) -> bool,
) -> Result<(), CaptureError> {
    let mut wanted = VecDeque::from(wanted);
    let mut held = Held::default();
    let mut batches = source.batches()?;
    for (number, &start) in survey.starts.iter().enumerate() {
        let Some(next) = wanted.front() else { return Ok(()) };
        observer.check()?;
        let changed = || CaptureError::InputChanged { path: source.path() };
        let batch = batches.next().ok_or_else(changed)??;
        let rows = survey.rows_of(number).unwrap_or_default();
        if rows.end <= next.start {
            continue;
        }
        if survey.checks.get(number) != Some(&check(&batch)) {
            return Err(changed());
        }
        held.add(source.sequences(&batch, start)?.sequences, start.row);
        while let Some(numbers) = pop_if(&mut wanted, |next| next.end <= rows.end) {
            if !take(held.take(&numbers)) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Sequences whose rows may be wanted, with the numbers of their first rows.
#[derive(Default)]
struct Held(VecDeque<(usize, Arc<Sequence>)>);

impl Held {
    fn add(&mut self, sequences: Vec<Sequence>, mut row: usize) {
        for sequence in sequences {
            let rows = sequence.positions.len();
            self.0.push_back((row, Arc::new(sequence)));
            row += rows;
        }
    }

    /// Some rows. What lies before them is not wanted any more, nor is what ends with them.
    fn take(&mut self, numbers: &Range<usize>) -> Vec<Rows> {
        let mut rows = Vec::new();
        while let Some((first, sequence)) = pop_if(&mut self.0, |(first, _)| *first < numbers.end) {
            let end = first + sequence.positions.len();
            if end > numbers.start {
                let own = numbers.start.max(first)..numbers.end.min(end);
                rows.push(Rows::new(&sequence, first, own));
            }
            if end > numbers.end {
                self.0.push_front((first, sequence));
                break;
            }
        }
        rows
    }
}

/// The first of a queue, if it is such a one.
fn pop_if<T>(queue: &mut VecDeque<T>, wanted: impl FnOnce(&T) -> bool) -> Option<T> {
    if queue.front().is_some_and(wanted) { queue.pop_front() } else { None }
}

#[cfg(test)]
mod tests {
    use onejump_core::observe::Silent;

    use super::*;
    use crate::rows::tests::sequence;
    use crate::sampling::Sampling;

    #[test]
    fn rows_are_cut_wherever_a_group_ends() {
        let sequences = [&[0usize, 2, 5][..], &[1], &[0, 1, 2, 3, 4, 5, 6], &[3]].map(sequence);
        let found = |groups: &[Range<usize>]| -> Vec<Vec<_>> {
            let mut held = Held::default();
            held.add(sequences.to_vec(), 0);
            let of = |rows: &Rows| (rows.numbers(), rows.sampled().positions.to_vec(), rows.tokens());
            groups.iter().map(|group| held.take(group).iter().map(of).collect()).collect()
        };
        assert_eq!(
            found(&[0..5, 5..10, 10..12]),
            [
                vec![(0..3, vec![0, 2, 5], 6), (3..4, vec![1], 2), (4..5, vec![0], 1)],
                vec![(5..10, vec![1, 2, 3, 4, 5], 6)],
                vec![(10..11, vec![6], 7), (11..12, vec![3], 4)],
            ]
        );
        assert_eq!(
            found(&[1..2, 6..7, 11..12]),
            [vec![(1..2, vec![2], 3)], vec![(6..7, vec![2], 3)], vec![(11..12, vec![3], 4)]]
        );
    }

    #[test]
    fn a_text_that_changes_between_the_passes_ends_the_second() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let write = |id: usize| {
            let line = |line: usize| format!("{{\"input_ids\": [{}], \"position\": 0}}\n", id * line % 7);
            std::fs::write(file.path(), (0..3000).map(line).collect::<String>()).unwrap();
        };
        write(1);
        let source = Source::samples(file.path(), Sampling::exact(7, 4, None)).unwrap();
        let survey = Survey::of(&source, &Silent).unwrap();
        let read = || {
            let mut rows = 0;
            let mut take = |group: Group| {
                rows += group.len();
                true
            };
            each(&source, &survey, vec![5..10, 2500..2600], &Silent, &mut take).map(|()| rows)
        };
        assert_eq!(read().unwrap(), 105);
        write(2);
        assert!(matches!(read(), Err(CaptureError::InputChanged { .. })));
        std::fs::write(file.path(), "").unwrap();
        assert!(matches!(read(), Err(CaptureError::InputChanged { .. })));
    }
}
