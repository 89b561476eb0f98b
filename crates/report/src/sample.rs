//! An invented run, for tests, for examples, and for looking at the report's design without a model.
//!
//! The numbers follow simple curves that resemble a small model's; nothing was measured.

use onejump_core::results::{Average, Choice, Method, Metrics, Summary};
use onejump_core::shortcut::{LevelConvention, ShortcutKind, Solver, parameters};
use onejump_store::tables::PerLevel;

use crate::beyond::Beyond;
use crate::run::Run;

mod beyond;

pub use beyond::beyond;

const HIDDEN_SIZE: usize = 576;

/// Where the single jumps are best, as a share of the depth.
const BEST_JUMP: f64 = 0.53;

/// A run of a model with `blocks` blocks, evaluated at these ranks with both solvers.
///
/// # Panics
/// If `blocks` is 0.
pub fn run(blocks: usize, ranks: &[usize]) -> Run {
    let mut made = Made { blocks, averages: Vec::new(), levels: Vec::new() };
    made.method("constant", None, None, None, 0, |_| (0.0, false));
    made.method("identity", None, None, None, 0, |depth| (1.35 * depth.powi(6) - 0.18, true));
    let mut choices = Vec::new();
    for solver in [Solver::ClosedForm, Solver::Adam] {
        let worse = if solver == Solver::Adam { 0.02 } else { 0.0 };
        let count = parameters(ShortcutKind::Jtc, HIDDEN_SIZE, 0, blocks);
        made.method("jtc", Some(solver), None, None, count, |depth| {
            (0.1 + 0.65 * depth.powi(3) - worse, false)
        });
        for &rank in ranks {
            let gain = 0.02 * (rank as f64).ln() - worse;
            let full = move |depth: f64| gain + 0.11 * depth + 0.02 * (9.0 * depth).sin();
            let mut of = |name: &str, kind, jump, quality: &dyn Fn(f64) -> f64| {
                let count = parameters(kind, HIDDEN_SIZE, rank, blocks);
                made.method(name, Some(solver), Some(rank), jump, count, |depth| (quality(depth), false));
            };
            of("njtc", ShortcutKind::Njtc, None, &|depth| full(depth) - 0.03);
            of("n-njtc", ShortcutKind::NNjtc, None, &full);
            of("joint", ShortcutKind::Joint, None, &|depth| full(0.4) - 0.02 + 0.03 * depth);
            let single = |jump: usize| {
                let at = jump as f64 / blocks as f64;
                move |depth: f64| {
                    full(depth) - 0.02 - 0.45 * (depth - at).powi(2) - 0.2 * (at - BEST_JUMP).powi(2)
                }
            };
            let jump = (blocks as f64 * BEST_JUMP).round() as usize;
            of("ojfa", ShortcutKind::Ojfa, Some(jump), &single(jump));
            for jump in [2, blocks / 7, blocks - 4] {
                of(&format!("jump-{jump}"), ShortcutKind::Ojfa, Some(jump), &single(jump));
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
        beyond: Beyond::default(),
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
    fn method(
        &mut self,
        name: &str,
        solver: Option<Solver>,
        rank: Option<usize>,
        jump: Option<usize>,
        parameters: u64,
        quality: impl Fn(f64) -> (f64, bool),
    ) {
        let method = Method { method: name.to_owned(), solver, rank, jump, parameters };
        let start = self.levels.len();
        for level in 0..self.blocks {
            let (gain, overconfident) = quality(level as f64 / self.blocks as f64);
            let with_geometry = name != "constant";
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
