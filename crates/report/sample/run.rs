//! The tables of the paper's own comparisons.

use onejump_core::results::{Average, Choice, Method, MethodName, Metrics, Summary};
use onejump_core::shortcut::{LevelConvention, ShortcutKind, Solver, parameters};
use onejump_report::analyses::Analyses;
use onejump_report::run::Run;
use onejump_store::tables::PerLevel;

use super::shape::{BEST_JUMP, HIDDEN_SIZE};

/// A run of a model with `blocks` blocks, evaluated at these ranks with both solvers.
///
/// # Panics
/// If `blocks` is 0.
pub fn run(blocks: usize, ranks: &[usize]) -> Run {
    let mut made = Made { blocks, averages: Vec::new(), levels: Vec::new() };
    made.method(Method::untrained(MethodName::Constant), |_| (0.0, false));
    let identity = MethodName::Kind(ShortcutKind::Identity);
    made.method(Method::untrained(identity), |depth| (1.35 * depth.powi(6) - 0.18, true));
    let mut choices = Vec::new();
    for solver in [Solver::ClosedForm, Solver::Adam] {
        let worse = if solver == Solver::Adam { 0.02 } else { 0.0 };
        let trained = |name, kind, rank: Option<usize>, jump| {
            let parameters = parameters(kind, HIDDEN_SIZE, rank.unwrap_or(0), blocks);
            Method { name, solver: Some(solver), rank, jump, parameters }
        };
        let jtc = trained(MethodName::Kind(ShortcutKind::Jtc), ShortcutKind::Jtc, None, None);
        made.method(jtc, |depth| (0.1 + 0.65 * depth.powi(3) - worse, false));
        for &rank in ranks {
            let gain = 0.02 * (rank as f64).ln() - worse;
            let full = move |depth: f64| gain + 0.11 * depth + 0.02 * (9.0 * depth).sin();
            let mut of = |kind: ShortcutKind, quality: &dyn Fn(f64) -> f64| {
                let method = trained(MethodName::Kind(kind), kind, Some(rank), None);
                made.method(method, |depth| (quality(depth), false));
            };
            of(ShortcutKind::Njtc, &|depth| full(depth) - 0.03);
            of(ShortcutKind::NNjtc, &full);
            of(ShortcutKind::Joint, &|depth| full(0.4) - 0.02 + 0.03 * depth);
            let single = |jump: usize| {
                let at = jump as f64 / blocks as f64;
                move |depth: f64| {
                    full(depth) - 0.02 - 0.45 * (depth - at).powi(2) - 0.2 * (at - BEST_JUMP).powi(2)
                }
            };
            let jump = (blocks as f64 * BEST_JUMP).round() as usize;
            let arbitrary = [2, blocks / 7, blocks - 4].map(|jump| (MethodName::Jump(jump), jump));
            let ojfa = (MethodName::Kind(ShortcutKind::Ojfa), jump);
            for (name, jump) in std::iter::once(ojfa).chain(arbitrary) {
                let quality = single(jump);
                let method = trained(name, ShortcutKind::Ojfa, Some(rank), Some(jump));
                made.method(method, |depth| (quality(depth), false));
            }
            let score = |jump: usize, shift: f64| {
                0.42 + gain - 0.3 * ((jump as f64 + shift) / blocks as f64 - BEST_JUMP).powi(2)
            };
            choices.push(choice(solver, rank, blocks, score));
        }
    }
    let summary = Summary {
        model: "smollm2-135m".into(),
        architecture: "llama".into(),
        hidden_size: HIDDEN_SIZE,
        blocks,
        vocab_size: 49_152,
        train_samples: 9000,
        test_samples: 3000,
        test_samples_at_0: 131,
        choices,
        averages: made.averages,
    };
    Run {
        summary,
        levels: made.levels,
        analyses: Analyses::default(),
        config: Some("model = \"smollm2-135m\"\nseed = 0\n".into()),
    }
}

fn choice(solver: Solver, rank: usize, blocks: usize, score: impl Fn(usize, f64) -> f64) -> Choice {
    let scores = |shift| (0..blocks).map(|jump| score(jump, shift)).collect::<Vec<f64>>();
    let best = |scores: &[f64]| {
        let by_score = |a: &usize, b: &usize| scores[*a].total_cmp(&scores[*b]);
        (0..scores.len()).max_by(by_score).unwrap_or_default()
    };
    let (d_exit, d_eq5) = (scores(0.0), scores(-0.9));
    Choice {
        solver,
        rank,
        jump: best(&d_exit),
        levels: LevelConvention::Exit,
        jump_exit: best(&d_exit),
        jump_eq5: best(&d_eq5),
        d_exit,
        d_eq5,
    }
}

struct Made {
    blocks: usize,
    averages: Vec<Average>,
    levels: Vec<PerLevel>,
}

impl Made {
    /// Adds a method whose `quality` at a depth in 0..1 is its gain over the constant, and whether its
    /// distributions are overconfident.
    fn method(&mut self, method: Method, quality: impl Fn(f64) -> (f64, bool)) {
        let start = self.levels.len();
        for level in 0..self.blocks {
            let (gain, overconfident) = quality(level as f64 / self.blocks as f64);
            let with_geometry = method.name != MethodName::Constant;
            let all = metrics(0.09 + gain, gain, overconfident, with_geometry);
            let without_0 =
                Some(metrics(0.05 + 0.98 * gain, 0.98 * gain - 0.01, overconfident, with_geometry));
            self.levels.push(PerLevel { method: method.clone(), level, all, without_0 });
        }
        let rows = &self.levels[start..];
        let all: Vec<Metrics> = rows.iter().map(|row| row.all).collect();
        let without_0: Vec<Metrics> = rows.iter().filter_map(|row| row.without_0).collect();
        if let Some(all) = Metrics::mean(&all) {
            self.averages.push(Average { method, all, without_0: Metrics::mean(&without_0) });
        }
    }
}

fn metrics(precision: f64, gain: f64, overconfident: bool, with_geometry: bool) -> Metrics {
    let precision = precision.clamp(0.001, 0.97);
    let surprisal = if overconfident { 24.0 - 26.0 * (gain + 0.18) } else { 6.3 - 7.0 * gain };
    Metrics {
        precision_1: precision,
        precision_5: precision.powf(0.6),
        precision_10: precision.powf(0.5),
        surprisal: surprisal.max(0.1),
        mat_surprisal: 0.9 * surprisal.max(0.1),
        cosine: with_geometry.then_some((0.4 + gain).clamp(-1.0, 1.0)),
        relative_mse: with_geometry.then_some((0.9 - gain).max(0.05)),
    }
}

/// Gives every row of a method the same precision and surprisal.
///
/// # Panics
/// If there can be no method of this name.
#[cfg(test)]
pub fn set(run: &mut Run, method: &str, precision_1: f64, surprisal: f64) {
    let name: MethodName = method.parse().unwrap();
    let averages = run.summary.averages.iter_mut().map(|row| (row.method.name, &mut row.all));
    let levels = run.levels.iter_mut().map(|row| (row.method.name, &mut row.all));
    for (_, metrics) in averages.chain(levels).filter(|(found, _)| *found == name) {
        *metrics = Metrics { precision_1, surprisal, ..*metrics };
    }
}
