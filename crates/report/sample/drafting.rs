//! What drafting pays in an invented run.

use onejump_core::drafting::{Card, Costs, Reading, Shape, WithoutLooks};

/// A one-jump and the model's own head at every second level of `blocks` blocks.
pub fn drafting(blocks: usize) -> Card {
    let costs = Costs { token_ms: 17.0, block_share: 0.03, rows: vec![1.0, 1.1, 1.15, 1.2, 1.25, 1.3] };
    let reading = |jump: Option<&str>, level: usize| {
        let depth = level as f64 / blocks as f64;
        let first = if jump.is_some() { 0.1 + 0.25 * depth } else { 0.02 + 0.6 * depth.powi(3) };
        let acceptance = (1..=5).map(|best| (first * (1.0 + f64::from(best).ln())).min(0.95)).collect();
        let look_share = if jump.is_some() { 0.04 } else { 0.2 };
        let jump = jump.map(str::to_owned);
        costs.best(
            Reading {
                jump_sha256: None,
                jump,
                level,
                acceptance,
                look_share,
                shape: Shape::Chain(1),
                speedup: 0.0,
            },
            5,
        )
    };
    let readings = [Some("shortcuts/early.safetensors"), None]
        .into_iter()
        .flat_map(|jump| (0..blocks).step_by(2).map(move |level| (jump, level)))
        .map(|(jump, level)| reading(jump, level));
    Card {
        model_sha256: "0".repeat(64),
        weights: None,
        threads: 2,
        readings: readings.collect(),
        costs,
        tokens: 1536,
        without_looks: WithoutLooks { ngram: 0.2, bigram: 0.11 },
        best: None,
    }
}
