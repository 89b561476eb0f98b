//! How the samples of a part are grouped for the model.

use crate::samples::Sample;

/// Groups samples, shortest first, into batches of about `tokens` tokens.
///
/// Returns the samples' places. Without padding the results do not depend on the grouping, beyond
/// rounding; equal lengths side by side make attention efficient.
pub(crate) fn by_length(samples: &[Sample], tokens: usize) -> Vec<Vec<usize>> {
    let length = |place: usize| samples[place].position + 1;
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.sort_by_key(|&place| length(place));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut filled = usize::MAX;
    for place in order {
        if filled.saturating_add(length(place)) > tokens {
            batches.push(Vec::new());
            filled = 0;
        }
        filled += length(place);
        if let Some(batch) = batches.last_mut() {
            batch.push(place);
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_in_one_batch_of_limited_size() {
        let sample = |position| Sample { sentence: None, token_ids: vec![0; position + 3], position };
        let samples: Vec<Sample> = [4, 0, 9, 2, 2, 19, 4].map(sample).into();
        let batches = by_length(&samples, 10);
        assert_eq!(batches, [vec![1, 3, 4], vec![0, 6], vec![2], vec![5]]);
    }
}
