//! Sessions against Hugging Face transformers, and against themselves: however a text is cut, its states have the same
//! bits.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use onejump_gguf::GgufFile;
use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::Place;
use onejump_models::head;
use onejump_models::session::{Format, Head, Model, Session};
use onejump_simd::Weights;
use onejump_tests::{Tensors, folder, golden, relative_error};
use serde_json::Value;

/// Sums over a few dozen values in another order: a few roundings of f32 (6e-8) per block.
const TOLERANCE: f64 = 1e-5;

/// A checkpoint of a case, and the case's folder.
struct Case {
    folder: PathBuf,
    checkpoint: PathBuf,
}

/// A text of a case, and where its states are known.
struct Sample {
    tokens: Vec<i64>,
    position: usize,
}

/// The states of a text at every level, (K + 1, T, H) in bits.
type Bits = Vec<Vec<u32>>;

/// Every case as a directory, and as a GGUF file where there is one.
fn cases() -> Vec<Case> {
    let folders = fs::read_dir(folder().join("parity/cases")).unwrap().map(|entry| entry.unwrap().path());
    let with_files = folders.flat_map(|folder| {
        let file = folder.join("model.gguf");
        let file = file.is_file().then(|| Case { folder: folder.clone(), checkpoint: file });
        [Some(Case { checkpoint: folder.clone(), folder }), file]
    });
    let cases: Vec<Case> = with_files.flatten().collect();
    assert!(cases.len() >= 39, "only {} cases", cases.len());
    cases
}

impl Case {
    fn name(&self) -> String {
        self.checkpoint.display().to_string()
    }

    fn open(&self) -> Checkpoint {
        Checkpoint::open(&self.name()).unwrap()
    }

    fn model(&self) -> Arc<Model> {
        Arc::new(Model::load(&mut self.open()).unwrap())
    }

    fn samples(&self) -> Vec<Sample> {
        let text = fs::read_to_string(self.folder.join("samples.jsonl")).unwrap();
        let sample = |line: &str| {
            let sample: Value = serde_json::from_str(line).unwrap();
            let tokens =
                sample["input_ids"].as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect();
            Sample { tokens, position: sample["position"].as_u64().unwrap() as usize }
        };
        text.lines().map(sample).collect()
    }
}

/// Pushes tokens and brings them level by level to the last, keeping their states at each.
fn extend(session: &mut Session, tokens: &[i64], levels: usize, states: &mut Bits) {
    let start = session.len();
    session.push(tokens).unwrap();
    for (level, states) in (0..levels).zip(states) {
        session.advance(level, session.len()).unwrap();
        states.extend(session.states(start..session.len()).unwrap().iter().map(|value| value.to_bits()));
    }
}

/// The states of a text that comes in pieces of some size.
fn states(model: &Arc<Model>, tokens: &[i64], rows: usize, threads: usize) -> Bits {
    let mut session = Session::new(model, tokens.len(), threads).unwrap();
    let mut states = vec![Vec::new(); model.blocks() + 1];
    for tokens in tokens.chunks(rows) {
        extend(&mut session, tokens, model.blocks() + 1, &mut states);
    }
    states
}

fn f32s(bits: &[u32]) -> Vec<f32> {
    bits.iter().map(|&bits| f32::from_bits(bits)).collect()
}

#[test]
fn states_and_logits_are_transformers() {
    for case in cases() {
        let (name, model) = (case.name(), case.model());
        let head = head::Head::load(&mut case.open(), Place::CPU).unwrap();
        let head = Head::new(&head, &model).unwrap();
        let golden = Tensors::read(&case.folder.join("golden.safetensors"));
        let (expected, logits) = (golden.f32("hidden"), golden.f32("logits"));
        let (levels, h, v) = (model.blocks() + 1, model.hidden_size(), head.vocab_size());
        let samples = case.samples();
        assert_eq!((expected.len(), logits.len()), (samples.len() * levels * h, samples.len() * v), "{name}");
        for (index, Sample { tokens, position }) in samples.iter().enumerate() {
            let mut session = Session::new(&model, position + 1, 2).unwrap();
            let mut states = vec![Vec::new(); levels];
            extend(&mut session, &tokens[..=*position], levels, &mut states);
            for (level, states) in states.iter().enumerate() {
                let ours = f32s(&states[position * h..]);
                let error = relative_error(&ours, &expected[(index * levels + level) * h..][..h]);
                assert!(error < TOLERANCE, "{name}, level {level}, sample {index}: {error}");
            }
            let ours = session.logits(&head, *position..position + 1).unwrap();
            let error = relative_error(&ours, &logits[index * v..][..v]);
            assert!(error < TOLERANCE, "{name}, logits of sample {index}: {error}");
        }
    }
}

#[test]
fn states_do_not_depend_on_how_a_text_is_cut_or_on_threads() {
    for case in cases() {
        let (name, model) = (case.name(), case.model());
        let tokens = &case.samples().pop().unwrap().tokens;
        let one_by_one = states(&model, tokens, 1, 1);
        for (rows, threads) in [(2, 2), (3, 1), (4, 3), (5, 2), (6, 1), (7, 4), (8, 2), (9, 1), (60, 2)] {
            assert!(
                states(&model, tokens, rows, threads) == one_by_one,
                "{name}: {rows} rows, {threads} threads"
            );
        }
    }
}

