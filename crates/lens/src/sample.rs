//! Lenses that are made up, for tests.

use onejump_core::shortcut::ShortcutKind;

use crate::cells::{Cell, Likely};
use crate::config::Metric;
use crate::lens::{Column, Lens, Method};
use crate::words::Words;

/// A cell whose answer has a probability. Token 1 is the model's own answer.
fn cell(token: i64, probability: f64) -> Cell {
    let rest = (1.0 - probability) / 2.0;
    let others = (token + 1..token + 3).map(|token| Likely { token, probability: rest });
    Cell {
        best: [Likely { token, probability }].into_iter().chain(others).collect(),
        surprisal: if token == 1 { -probability.ln() } else { 3.0 },
        rank: if token == 1 { 1 } else { 7 },
        kl: None,
        next: Some(rest),
    }
}

/// Two methods that say the same at the levels 0, 2, 4 and so on, and at K, which is 1 more than the last of them; by
/// level, then by position: the answer and its probability.
pub fn lens<const N: usize>(said: &[[(i64, f64); N]]) -> Lens {
    let exits = said.len() - 1;
    let cells: Vec<Vec<Cell>> = said
        .iter()
        .map(|level| level.iter().map(|&(token, probability)| cell(token, probability)).collect())
        .collect();
    let column = |place: usize| Column {
        position: place + 4,
        token: 10 + place as i64,
        next: (place + 1 < N).then_some(11 + place as i64),
        answer: 1,
    };
    let method = |kind: ShortcutKind, title: &str, file: Option<&str>| Method {
        kind,
        title: title.to_owned(),
        path: file.map(Into::into),
        parameters: 9,
        cells: cells.clone(),
    };
    let blocks = 2 * exits - 1;
    Lens {
        model: "a <b>model</b>".into(),
        architecture: "llama".into(),
        hidden_size: 4,
        blocks,
        vocab_size: 50,
        metric: Metric::Probability,
        threshold: 0.9,
        levels: (0..exits).map(|level| 2 * level).chain([blocks]).collect(),
        columns: (0..N).map(column).collect(),
        methods: vec![
            method(ShortcutKind::Identity, "identity", None),
            method(ShortcutKind::Ojfa, "ojfa (jump 3, rank 2)", Some("runs/ojfa.safetensors")),
        ],
        words: Words::new(None),
    }
}
