//! How the rows of a part are grouped for the model.

use crate::rows::Rows;

/// Groups rows by the lengths of their sequences, shortest first, into batches of about equal size and about `tokens`
/// tokens at most. The number of batches is a multiple of `share`, where there are enough sequences.
///
/// Sequences of equal length side by side make attention efficient. Batches are not padded, so the grouping changes the
/// states by rounding alone.
pub(crate) fn by_length<'a>(rows: &[Rows<'a>], tokens: usize, share: usize) -> Vec<Vec<Rows<'a>>> {
    let mut order = rows.to_vec();
    order.sort_by_key(|rows| rows.tokens());
    let total: usize = order.iter().map(|rows| rows.tokens()).sum();
    let mut batches = vec![Vec::new(); total.div_ceil(tokens.max(1)).next_multiple_of(share)];
    let (count, mut before) = (batches.len(), 0);
    for rows in order {
        // With all tokens in a row, cut into batches of equal size, a sequence goes where its middle lies.
        let length = rows.tokens();
        batches[(2 * before + length) * count / (2 * total)].push(rows);
        before += length;
    }
    batches.retain(|batch| !batch.is_empty());
    batches
}

/// How many rows a batch has.
pub(crate) fn row_count(batch: &[Rows]) -> usize {
    batch.iter().map(|rows| rows.numbers().len()).sum()
}

/// The numbers of the rows of a batch, in its order.
pub(crate) fn numbers(batch: &[Rows]) -> impl Iterator<Item = usize> {
    batch.iter().flat_map(|rows| rows.numbers())
}

/// The most tokens that `threads` batches of one group of rows have together.
pub(crate) fn tokens_at_once(groups: &[Vec<Rows>], tokens: usize, share: usize, threads: usize) -> usize {
    let of_group = |rows: &Vec<Rows>| {
        let length = |batch: &Vec<Rows>| batch.iter().map(|rows| rows.tokens()).sum();
        let mut batches: Vec<usize> = by_length(rows, tokens, share).iter().map(length).collect();
        batches.sort_unstable_by(|a, b| b.cmp(a));
        batches.into_iter().take(threads).sum()
    };
    groups.iter().map(of_group).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::groups;
    use crate::rows::tests::sequence;
    use crate::samples::Sequence;

    fn all(sequences: &[Sequence]) -> Vec<Rows<'_>> {
        groups(sequences, usize::MAX).concat()
    }

    #[test]
    fn every_row_is_in_one_batch_and_batches_are_even() {
        let sequences: Vec<Sequence> = (0..500)
            .map(|i| {
                let last = i * 7919 % 60;
                sequence(if last > 20 && i % 3 == 0 { vec![3, 5, last] } else { vec![last] }.as_slice())
            })
            .collect();
        let rows = all(&sequences);
        let batches = by_length(&rows, 1000, 8);
        let tokens = |batch: &Vec<Rows>| batch.iter().map(|rows| rows.tokens()).sum::<usize>();
        assert_eq!(batches.len(), 16);
        let even = batches.iter().map(tokens).sum::<usize>() / batches.len();
        assert!(even <= 1000 && batches.iter().all(|batch| tokens(batch).abs_diff(even) <= 60));
        assert!(batches.concat().is_sorted_by_key(|rows| rows.tokens()));
        let mut numbers: Vec<usize> = batches.iter().flat_map(|batch| numbers(batch)).collect();
        numbers.sort_unstable();
        let count = batches.iter().map(|batch| row_count(batch)).sum();
        assert!(count > 600 && numbers.into_iter().eq(0..count));
    }

    #[test]
    fn few_sequences_and_long_ones_have_batches_of_their_own() {
        let batches = |positions: &[usize], tokens| {
            let sequences: Vec<_> = positions.iter().map(|&position| sequence(&[position])).collect();
            let batches = by_length(&all(&sequences), tokens, 8);
            batches.iter().map(|batch| numbers(batch).collect()).collect::<Vec<Vec<usize>>>()
        };
        assert!(batches(&[], 10).is_empty());
        assert_eq!(batches(&[99, 0], 10), [vec![1], vec![0]]);
        assert_eq!(batches(&[5, 5, 5], 1), [vec![0], vec![1], vec![2]]);
    }

    #[test]
    fn a_long_sequence_counts_whole() {
        let sequences = [59_999, 3, 3, 29_999].map(|position| sequence(&[position]));
        let at_once = |threads| tokens_at_once(&groups(&sequences, 3), 512, 8, threads);
        assert_eq!([at_once(1), at_once(2), at_once(16)], [60_000, 60_008, 60_008]);
        assert_eq!(tokens_at_once(&[], 512, 8, 2), 0);
    }
}
