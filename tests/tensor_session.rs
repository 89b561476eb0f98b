//! Sessions in tensors, as a GPU has them, tried on the CPU: against Hugging Face transformers, and against sessions in
//! slices. That a GPU computes the same is seen on one (`tests/gpu_kit`).

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use onejump_exit::SessionHead;
use onejump_generate::{Decoder, Drafter, Exits, Gate, Jump, KeyValues, Ngram, Sampling, Shape, Step, Way};
use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::Place;
use onejump_models::head;
use onejump_models::session::{Head, Model, Session};
use onejump_shortcuts::map::Map;
use onejump_tests::{Tensors, folder, relative_error};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// Sums over a few dozen values in another order: a few roundings of f32 (6e-8) per block.
const TOLERANCE: f64 = 1e-5;

/// A family with its model in tensors and in slices.
struct Case {
    folder: PathBuf,
    tensors: Arc<Model>,
    slices: Arc<Model>,
    loaded: head::Head,
}

fn cases() -> Vec<Case> {
    let folders = fs::read_dir(folder().join("parity/cases")).unwrap().map(|case| case.unwrap().path());
    let cases: Vec<Case> = folders
        .map(|folder| {
            let mut checkpoint = Checkpoint::open(&folder.display().to_string()).unwrap();
            Case {
                tensors: Arc::new(Model::load_in(&mut checkpoint, Place::CPU).unwrap()),
                slices: Arc::new(Model::load(&mut checkpoint).unwrap()),
                loaded: head::Head::load(&mut checkpoint, Place::CPU).unwrap(),
                folder,
            }
        })
        .collect();
    assert!(cases.len() >= 24, "only {} cases", cases.len());
    cases
}

/// The texts of a case, and the position in each where its states are known.
fn samples(case: &Case) -> Vec<(Vec<i64>, usize)> {
    let sample = |line: &str| {
        let sample: Value = serde_json::from_str(line).unwrap();
        let ids = sample["input_ids"].as_array().unwrap().iter().map(|id| id.as_i64().unwrap());
        (ids.collect(), sample["position"].as_u64().unwrap() as usize)
    };
    fs::read_to_string(case.folder.join("samples.jsonl")).unwrap().lines().map(sample).collect()
}

#[test]
fn states_and_logits_are_transformers() {
    for case in cases() {
        let (name, model) = (case.folder.display().to_string(), &case.tensors);
        let head = Head::new(&case.loaded, model).unwrap();
        let golden = Tensors::read(&case.folder.join("golden.safetensors"));
        let (expected, logits) = (golden.f32("hidden"), golden.f32("logits"));
        let (levels, h, v) = (model.blocks() + 1, model.hidden_size(), head.vocab_size());
        for (index, (tokens, position)) in samples(&case).iter().enumerate() {
            for rows in [1, 3, 64] {
                let mut session = Session::new(model, position + 1, 1).unwrap();
                for tokens in tokens[..=*position].chunks(rows) {
                    session.push(tokens).unwrap();
                    let end = session.len();
                    for level in 0..levels {
                        session.advance(level, end).unwrap();
                        if end == position + 1 {
                            let ours = session.state(*position).unwrap();
                            let error = relative_error(&ours, &expected[(index * levels + level) * h..][..h]);
                            assert!(error < TOLERANCE, "{name}, level {level}, sample {index}: {error}");
                        }
                    }
                }
                let ours = session.logits(&head, *position..position + 1).unwrap();
                let error = relative_error(&ours, &logits[index * v..][..v]);
                assert!(error < TOLERANCE, "{name}, logits of sample {index}: {error}");
                let read = session.read(&head, &session.state(*position).unwrap()).unwrap();
                assert!(relative_error(&read, &ours) < TOLERANCE, "{name}");
            }
        }
    }
}

/// The same doings in tensors and in slices: tokens that wait, siblings, what is taken back, keys from a state on the way.
#[test]
fn waiting_siblings_and_taking_back_are_as_in_slices() {
    for case in cases() {
        let name = case.folder.display().to_string();
        let mut tokens = samples(&case).pop().unwrap().0;
        tokens.truncate(14);
        let blocks = case.slices.blocks();
        for (level, propagate) in (0..=blocks).flat_map(|level| [(level, false), (level, true)]) {
            let states = |model: &Arc<Model>| {
                let mut session = Session::new(model, tokens.len() + 4, 1).unwrap();
                while session.len() < tokens.len() {
                    let start = session.len();
                    session.push(&tokens[start..=start]).unwrap();
                    session.advance(level, start + 1).unwrap();
                    session.push(&[7, 3]).unwrap();
                    session.advance(level, start + 2).unwrap();
                    session.truncate(start + 1);
                    if start + 1 == tokens.len() {
                        break;
                    }
                    let wrong = (tokens[start + 1] + 1) % 8;
                    session.push_siblings(&[wrong, tokens[start + 1], (wrong + 1) % 8]).unwrap();
                    // The last sibling waits where the others go on, every other time.
                    session
                        .advance(
                            if start.is_multiple_of(2) { blocks } else { level },
                            session.len() - start % 3 % 2,
                        )
                        .unwrap();
                    session.choose(Some(1)).unwrap();
                    if propagate && start % 4 == 3 {
                        session.propagate(blocks, start + 1).unwrap();
                    }
                }
                session.advance(blocks, tokens.len()).unwrap();
                session.states(0..tokens.len()).unwrap().to_vec()
            };
            let error = relative_error(&states(&case.tensors), &states(&case.slices));
            assert!(error < TOLERANCE, "{name}, level {level}: {error}");
        }
    }
}

