//! The results by setting: everything that was trained with one solver at one rank, beside the
//! baselines that belong to every setting.

use onejump_core::results::{Average, Choice, MethodName, Metrics};
use onejump_core::set_name::SetName;
use onejump_core::shortcut::{ShortcutKind, Solver, default_rank};
use onejump_store::tables::PerLevel;

use crate::run::Run;
use crate::words;

/// Which samples a number is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleSet {
    /// All, as in the paper.
    All,
    /// Those whose position is not 0.
    Without0,
}

/// One method: its averages and its metrics at every exit level.
#[derive(Debug, Clone)]
pub struct Curve<'a> {
    /// The method and its averages.
    pub average: &'a Average,
    /// By exit level 0..K-1; none where the table has no row.
    levels: Vec<Option<&'a PerLevel>>,
}

impl<'a> Curve<'a> {
    pub(crate) fn new(run: &'a Run, average: &'a Average) -> Self {
        let mut levels = vec![None; run.summary.blocks];
        for row in run.levels.iter().filter(|row| row.method == average.method) {
            if let Some(level) = levels.get_mut(row.level) {
                *level = Some(row);
            }
        }
        Self { average, levels }
    }

    /// K.
    pub fn blocks(&self) -> usize {
        self.levels.len()
    }

    /// The averages over the exit levels.
    pub fn mean(&self, samples: SampleSet) -> Option<Metrics> {
        match samples {
            SampleSet::All => Some(self.average.all),
            SampleSet::Without0 => self.average.without_0,
        }
    }

    /// The metrics at an exit level.
    pub fn at(&self, level: usize, samples: SampleSet) -> Option<Metrics> {
        let row = self.levels.get(level).copied().flatten()?;
        match samples {
            SampleSet::All => Some(row.all),
            SampleSet::Without0 => row.without_0,
        }
    }

    /// One metric at every exit level; none where it was not measured.
    pub fn values(&self, samples: SampleSet, metric: fn(&Metrics) -> f64) -> Vec<Option<f64>> {
        (0..self.levels.len()).map(|level| self.at(level, samples).map(|metrics| metric(&metrics))).collect()
    }

    /// What figures and tables call the method.
    pub fn label(&self) -> String {
        let method = &self.average.method;
        match (method.name, method.jump) {
            (MethodName::Kind(ShortcutKind::Ojfa), Some(jump)) => format!("OJFA (jump {jump})"),
            (MethodName::Kind(ShortcutKind::Ojfa), None) => "OJFA".to_owned(),
            (MethodName::Jump(jump), _) => format!("jump {jump}"),
            (name, _) => name.to_string(),
        }
    }
}

/// One solver at one rank.
#[derive(Debug, Clone)]
pub struct Setting<'a> {
    /// How the shortcuts were trained.
    pub solver: Solver,
    /// Their rank.
    pub rank: usize,
    /// How the one jump was chosen.
    pub choice: Option<&'a Choice>,
    /// The baseline that every method should beat.
    pub constant: Option<Curve<'a>>,
    /// The hidden state itself.
    pub identity: Option<Curve<'a>>,
    /// The full matrices of this solver.
    pub jtc: Option<Curve<'a>>,
    /// A tuned lens: full matrices with a bias.
    pub tuned_lens: Option<Curve<'a>>,
    /// One A·B per level.
    pub njtc: Option<Curve<'a>>,
    /// One normalised A·B per level.
    pub n_njtc: Option<Curve<'a>>,
    /// One trained on all exit levels.
    pub joint: Option<Curve<'a>>,
    /// One fitted to what the head reads.
    pub one_jump: Option<Curve<'a>>,
    /// The one jump.
    pub ojfa: Option<Curve<'a>>,
    /// Other single jumps, by the level that they were trained at.
    pub arbitrary: Vec<Curve<'a>>,
    /// H.
    pub hidden_size: usize,
    /// K.
    pub blocks: usize,
}

