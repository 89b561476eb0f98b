//! The lens as JSON: what the table has, nested.

use serde::Serialize;

use crate::LensError;
use crate::cells::Cell;
use crate::lens::{Lens, Method};
use crate::reading::Overview;
use crate::words::Words;

#[derive(Serialize)]
struct Document<'a> {
    model: &'a str,
    architecture: &'a str,
    hidden_size: usize,
    blocks: usize,
    vocab_size: usize,
    threshold: f64,
    levels: &'a [usize],
    positions: Vec<Position>,
    methods: Vec<Read<'a>>,
}

#[derive(Serialize)]
struct Position {
    position: usize,
    input_id: i64,
    input: String,
    true_id: i64,
    true_token: String,
    next_id: Option<i64>,
    next: Option<String>,
}

#[derive(Serialize)]
struct Read<'a> {
    method: &'a str,
    kind: &'static str,
    file: Option<String>,
    parameters: u64,
    #[serde(flatten)]
    means: Means,
    /// By position.
    stays_from: Vec<usize>,
    /// By position.
    exit_level: Vec<usize>,
    /// By level, then by position.
    cells: Vec<Vec<At>>,
}

#[derive(Serialize)]
struct Means {
    mean_precision_1: Option<f64>,
    mean_surprisal: Option<f64>,
    mean_stays_from: f64,
    mean_exit_level: f64,
    exit_agreement: f64,
}

#[derive(Serialize)]
struct At {
    top: Vec<Token>,
    surprisal: f64,
    rank: usize,
    kl: Option<f64>,
    next_probability: Option<f64>,
}

#[derive(Serialize)]
struct Token {
    id: i64,
    token: String,
    probability: f64,
}

pub fn json(lens: &Lens) -> Result<String, LensError> {
    let words = &lens.words;
    let positions = lens.columns.iter().map(|column| Position {
        position: column.position,
        input_id: column.token,
        input: words.text(column.token),
        true_id: column.answer,
        true_token: words.text(column.answer),
        next_id: column.next,
        next: column.next.map(|next| words.text(next)),
    });
    let document = Document {
        model: &lens.model,
        architecture: &lens.architecture,
        hidden_size: lens.hidden_size,
        blocks: lens.blocks,
        vocab_size: lens.vocab_size,
        threshold: lens.threshold,
        levels: &lens.levels,
        positions: positions.collect(),
        methods: lens.methods.iter().map(|method| read(lens, method)).collect(),
    };
    Ok(serde_json::to_string(&document)? + "\n")
}

fn read<'a>(lens: &Lens, method: &'a Method) -> Read<'a> {
    let Overview { precision, surprisal, stays_from, exit, agreement } = lens.overview(method);
    let ways = lens.ways(method);
    let cells = method.cells.iter();
    Read {
        method: &method.title,
        kind: method.kind.name(),
        file: method.path.as_ref().map(|path| path.display().to_string()),
        parameters: method.parameters,
        means: Means {
            mean_precision_1: precision,
            mean_surprisal: surprisal,
            mean_stays_from: stays_from,
            mean_exit_level: exit,
            exit_agreement: agreement,
        },
        stays_from: ways.iter().map(|way| way.stays_from).collect(),
        exit_level: ways.iter().map(|way| way.exit).collect(),
        cells: cells.map(|level| level.iter().map(|cell| at(cell, &lens.words)).collect()).collect(),
    }
}

fn at(cell: &Cell, words: &Words) -> At {
    let token = |best: &crate::cells::Likely| Token {
        id: best.token,
        token: words.text(best.token),
        probability: best.probability,
    };
    At {
        top: cell.best.iter().map(token).collect(),
        surprisal: cell.surprisal,
        rank: cell.rank,
        kl: cell.kl,
        next_probability: cell.next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::lens;
    use serde_json::{Value, json};

    #[test]
    fn the_document_is_pinned() {
        let text = json(&lens(&[[(2, 0.5), (1, 1.0)], [(1, 0.5), (1, 0.5)]])).unwrap();
        let mut document: Value = serde_json::from_str(&text).unwrap();
        let methods = document["methods"].take();
        let position = json!({"position": 4, "input_id": 10, "input": "#10", "true_id": 1, "true_token": "#1",
            "next_id": 11, "next": "#11"});
        let last = json!({"position": 5, "input_id": 11, "input": "#11", "true_id": 1, "true_token": "#1",
            "next_id": null, "next": null});
        let expected = json!({"model": "a <b>model</b>", "architecture": "llama", "hidden_size": 4, "blocks": 1,
            "vocab_size": 50, "threshold": 0.9, "levels": [0, 1], "positions": [position, last], "methods": null});
        assert_eq!(document, expected);
        let mut method = methods[1].clone();
        let cells = method["cells"].take();
        let expected = json!({"method": "ojfa (jump 3, rank 2)", "kind": "ojfa", "file": "runs/ojfa.safetensors",
            "parameters": 9, "mean_precision_1": 0.5, "mean_surprisal": 1.5, "mean_stays_from": 0.5,
            "mean_exit_level": 0.5, "exit_agreement": 1.0, "stays_from": [1, 0], "exit_level": [1, 0], "cells": null});
        assert_eq!(method, expected);
        let token = |id: i64, probability: f64| json!({"id": id, "token": format!("#{id}"), "probability": probability});
        let expected = json!({"top": [token(2, 0.5), token(3, 0.25), token(4, 0.25)], "surprisal": 3.0, "rank": 7,
            "kl": null, "next_probability": 0.25});
        assert_eq!(cells[0][0], expected);
        assert_eq!((cells.as_array().unwrap().len(), cells[1].as_array().unwrap().len()), (2, 2));
    }
}
