//! How many jumps does it take? Sets of jumps of which every exit level uses its best one.
//!
//! A set's worth is the mean over the levels of its best jump's score there (with one jump and the
//! signed square that is the paper's D). Such a worth has diminishing returns, so adding one jump at a
//! time is never worse than 1 − 1/e of the best set (Nemhauser, Wolsey and Fisher 1978).

use onejump_store::analyses::{Criterion, Subset};

use crate::EvaluateError;
use crate::bootstrap::{Bootstrap, PerSample, Quality};
use crate::jumps::{JumpSet, Pair, argmax};

/// Every set of a size is tried if there are no more than this many.
const EXACT: u128 = 200_000;

/// The sets of 1 to K jumps under both criteria, measured on the test samples.
pub(crate) fn subsets(
    set: &JumpSet,
    criteria: &[Vec<Pair>],
    qualities: &[Vec<Vec<Quality>>],
    bootstrap: &Bootstrap,
) -> Result<Vec<Subset>, EvaluateError> {
    let mut rows = Vec::new();
    for criterion in [Criterion::SignedSquare, Criterion::Kl] {
        let by = |levels: &Vec<Pair>| levels.iter().map(|pair| pair.by(criterion)).collect();
        let scores: Vec<Vec<f64>> = criteria.iter().map(by).collect();
        for chosen in choose_all(&scores) {
            let levels = scores.first().map_or(0, Vec::len);
            let assigned = (0..levels).map(|level| {
                let at: Vec<f64> = chosen.jumps.iter().map(|&jump| scores[jump][level]).collect();
                &qualities[chosen.jumps[argmax(&at)]][level]
            });
            let [precision, surprisal, kl] = PerSample::mean(assigned).intervals(bootstrap)?;
            rows.push(Subset {
                solver: set.solver,
                rank: set.rank,
                criterion,
                size: chosen.jumps.len() as u32,
                exact: chosen.exact,
                parameters: set.parameters * chosen.jumps.len() as u64,
                jumps: chosen.jumps.iter().map(|&jump| jump as u32).collect(),
                precision_1: precision.mean,
                precision_1_low: precision.low,
                precision_1_high: precision.high,
                surprisal: surprisal.mean,
                surprisal_low: surprisal.low,
                surprisal_high: surprisal.high,
                kl: kl.mean,
                kl_low: kl.low,
                kl_high: kl.high,
            });
        }
    }
    Ok(rows)
}

/// A set of jumps, in ascending order.
#[derive(Debug, Clone, PartialEq)]
struct Chosen {
    jumps: Vec<usize>,
    exact: bool,
}

/// The best set of each size from 1 to all, for scores by jump and level.
fn choose_all(scores: &[Vec<f64>]) -> Vec<Chosen> {
    let mut sets: Vec<Chosen> = Vec::with_capacity(scores.len());
    for size in 1..=scores.len() {
        let jumps = if sets_of(scores.len(), size) <= EXACT { Some(best_of_all(scores, size)) } else { None };
        let exact = jumps.is_some();
        let jumps = jumps.unwrap_or_else(|| {
            let before = sets.last().map_or(&[][..], |set| &set.jumps);
            with_one_more(scores, before)
        });
        sets.push(Chosen { jumps, exact });
    }
    sets
}

/// n over k.
fn sets_of(n: usize, k: usize) -> u128 {
    let k = k.min(n - k);
    (0..k).fold(1u128, |product, i| product.saturating_mul((n - i) as u128) / (i as u128 + 1))
}

/// The worth of a set: the sum over the levels of its best score.
fn worth(scores: &[Vec<f64>], jumps: &[usize]) -> f64 {
    let levels = scores.first().map_or(0, Vec::len);
    let best = |level| jumps.iter().map(|&jump| scores[jump][level]).fold(f64::NEG_INFINITY, f64::max);
    (0..levels).map(best).sum()
}

fn with_one_more(scores: &[Vec<f64>], before: &[usize]) -> Vec<usize> {
    let with = |jump: usize| {
        let mut jumps = before.to_vec();
        jumps.push(jump);
        jumps.sort_unstable();
        jumps
    };
    let others: Vec<usize> = (0..scores.len()).filter(|jump| !before.contains(jump)).collect();
    let worths: Vec<f64> = others.iter().map(|&jump| worth(scores, &with(jump))).collect();
    others.get(argmax(&worths)).map_or_else(|| before.to_vec(), |&jump| with(jump))
}

/// Tries every set of a size, in lexicographic order.
fn best_of_all(scores: &[Vec<f64>], size: usize) -> Vec<usize> {
    let mut jumps: Vec<usize> = (0..size).collect();
    let (mut best, mut most) = (jumps.clone(), f64::NEG_INFINITY);
    loop {
        let worth = worth(scores, &jumps);
        if worth > most {
            (best, most) = (jumps.clone(), worth);
        }
        // The last place that can still move on; those behind it follow it.
        let Some(place) = (0..size).rev().find(|&place| jumps[place] < scores.len() - size + place) else {
            return best;
        };
        jumps[place] += 1;
        for next in place + 1..size {
            jumps[next] = jumps[next - 1] + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One jump that is good everywhere, two that are better together: the exact pair leaves the single
    /// best one out, and adding to it cannot.
    #[test]
    fn the_best_pair_need_not_hold_the_best_jump() {
        let scores = vec![vec![0.6, 0.6], vec![1.0, 0.0], vec![0.0, 1.0]];
        let sets = choose_all(&scores);
        let jumps: Vec<_> = sets.iter().map(|set| set.jumps.clone()).collect();
        assert_eq!(jumps, [vec![0], vec![1, 2], vec![0, 1, 2]]);
        assert!(sets.iter().all(|set| set.exact));
        assert_eq!(with_one_more(&scores, &[0]), [0, 1]);
    }

    #[test]
    fn sets_are_counted() {
        assert_eq!([sets_of(30, 5), sets_of(30, 29), sets_of(4, 4)], [142_506, 30, 1]);
    }
}