/// Tokens that wait at a level and go on together, and others that are taken back, at every level.
#[test]
fn waiting_and_taking_back_change_nothing() {
    for case in cases() {
        let (name, model) = (case.name(), case.model());
        let blocks = model.blocks();
        let tokens = &case.samples().pop().unwrap().tokens;
        let expected = states(&model, tokens, 1, 1);
        for level in 0..=blocks {
            let mut session = Session::new(&model, tokens.len(), 2).unwrap();
            let mut number = 0;
            while session.len() < tokens.len() {
                // One to six tokens wait at the level, and none, one or two wrong ones behind them.
                let (start, count) = (session.len(), number % 6 + 1);
                for token in &tokens[start..tokens.len().min(start + count)] {
                    session.push(&[*token]).unwrap();
                    session.advance(level, session.len()).unwrap();
                }
                let right = session.len();
                let wrong = (number % 3).min(tokens.len() - right);
                session.push(&vec![7; wrong]).unwrap();
                session.advance(if number % 2 == 0 { blocks } else { level }, session.len()).unwrap();
                session.truncate(right);
                assert_eq!((session.len(), session.reached(level)), (right, right));
                session.advance(blocks, right).unwrap();
                number += 1;
            }
            let ours: Vec<u32> =
                session.states(0..tokens.len()).unwrap().iter().map(|value| value.to_bits()).collect();
            assert!(ours == expected[blocks], "{name}, level {level}");
        }
    }
}

/// The right token among one to four wrong ones, all of which wait and go on together: what is kept is as if it had come
/// alone.
#[test]
fn a_sibling_is_as_if_it_had_come_alone() {
    for case in cases() {
        let (name, model) = (case.name(), case.model());
        let blocks = model.blocks();
        let mut tokens = case.samples().pop().unwrap().tokens;
        tokens.truncate(14);
        let room = tokens.len() + 4;
        let mut alone = Session::new(&model, room, 1).unwrap();
        alone.push(&tokens).unwrap();
        alone.advance(blocks, tokens.len()).unwrap();
        for level in 0..=blocks {
            let mut session = Session::new(&model, room, 2).unwrap();
            session.push(&tokens[..1]).unwrap();
            while session.len() < tokens.len() {
                let number = session.len();
                let (count, right) = (number % 4 + 2, number % 3 % (number % 4 + 2));
                let mut siblings: Vec<i64> =
                    (0..count as i64).map(|index| (tokens[number] + index + 1) % 8).collect();
                siblings[right] = tokens[number];
                session.push_siblings(&siblings).unwrap();
                session.advance(level, number + count - number % 2).unwrap();
                if number % 5 == 4 {
                    session.choose(None).unwrap();
                    session.push(&tokens[number..=number]).unwrap();
                } else {
                    session.choose(Some(right)).unwrap();
                }
                assert_eq!(session.len(), number + 1);
            }
            session.advance(blocks, tokens.len()).unwrap();
            let bits = |session: &Session| -> Vec<u32> {
                session.states(0..tokens.len()).unwrap().iter().map(|value| value.to_bits()).collect()
            };
            assert!(bits(&session) == bits(&alone), "{name}, level {level}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let folder = folder().join("parity/cases/llama-grouped-tied");
    let model = Case { checkpoint: folder.clone(), folder }.model();
    let error = |result: Result<(), onejump_models::ModelError>| result.unwrap_err().to_string();
    let mut session = Session::new(&model, 4, 1).unwrap();
    session.push(&[1, 2]).unwrap();
    assert_eq!(error(session.push(&[3, 4, 5])), "a text of 5 tokens; the session has room for 4");
    assert_eq!(error(session.push(&[3, 96])), "token id 96 is outside the vocabulary of 96");
    assert_eq!(error(session.advance(4, 2)), "there is no level 4: the model has 3 blocks");
    assert!(session.advance(3, 3).is_err() && session.len() == 2 && session.reached(1) == 0);
    assert!(Session::new(&model, 0, 1).is_err() && Session::new(&model, 65, 1).is_err());
}

/// What the gguf package has quantised is found again in the widened values, and kept in about as many bits. (Of the K
/// types with an offset the file has blocks of any bytes, whose offsets may lie far from the scales: Gemma's are real.)
#[test]
fn blocks_of_gguf_files_stay_blocks() {
    let mut file = GgufFile::open(&golden("quants.gguf")).unwrap();
    for (index, format) in [
        (0, Format::F32),
        (1, Format::F16),
        (2, Format::Bf16),
        (3, Format::Q4),   // Q4_0
        (4, Format::Q4),   // Q4_1
        (5, Format::Q8),   // Q5_0
        (6, Format::Q8k),  // Q5_1
        (7, Format::Q8),   // Q8_0
        (9, Format::Q8k),  // Q3_K
        (12, Format::Q8k), // Q6_K
    ] {
        let tensor = file.tensor(&format!("model.layers.{index}.mlp.up_proj.weight")).unwrap();
        let kept = Weights::exactly(256, &tensor.values);
        assert_eq!(kept.format(), format, "type {index}");
        let mut row = [0.0; 256];
        kept.copy_row(1, &mut row);
        assert_eq!(row, tensor.values[256..512], "type {index}");
    }
}