/// Texts in every mode: the small models' most likely tokens are far from ties.
#[test]
fn texts_are_those_of_slices() {
    const ADDED: usize = 24;
    tch::manual_seed(9);
    let random = |rows: i64, columns: i64| Tensor::randn([rows, columns], (Kind::Float, Device::Cpu));
    let mut accepted = 0;
    for case in cases() {
        let h = case.slices.hidden_size() as i64;
        let map = Map::LowRank { norm: None, a: random(h, 4), b: random(4, h) };
        let (alpha, scale, shift) =
            (random(1, 1).view([-1]), random(1, 4).view([-1]), random(1, 4).view([-1]));
        let residual = Map::Residual { alpha, scale, shift, a: random(h, 4), b: random(4, h) };
        let previous = random(h, 4);
        let mut texts = |model: &Arc<Model>| {
            let head = Head::new(&case.loaded, model).unwrap();
            let gate = |level: usize, map: Option<&Map>| Gate {
                level,
                head: Arc::new(SessionHead::new(map, &case.loaded, model, None).unwrap()),
            };
            let jump = |level, map, shape| Drafter::Jump(Jump::new(gate(level, map), shape));
            let beside = SessionHead::new(Some(&map), &case.loaded, model, None).unwrap();
            let beside = Gate { level: 1, head: Arc::new(beside.with_previous(&previous, model).unwrap()) };
            let drafters = [
                vec![],
                vec![Drafter::Jump(Jump::new(beside, Shape::Siblings(3)))],
                vec![jump(1, None, Shape::Chain(3))],
                vec![Drafter::Ngram(Ngram::new(1, 4)), jump(0, Some(&map), Shape::Chain(2))],
                vec![jump(1, Some(&residual), Shape::Siblings(4))],
                vec![Drafter::Ngram(Ngram::new(1, 3)), jump(1, None, Shape::Siblings(3))],
            ];
            let exits = [KeyValues::Deferred, KeyValues::Propagate].map(|key_values| Exits {
                gates: vec![gate(1, None)],
                threshold: 0.02,
                key_values,
            });
            let ways = drafters.iter().map(|drafters| Way::Verify(drafters));
            let text = |way: Way| {
                let session = Session::new(model, 4 + ADDED, 1).unwrap();
                let prompt = [5, 1, 4, 1];
                let mut decoder =
                    Decoder::new(session, &head, &prompt, Sampling::default(), way, &[]).unwrap();
                while decoder.text().len() < 4 + ADDED {
                    decoder.step(Step { most: 4 + ADDED - decoder.text().len() }).unwrap();
                }
                accepted += decoder.drafts().accepted;
                decoder.text().to_vec()
            };
            ways.chain(exits.iter().map(Way::Exit)).map(text).collect::<Vec<_>>()
        };
        let (tensors, slices) = (texts(&case.tensors), texts(&case.slices));
        assert_eq!(tensors, slices, "{}", case.folder.display());
        assert!(tensors[..5].iter().all(|text| *text == tensors[0]), "{}", case.folder.display());
    }
    assert!(accepted > 100, "{accepted} drafts accepted");
}

/// In bf16 a state errs by some roundings of 2^-9; the bytes that a token reads are half as many.
#[test]
fn half_as_many_bytes_in_bf16() {
    let case = folder().join("parity/cases/llama-grouped-tied");
    let mut checkpoint = Checkpoint::open(&case.display().to_string()).unwrap();
    let place = Place { dtype: Kind::BFloat16, ..Place::CPU };
    let narrow = Arc::new(Model::load_in(&mut checkpoint, place).unwrap());
    let wide = Arc::new(Model::load_in(&mut checkpoint, Place::CPU).unwrap());
    assert_eq!(2 * narrow.bytes(), wide.bytes());
    let states = |model: &Arc<Model>| {
        let mut session = Session::new(model, 8, 1).unwrap();
        for token in [1, 5, 2, 3, 7] {
            session.push(&[token]).unwrap();
            session.advance(model.blocks(), session.len()).unwrap();
        }
        session.states(0..5).unwrap().to_vec()
    };
    let error = relative_error(&states(&narrow), &states(&wide));
    assert!((1e-4..2e-2).contains(&error), "{error}");
}
