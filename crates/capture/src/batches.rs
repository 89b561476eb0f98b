//! How the samples of a part are grouped for the model.

use crate::samples::Sample;

/// Groups samples by length, shortest first, into batches of about equal size and about `tokens` tokens at most.
/// The number of batches is a multiple of `share`, where there are enough samples.
///
/// Returns the places of the samples in each batch. Samples of equal length side by side make attention efficient.
/// Batches are not padded, so the grouping changes the states by rounding alone.
pub(crate) fn by_length(samples: &[Sample], tokens: usize, share: usize) -> Vec<Vec<usize>> {
    let length = |place: usize| samples[place].position + 1;
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.sort_by_key(|&place| length(place));
    let total: usize = order.iter().copied().map(length).sum();
    let mut batches = vec![Vec::new(); total.div_ceil(tokens.max(1)).next_multiple_of(share)];
    let (count, mut before) = (batches.len(), 0);
    for place in order {
        // With all tokens in a row, cut into batches of equal size, the sample goes where its middle lies.
        batches[(2 * before + length(place)) * count / (2 * total)].push(place);
        before += length(place);
    }
    batches.retain(|batch| !batch.is_empty());
    batches
}

/// The most tokens that `threads` batches of one part have together.
pub(crate) fn tokens_at_once<'a>(
    parts: impl Iterator<Item = &'a [Sample]>,
    tokens: usize,
    share: usize,
    threads: usize,
) -> usize {
    let of_part = |samples: &[Sample]| {
        let length = |batch: &Vec<usize>| batch.iter().map(|&place| samples[place].prefix().len()).sum();
        let mut batches: Vec<usize> = by_length(samples, tokens, share).iter().map(length).collect();
        batches.sort_unstable_by(|a, b| b.cmp(a));
        batches.into_iter().take(threads).sum()
    };
    parts.map(of_part).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_in_one_batch_and_batches_are_even() {
        let sample = |position| Sample { sentence: None, token_ids: vec![0; position + 3], position };
        let samples: Vec<Sample> = (0..500).map(|i| sample(i * 7919 % 60)).collect();
        let batches = by_length(&samples, 1000, 8);
        let tokens =
            |batch: &Vec<usize>| batch.iter().map(|&place| samples[place].position + 1).sum::<usize>();
        assert_eq!(batches.len(), 16);
        let even = batches.iter().map(tokens).sum::<usize>() / batches.len();
        assert!(even <= 1000 && batches.iter().all(|batch| tokens(batch).abs_diff(even) <= 60));
        let mut places = batches.concat();
        assert!(places.is_sorted_by_key(|&place| samples[place].position));
        places.sort_unstable();
        assert!(places.into_iter().eq(0..500));
    }

    #[test]
    fn few_samples_and_long_ones_have_batches_of_their_own() {
        let sample = |position| Sample { sentence: None, token_ids: vec![0; position + 1], position };
        assert!(by_length(&[], 10, 8).is_empty());
        assert_eq!(by_length(&[sample(99), sample(0)], 10, 8), [vec![1], vec![0]]);
        assert_eq!(by_length(&[sample(5), sample(5), sample(5)], 1, 8), [vec![0], vec![1], vec![2]]);
    }

    #[test]
    fn a_long_sample_counts_whole() {
        let sample = |position| Sample { sentence: None, token_ids: vec![0; position + 1], position };
        let samples: Vec<Sample> = [59_999, 3, 3, 29_999].map(sample).into();
        let at_once = |threads| tokens_at_once(samples.chunks(3), 512, 8, threads);
        assert_eq!([at_once(1), at_once(2), at_once(16)], [60_000, 60_008, 60_008]);
        assert_eq!(tokens_at_once([].into_iter(), 512, 8, 2), 0);
    }
}