impl<'a> Setting<'a> {
    /// The settings of a run: the paper's rank first, then by rank, closed form before Adam.
    pub fn all(run: &'a Run) -> Vec<Self> {
        let trained = run.summary.averages.iter().map(|average| (average.method.solver, average.method.rank));
        let chosen = run.summary.choices.iter().map(|choice| (Some(choice.solver), Some(choice.rank)));
        let mut keys: Vec<(bool, usize, Solver)> = trained
            .chain(chosen)
            .filter_map(|(solver, rank)| solver.zip(rank))
            .map(|(solver, rank)| (rank != default_rank(run.summary.hidden_size), rank, solver))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        keys.into_iter().map(|(_, rank, solver)| Self::new(run, solver, rank)).collect()
    }

    fn new(run: &'a Run, solver: Solver, rank: usize) -> Self {
        let summary = &run.summary;
        let find = |name: MethodName, solver: Option<Solver>, rank: Option<usize>| {
            let average = summary.averages.iter().find(|average| {
                let method = &average.method;
                (method.name, method.solver, method.rank) == (name, solver, rank)
            });
            average.map(|average| Curve::new(run, average))
        };
        let unranked = |kind, solver| find(MethodName::Kind(kind), solver, None);
        let trained = |kind| find(MethodName::Kind(kind), Some(solver), Some(rank));
        let ojfa = trained(ShortcutKind::Ojfa);
        let chosen = ojfa.as_ref().and_then(|curve| curve.average.method.jump);
        let mut arbitrary: Vec<Curve> = summary
            .averages
            .iter()
            .filter(|average| {
                let method = &average.method;
                let same = method.solver == Some(solver) && method.rank == Some(rank);
                // The chosen jump under its own name would only be compared with itself.
                same && matches!(method.name, MethodName::Jump(jump) if Some(jump) != chosen)
            })
            .map(|average| Curve::new(run, average))
            .collect();
        arbitrary.sort_by_key(|curve| curve.average.method.jump);
        Self {
            solver,
            rank,
            choice: summary.choices.iter().find(|choice| choice.solver == solver && choice.rank == rank),
            constant: find(MethodName::Constant, None, None),
            identity: unranked(ShortcutKind::Identity, None),
            jtc: unranked(ShortcutKind::Jtc, Some(solver)),
            // A peer's, which belongs to every setting, however it was trained.
            tuned_lens: unranked(ShortcutKind::TunedLens, Some(Solver::Adam)),
            njtc: trained(ShortcutKind::Njtc),
            n_njtc: trained(ShortcutKind::NNjtc),
            joint: trained(ShortcutKind::Joint),
            one_jump: trained(ShortcutKind::OneJump),
            ojfa,
            arbitrary,
            hidden_size: summary.hidden_size,
            blocks: summary.blocks,
        }
    }

    /// "rank 5, closed form".
    pub fn name(&self) -> String {
        words::setting(self.solver, self.rank)
    }

    /// What distinguishes this setting's files: nothing, `-adam`, `-r57` or `-adam-r57`.
    pub fn suffix(&self) -> String {
        SetName::new(ShortcutKind::Ojfa, self.solver, self.rank, self.hidden_size).suffix()
    }

    /// The methods of this solver at this rank, in the order of tables.
    pub fn trained(&self) -> impl Iterator<Item = &Curve<'a>> {
        [&self.ojfa, &self.one_jump, &self.joint, &self.n_njtc, &self.njtc]
            .into_iter()
            .flatten()
            .chain(&self.arbitrary)
    }

    /// The methods without a rank.
    pub fn baselines(&self) -> impl Iterator<Item = &Curve<'a>> {
        [&self.constant, &self.identity, &self.jtc, &self.tuned_lens].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn the_papers_rank_comes_first_and_has_the_plain_file_names() {
        let run = sample::run(12, &[3, 57, 5]);
        let suffixes: Vec<String> = Setting::all(&run).iter().map(Setting::suffix).collect();
        assert_eq!(suffixes, ["", "-adam", "-r3", "-adam-r3", "-r57", "-adam-r57"]);
    }

    #[test]
    fn the_chosen_jump_is_not_arbitrary() {
        let mut run = sample::run(12, &[5]);
        let before = Setting::all(&run)[0].arbitrary.len();
        let chosen = Setting::all(&run)[0].ojfa.as_ref().unwrap().average.method.jump.unwrap();
        for average in &mut run.summary.averages {
            if average.method.name == MethodName::Jump(2) {
                average.method.name = MethodName::Jump(chosen);
            }
        }
        assert_eq!(Setting::all(&run)[0].arbitrary.len(), before - 1);
    }
}
