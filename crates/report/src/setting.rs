//! The results by setting: everything that was trained with one solver at one rank, beside the
//! baselines that belong to every setting.

use std::ops::Range;

use onejump_core::results::{Average, Choice, MethodName, Metrics};
use onejump_core::set_name::SetName;
use onejump_core::shortcut::{ShortcutKind, Solver, default_rank};
use onejump_store::tables::PerLevel;
use serde::Serialize;

use crate::run::Run;
use crate::words;

/// Which samples a number is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SampleSet {
    /// All, as in the paper.
    All,
    /// Those whose position is not 0.
    Without0,
}

impl SampleSet {
    pub const BOTH: [Self; 2] = [Self::All, Self::Without0];

    /// What tables call the samples.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all samples",
            Self::Without0 => "without position 0",
        }
    }

    /// What is over these samples.
    fn of(self, all: Metrics, without_0: Option<Metrics>) -> Option<Metrics> {
        if self == Self::All { Some(all) } else { without_0 }
    }
}

/// The paper's two measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    Precision,
    Surprisal,
}

impl Metric {
    pub const BOTH: [Self; 2] = [Self::Precision, Self::Surprisal];

    /// Its value among a method's metrics.
    pub fn of(self, metrics: &Metrics) -> f64 {
        match self {
            Self::Precision => metrics.precision_1,
            Self::Surprisal => metrics.surprisal,
        }
    }

    /// "21.3%", "4.95 nats".
    pub fn text(self, value: f64) -> String {
        match self {
            Self::Precision => words::percent(value),
            Self::Surprisal => words::nats(value),
        }
    }

    /// A line in words: where it begins and ends.
    pub fn ends(self, label: &str, first: f64, last: f64) -> String {
        format!("{label}: {} to {}", self.text(first), self.text(last))
    }

    /// What tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Precision => "precision@1",
            Self::Surprisal => "surprisal",
        }
    }

    /// Whether the first of two metrics is better.
    pub fn better(self, ours: &Metrics, theirs: &Metrics) -> bool {
        match self {
            Self::Precision => ours.precision_1 > theirs.precision_1,
            Self::Surprisal => ours.surprisal < theirs.surprisal,
        }
    }
}

/// One method: its averages and its metrics at every exit level.
#[derive(Debug, Clone)]
pub struct Curve<'a> {
    pub average: &'a Average,
    /// By exit level 0..K-1; none where the table has no row.
    levels: Vec<Option<&'a PerLevel>>,
}

impl<'a> Curve<'a> {
    pub fn new(run: &'a Run, average: &'a Average) -> Self {
        let mut levels = vec![None; run.summary.blocks];
        for row in run.levels.iter().filter(|row| row.method == average.method) {
            if let Some(level) = levels.get_mut(row.level) {
                *level = Some(row);
            }
        }
        Self { average, levels }
    }

    /// Whether this is a method of the given kind.
    pub fn is(&self, kind: ShortcutKind) -> bool {
        self.average.method.is(kind)
    }

    /// Whether this is the constant baseline.
    pub fn is_constant(&self) -> bool {
        self.average.method.name == MethodName::Constant
    }

    /// The averages over the exit levels.
    pub fn mean(&self, samples: SampleSet) -> Option<Metrics> {
        samples.of(self.average.all, self.average.without_0)
    }

    /// The metrics at an exit level.
    pub fn at(&self, level: usize, samples: SampleSet) -> Option<Metrics> {
        let row = (*self.levels.get(level)?)?;
        samples.of(row.all, row.without_0)
    }

    pub fn exit_levels(&self) -> Range<usize> {
        0..self.levels.len()
    }

    /// One metric at every exit level; none where it was not measured.
    pub fn values(&self, samples: SampleSet, metric: Metric) -> Vec<Option<f64>> {
        self.exit_levels().map(|level| self.at(level, samples).map(|metrics| metric.of(&metrics))).collect()
    }

