//! The tables of the paper's own comparisons.

use onejump_core::results::{Average, Choice, Method, MethodName, Metrics, Summary};
use onejump_core::shortcut::{LevelConvention, ShortcutKind, Solver, parameters};
use onejump_report::analyses::Analyses;
use onejump_report::run::Run;
use onejump_store::tables::PerLevel;

/// H.
pub const HIDDEN_SIZE: usize = 576;
/// Where the single jumps are best, as a share of the depth.
pub const BEST_JUMP: f64 = 0.53;

/// A run of a model with `blocks` blocks, evaluated at these ranks with both solvers.
///
/// # Panics
/// If `blocks` is 0.
pub fn run(blocks: usize, ranks: &[usize]) -> Run {
    let mut made = Made { blocks, averages: Vec::new(), levels: Vec::new() };
    made.method(Method::untrained(MethodName::Constant), |_| 0.0);
    let identity = MethodName::Kind(ShortcutKind::Identity);
    made.method(Method::untrained(identity), |depth| 1.35 * depth.powi(6) - 0.18);
    let mut choices = Vec::new();
    for solver in [Solver::ClosedForm, Solver::Adam] {
        let worse = if solver == Solver::Adam { 0.02 } else { 0.0 };
        let trained = |kind, rank: Option<usize>| {
            let parameters = parameters(kind, HIDDEN_SIZE, rank.unwrap_or(0), blocks);
            Method { name: MethodName::Kind(kind), solver: Some(solver), rank, jump: None, parameters }
        };
        made.method(trained(ShortcutKind::Jtc, None), |depth| 0.1 + 0.65 * depth.powi(3) - worse);
        for &rank in ranks {
            let gain = 0.02 * (rank as f64).ln() - worse;
            let full = move |depth: f64| gain + 0.11 * depth + 0.02 * (9.0 * depth).sin();
            made.method(trained(ShortcutKind::Njtc, Some(rank)), |depth| full(depth) - 0.03);
            made.method(trained(ShortcutKind::NNjtc, Some(rank)), full);
            made.method(trained(ShortcutKind::Joint, Some(rank)), |depth| full(0.4) - 0.02 + 0.03 * depth);
            let best = (blocks as f64 * BEST_JUMP).round() as usize;
            let ojfa = Method { jump: Some(best), ..trained(ShortcutKind::Ojfa, Some(rank)) };
            let arbitrary = [2, blocks / 7, blocks - 4];
            let arbitrary = arbitrary.map(|jump| Method {
                name: MethodName::Jump(jump),
                jump: Some(jump),
                ..ojfa.clone()
            });
            for method in std::iter::once(ojfa).chain(arbitrary) {
                let at = method.jump.unwrap_or(best) as f64 / blocks as f64;
                made.method(method, |depth| {
                    full(depth) - 0.02 - 0.45 * (depth - at).powi(2) - 0.2 * (at - BEST_JUMP).powi(2)
                });
            }
            let score = |jump: usize, shift: f64| {
                0.42 + gain - 0.3 * ((jump as f64 + shift) / blocks as f64 - BEST_JUMP).powi(2)
            };
            choices.push(choice(solver, rank, blocks, score));
        }
    }
    let summary = Summary {
        model: "smollm2-135m".into(),
        model_sha256: Some("0".repeat(64)),
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
        drafting: None,
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
        sureness: None,
    }
}

struct Made {
    blocks: usize,
    averages: Vec<Average>,
    levels: Vec<PerLevel>,
}

impl Made {
    /// Adds a method whose `quality` at a depth in 0..1 is its gain over the constant.
    fn method(&mut self, method: Method, quality: impl Fn(f64) -> f64) {
        let start = self.levels.len();
        for level in 0..self.blocks {
            let gain = quality(level as f64 / self.blocks as f64);
            let all = metrics(method.name, 0.09 + gain, gain);
            let without_0 = Some(metrics(method.name, 0.05 + 0.98 * gain, 0.98 * gain - 0.01));
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

fn metrics(method: MethodName, precision: f64, gain: f64) -> Metrics {
    let precision = precision.clamp(0.001, 0.97);
    let with_geometry = method != MethodName::Constant;
    let overconfident = method == MethodName::Kind(ShortcutKind::Identity);
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
