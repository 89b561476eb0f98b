//! The policy of a dynamic exit: which levels are looked at, and how sure one of them must be.

/// Thresholds that are tried for each schedule.
const CANDIDATES: usize = 400;

/// Distances between the levels that are looked at.
const STEPS: [usize; 5] = [1, 2, 3, 5, 10];

/// Where looking may begin, in quarters of the depth.
const QUARTERS: usize = 4;

/// The levels that are looked at: `from`, `from + every`, …, below K.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub from: usize,
    pub every: usize,
}

impl Schedule {
    /// Every exit level.
    pub const EVERY: Self = Self { from: 0, every: 1 };

    /// The schedules that are tried for K exit levels.
    pub fn all(levels: usize) -> Vec<Self> {
        let from = (0..QUARTERS).map(|quarter| quarter * levels / QUARTERS);
        let all = from.flat_map(|from| STEPS.map(|every| Self { from, every }));
        let mut all: Vec<Self> = all.filter(|schedule| schedule.from + schedule.every <= levels).collect();
        all.dedup();
        all
    }

    fn levels(self, count: usize) -> impl Iterator<Item = usize> {
        (self.from..count).step_by(self.every)
    }
}

/// A schedule and its threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Plan {
    pub schedule: Schedule,
    /// A level is exited at if its score is this or more; infinite to exit nowhere.
    pub threshold: f64,
}

/// What looks at every level would find, for every sample.
pub(crate) struct Looks {
    /// By level, then by sample.
    pub scores: Vec<Vec<f64>>,
    /// Whether the shortcut's token is the full model's.
    pub agrees: Vec<Vec<bool>>,
}

/// How one sample leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exited {
    /// Blocks that were run; K if it did not exit early.
    pub blocks: usize,
    /// Levels that were looked at.
    pub looks: usize,
    /// Whether its token is the full model's, which it is after K blocks.
    pub agrees: bool,
}

impl Looks {
    /// How every sample leaves under a plan.
    pub fn exits(&self, plan: &Plan) -> Vec<Exited> {
        (0..self.samples()).map(|sample| self.exit(sample, plan)).collect()
    }

    fn samples(&self) -> usize {
        self.scores.first().map_or(0, Vec::len)
    }

    fn exit(&self, sample: usize, plan: &Plan) -> Exited {
        let count = self.scores.len();
        let mut looks = 0;
        for level in plan.schedule.levels(count) {
            looks += 1;
            if self.scores[level][sample] >= plan.threshold {
                return Exited { blocks: level, looks, agrees: self.agrees[level][sample] };
            }
        }
        Exited { blocks: count, looks, agrees: true }
    }

    /// For each wanted agreement the cheapest plan that reaches it on these samples. `cost` takes the mean
    /// blocks, the mean looks, and the share of samples that exit early. To run the whole model without a look is
    /// always among the plans.
    pub fn calibrate(
        &self,
        schedules: &[Schedule],
        wanted: &[f64],
        cost: impl Fn(f64, f64, f64) -> f64,
    ) -> Vec<Plan> {
        let count = self.scores.len();
        let never = Plan { schedule: Schedule { from: count, every: 1 }, threshold: f64::INFINITY };
        // A single schedule is measured as it is, with its looks; among several, looking nowhere is one more.
        let first =
            if schedules.len() > 1 { (never, cost(count as f64, 0.0, 0.0)) } else { (never, f64::INFINITY) };
        let mut best = vec![first; wanted.len()];
        for &schedule in schedules {
            for threshold in self.candidates(schedule) {
                let plan = Plan { schedule, threshold };
                let (mut agree, mut blocks, mut looks, mut early) = (0usize, 0usize, 0usize, 0usize);
                for sample in 0..self.samples() {
                    let exited = self.exit(sample, &plan);
                    agree += usize::from(exited.agrees);
                    blocks += exited.blocks;
                    looks += exited.looks;
                    early += usize::from(exited.blocks < count);
                }
                let n = self.samples() as f64;
                let agreement = agree as f64 / n;
                let cost = cost(blocks as f64 / n, looks as f64 / n, early as f64 / n);
                for (best, &wanted) in best.iter_mut().zip(wanted) {
                    if agreement >= wanted && cost < best.1 {
                        *best = (plan, cost);
                    }
                }
            }
        }
        best.into_iter().map(|(plan, _)| plan).collect()
    }

    /// Quantiles of the scores at the levels of a schedule, closer together at the top; and infinity.
    fn candidates(&self, schedule: Schedule) -> Vec<f64> {
        let mut scores: Vec<f64> =
            schedule.levels(self.scores.len()).flat_map(|level| self.scores[level].iter().copied()).collect();
        scores.sort_unstable_by(f64::total_cmp);
        let Some(last) = scores.len().checked_sub(1) else { return vec![f64::INFINITY] };
        let quantile = |step: usize| {
            let down = (step as f64 / (CANDIDATES - 1) as f64).powi(2);
            scores[((1.0 - down) * last as f64).round() as usize]
        };
        let mut candidates: Vec<f64> = (0..CANDIDATES).map(quantile).collect();
        candidates.dedup();
        candidates.push(f64::INFINITY);
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two levels, four samples: level 0 is sure of samples 0 and 1 and right about 0.
    fn looks() -> Looks {
        Looks {
            scores: vec![vec![0.9, 0.8, 0.1, 0.2], vec![0.9, 0.9, 0.7, 0.3]],
            agrees: vec![vec![true, false, false, false], vec![true, true, true, false]],
        }
    }

    #[test]
    fn a_sample_leaves_at_the_first_level_that_is_sure() {
        let exits = looks().exits(&Plan { schedule: Schedule::EVERY, threshold: 0.7 });
        let exited = |blocks, looks, agrees| Exited { blocks, looks, agrees };
        assert_eq!(exits, [exited(0, 1, true), exited(0, 1, false), exited(1, 2, true), exited(2, 2, true)]);
    }

    /// With a threshold of 0.9 all agree: sample 0 leaves at once, sample 1 after one block.
    #[test]
    fn the_cheapest_threshold_that_agrees_enough_is_taken() {
        let plans =
            looks().calibrate(&[Schedule::EVERY], &[0.75, 1.0], |blocks, looks, _| blocks + 0.1 * looks);
        assert_eq!(plans[1].threshold, 0.9);
        assert_eq!(plans[0].threshold, 0.7);
        let dear = looks().calibrate(&Schedule::all(2), &[1.0], |blocks, looks, _| blocks + 10.0 * looks);
        assert_eq!(dear[0].threshold, f64::INFINITY, "looking costs more than it saves");
        assert!(looks().exits(&dear[0]).iter().all(|exit| exit.looks == 0 && exit.agrees));
    }
}