    /// The levels at which this method is better than another, of those that have both.
    pub fn ahead_of(&self, other: &Curve, samples: SampleSet, metric: Metric) -> Ahead {
        let both = |level| Some((level, self.at(level, samples)?, other.at(level, samples)?));
        let pairs: Vec<_> = self.exit_levels().filter_map(both).collect();
        let won = pairs.iter().filter(|(_, ours, theirs)| metric.better(ours, theirs));
        Ahead { levels: won.map(|&(level, ..)| level).collect(), of: pairs.len() }
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

/// Levels at which one method is better than another.
#[derive(Debug, PartialEq, Eq)]
pub struct Ahead {
    pub levels: Vec<usize>,
    /// How many levels were compared.
    pub of: usize,
}

/// One solver at one rank.
#[derive(Debug, Clone)]
pub struct Setting<'a> {
    pub solver: Solver,
    pub rank: usize,
    /// How the one jump was chosen.
    pub choice: Option<&'a Choice>,
    /// The methods without a rank, in the order of tables.
    pub baselines: Vec<Curve<'a>>,
    /// The methods of this solver at this rank, in the order of tables; last the arbitrary jumps.
    pub trained: Vec<Curve<'a>>,
    /// H.
    pub hidden_size: usize,
    /// K.
    pub blocks: usize,
}

impl<'a> Setting<'a> {
    /// The settings of a run: the paper's rank first, then by rank, closed form before Adam.
    pub fn all(run: &'a Run) -> Vec<Self> {
        // A peer's is of no setting, whatever its rank.
        let ours = |average: &&Average| average.method.name != MethodName::Kind(ShortcutKind::TunedLens);
        let trained = run.summary.averages.iter().filter(ours);
        let trained = trained.map(|average| (average.method.solver, average.method.rank));
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
        use ShortcutKind::{
            Identity, JacobianLens, Joint, Jtc, NNjtc, Njtc, Ojfa, OneJump, Residual, TunedLens,
        };
        let summary = &run.summary;
        let find = |name: MethodName, solver: Option<Solver>, rank: Option<usize>| {
            let mut averages = summary.averages.iter();
            let average = averages.find(|Average { method, .. }| {
                (method.name, method.solver, method.rank) == (name, solver, rank)
            })?;
            Some(Curve::new(run, average))
        };
        let baselines = [
            (MethodName::Constant, None),
            (MethodName::Kind(Identity), None),
            (MethodName::Kind(Jtc), Some(solver)),
            // Peers', which belong to every setting, however they were made.
            (MethodName::Kind(TunedLens), Some(Solver::Adam)),
            (MethodName::Kind(JacobianLens), Some(Solver::ClosedForm)),
        ];
        let kinds = [Ojfa, OneJump, Residual, Joint, NNjtc, Njtc];
        let kinds =
            kinds.into_iter().filter_map(|kind| find(MethodName::Kind(kind), Some(solver), Some(rank)));
        let mut trained: Vec<Curve> = kinds.collect();
        let chosen = trained.iter().find(|curve| curve.is(Ojfa)).and_then(|curve| curve.average.method.jump);
        let arbitrary = summary.averages.iter().filter(|Average { method, .. }| {
            let same = (method.solver, method.rank) == (Some(solver), Some(rank));
            // The chosen jump under its own name would only be compared with itself.
            same && matches!(method.name, MethodName::Jump(jump) if Some(jump) != chosen)
        });
        let mut arbitrary: Vec<Curve> = arbitrary.map(|average| Curve::new(run, average)).collect();
        arbitrary.sort_by_key(|curve| curve.average.method.jump);
        trained.extend(arbitrary);
        Self {
            solver,
            rank,
            choice: summary.choices.iter().find(|choice| (choice.solver, choice.rank) == (solver, rank)),
            baselines: baselines.into_iter().filter_map(|(name, solver)| find(name, solver, None)).collect(),
            trained,
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

    /// The page's name for it in its switch.
    pub fn id(&self) -> String {
        format!("setting{}", self.suffix())
    }

    /// All methods, in the order of tables.
    pub fn curves(&self) -> impl Iterator<Item = &Curve<'a>> {
        self.baselines.iter().chain(&self.trained)
    }

    /// The method of a kind.
    pub fn kind(&self, kind: ShortcutKind) -> Option<&Curve<'a>> {
        self.curves().find(|curve| curve.is(kind))
    }

    /// The one jump.
    pub fn ojfa(&self) -> Option<&Curve<'a>> {
        self.kind(ShortcutKind::Ojfa)
    }

    /// The baseline that every method should beat.
    pub fn constant(&self) -> Option<&Curve<'a>> {
        self.baselines.iter().find(|curve| curve.is_constant())
    }

    /// Other single jumps, by the level that they were trained at.
    pub fn arbitrary(&self) -> impl DoubleEndedIterator<Item = &Curve<'a>> {
        self.trained.iter().filter(|curve| matches!(curve.average.method.name, MethodName::Jump(_)))
    }

    /// The exit levels before ⌈K/2⌉: the "early model stages" of §6, which gives no number.
    pub fn early(&self) -> Range<usize> {
        0..self.blocks.div_ceil(2)
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
        let arbitrary = |run: &Run| Setting::all(run)[0].arbitrary().count();
        assert_eq!(arbitrary(&run), 3);
        let chosen = Setting::all(&run)[0].ojfa().unwrap().average.method.jump.unwrap();
        for average in &mut run.summary.averages {
            if average.method.name == MethodName::Jump(2) {
                average.method.name = MethodName::Jump(chosen);
            }
        }
        assert_eq!(arbitrary(&run), 2);
    }
}
