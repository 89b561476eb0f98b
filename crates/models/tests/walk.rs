//! All ways to hidden states give the same states, on the small checkpoints of the repository's parity tests.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;

use onejump_models::ModelError;
use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::Place;
use onejump_models::transformer::{Sampled, Transformer};
use tch::Tensor;

/// Sums over a few dozen values in another order: a few roundings of f32 (6e-8) per block.
const TOLERANCE: f64 = 1e-5;

/// Sequences of several lengths, two of them equal, none sorted; windows of 5 to 9 tokens are exceeded. The second set of
/// angles in the case `phi3-longrope` begins behind 16 tokens.
const SEQUENCES: [&[i64]; 4] =
    [&[5, 9, 17, 3], &[90], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14], &[8, 8, 8, 8]];

/// Every case of the parity tests: all architectures and their variants.
fn each_case(check: impl Fn(&str, &Transformer)) {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/parity/cases");
    let mut cases: Vec<_> = fs::read_dir(cases).unwrap().map(|case| case.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 24);
    for case in cases {
        let name = case.display().to_string();
        let mut checkpoint = Checkpoint::open(&name).unwrap();
        check(&name, &Transformer::load(&mut checkpoint, Place::CPU).unwrap());
    }
}

fn difference(ours: &Tensor, expected: &Tensor) -> f64 {
    let scale = expected.abs().max().double_value(&[]).max(1.0);
    (ours - expected).abs().max().double_value(&[]) / scale
}

/// Whether the level behind the last block was asked for.
fn is_behind_the_last(error: &ModelError, model: &Transformer) -> bool {
    matches!(*error, ModelError::NoLevel { level, blocks } if blocks == model.blocks() && level == blocks + 1)
}

#[test]
fn fewer_levels_have_the_same_numbers() {
    each_case(|name, model| {
        let all = model.states_at_last(&SEQUENCES).unwrap();
        for level in 0..=model.blocks() {
            let some = model.states_until(level, &SEQUENCES).unwrap();
            assert_eq!(some, all.narrow(0, 0, level as i64 + 1), "{name} up to level {level}");
        }
    });
}

#[test]
fn a_walk_passes_the_same_states() {
    each_case(|name, model| {
        let all = model.states_at_last(&SEQUENCES).unwrap();
        let mut walk = model.start(&SEQUENCES).unwrap();
        for level in 0..=model.blocks() {
            assert_eq!(walk.level(), level);
            assert_eq!(walk.state().unwrap(), all.get(level as i64), "{name} at level {level}");
            let further = walk.advance();
            assert_eq!(further.is_ok(), level < model.blocks());
        }
        let behind = walk.advance().unwrap_err();
        assert!(is_behind_the_last(&behind, model), "{name}: {behind}");
        assert_eq!(walk.state().unwrap(), all.get(-1));
    });
}

#[test]
fn all_positions_are_the_last_ones_of_each_beginning() {
    each_case(|name, model| {
        let tokens = SEQUENCES[2];
        let beginnings: Vec<_> = (1..=tokens.len()).map(|length| &tokens[..length]).collect();
        let expected = model.states_at_last(&beginnings).unwrap(); // (K + 1, T, H)
        let all = model.states(tokens, model.blocks()).unwrap();
        assert_eq!(all.size(), expected.size());
        assert!(difference(&all, &expected) < TOLERANCE, "{name}: {}", difference(&all, &expected));
        let some = model.states(tokens, 1).unwrap();
        assert_eq!(some, all.narrow(0, 0, 2), "{name}");
    });
}

/// More tokens than the windows and the first angles of any case reach, several of one length, and as many, fewer or more
/// wanted positions than its neighbours.
#[test]
fn wanted_positions_have_the_states_of_beginnings_that_end_there() {
    let tokens = |length: i64, first: i64| (0..length).map(|i| (first + 7 * i) % 96).collect::<Vec<_>>();
    let texts = [tokens(30, 5), tokens(9, 11), tokens(30, 2), tokens(1, 90), tokens(26, 3), tokens(9, 4)];
    let positions: [&[usize]; 6] =
        [&[0, 3, 15, 16, 17, 28], &[8], &[2], &[0], &[0, 1, 2, 3, 9, 10, 11, 21, 25], &[5, 6]];
    let sequences: Vec<_> =
        texts.iter().zip(positions).map(|(tokens, positions)| Sampled { tokens, positions }).collect();
    let beginnings = sequences.iter().flat_map(|sequence| {
        sequence.positions.iter().map(|&position| &sequence.tokens[..=position]).collect::<Vec<_>>()
    });
    let beginnings: Vec<&[i64]> = beginnings.collect();
    each_case(|name, model| {
        let levels: Vec<usize> = (0..=model.blocks()).collect();
        for padded in [false, true] {
            let model = model.shallow_clone().with_padding(padded);
            let expected = model.states_at_last(&beginnings).unwrap(); // (K + 1, R, H)
            let ours = model.states_of(&levels, &sequences).unwrap();
            assert_eq!(ours.size(), expected.size());
            for level in 0..levels.len() as i64 {
                let error = difference(&ours.get(level), &expected.get(level));
                assert!(error < TOLERANCE, "{name}, level {level}, padded {padded}: {error}");
            }
            let some = model.states_of(&[0, 2], &sequences).unwrap();
            assert_eq!(some.get(0), ours.get(0), "{name}");
            assert_eq!(some.get(1), ours.get(2), "{name}");
        }
    });
}

#[test]
fn last_positions_alone_are_computed_as_ever() {
    let last: Vec<[usize; 1]> = SEQUENCES.iter().map(|tokens| [tokens.len() - 1]).collect();
    let sequences: Vec<_> =
        SEQUENCES.iter().zip(&last).map(|(tokens, positions)| Sampled { tokens, positions }).collect();
    each_case(|name, model| {
        let levels: Vec<usize> = (0..=model.blocks()).collect();
        let expected = model.states_at_last(&SEQUENCES).unwrap();
        assert_eq!(model.states_of(&levels, &sequences).unwrap(), expected, "{name}");
        for positions in [&[][..], &[1, 1], &[2, 1], &[4]] {
            let refused = model.states_of(&levels, &[Sampled { tokens: SEQUENCES[0], positions }]);
            assert!(matches!(refused, Err(ModelError::Positions { length: 4 })), "{name}");
        }
    });
}

#[test]
fn what_a_model_cannot_take_is_refused() {
    each_case(|name, model| {
        let refused = |sequence: &[i64]| model.states_at_last(&[sequence]).unwrap_err();
        assert!(matches!(refused(&[]), ModelError::SequenceLength { found: 0, .. }), "{name}");
        assert!(matches!(refused(&[0; 1000]), ModelError::SequenceLength { found: 1000, .. }), "{name}");
        assert!(matches!(refused(&[1, 96]), ModelError::TokenId { id: 96, vocab_size: 96 }), "{name}");
        let behind = model.states_until(model.blocks() + 1, &SEQUENCES).unwrap_err();
        assert!(is_behind_the_last(&behind, model), "{name}: {behind}");
    });
}
