//! How the rows of a part are grouped for the model.

use crate::rows::Rows;

/// Groups rows by the lengths of their sequences, shortest first, into batches of about equal size and about `tokens`
/// tokens at most. The number of batches is a multiple of `share`, where there are enough sequences.
///
/// Sequences of equal length side by side make attention efficient. Batches are not padded, so the grouping changes the
/// states by rounding alone.
pub(crate) fn by_length(rows: &[Rows], tokens: usize, share: usize) -> Vec<Vec<Rows>> {
    let mut order = rows.to_vec();
    order.sort_by_key(Rows::tokens);
    let total: usize = order.iter().map(Rows::tokens).sum();
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

/// About how many tokens `threads` batches have together, at most, where sequences have so many (longest first) and so many
/// in all.
pub(crate) fn tokens_at_once(longest: &[usize], all: usize, tokens: usize, threads: usize) -> usize {
    let batches = longest.iter().copied().chain(std::iter::repeat(0)).take(threads);
    batches.map(|longest| longest.max(tokens)).sum::<usize>().min(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::tests::{all, sequence};
    use crate::samples::Sequence;

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
        let tokens = |batch: &Vec<Rows>| batch.iter().map(Rows::tokens).sum::<usize>();
        assert_eq!(batches.len(), 16);
        let even = batches.iter().map(tokens).sum::<usize>() / batches.len();
        assert!(even <= 1000 && batches.iter().all(|batch| tokens(batch).abs_diff(even) <= 60));
        assert!(batches.concat().is_sorted_by_key(Rows::tokens));
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
        let longest = [60_000, 30_000, 4, 4];
        let at_once = |threads| tokens_at_once(&longest, 90_008, 512, threads);
        assert_eq!([at_once(1), at_once(2), at_once(3), at_once(16)], [60_000, 90_000, 90_008, 90_008]);
        assert_eq!(tokens_at_once(&[], 0, 512, 2), 0);
    }
}
